"""A whole walk with a stop of the relay in the middle of every step; and everybody who is kept out, everywhere."""

import hashlib
import http.client
import json
import re
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from urllib.parse import parse_qsl, urlencode, urlsplit

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Welcome
from tests.programs.browser import PersonsBrowser
from tests.programs.client import TIMEOUT_S, Client
from tests.programs.process import finished
from tests.programs.programs import COMMAND, Estate, Relay
from tests.programs.raw_agent import RawAgent
from tests.programs.test_oauth import (
    CALLBACK,
    DEVICE_GRANT,
    HELLO,
    PASSWORD,
    SOON_S,
    ask,
    code_for,
    form,
    set_up,
)

LOCAL = '[auth]\nmode = "local"\n'
NOTED = f'audit_file = "./state/audit.jsonl"\n{LOCAL}'
VERIFIER = "secret-verifier-" + "v" * 40
STATE = "secret-state-of-the-client"


def again(relay: Relay) -> None:
    """Stop the relay in good order, and start it."""
    relay.program.stop()
    relay.start()


def command(relay: Relay, *words: str) -> str:
    """Run a command, and return what it prints."""
    done = finished((*COMMAND, *words, "--config", str(relay.config)), relay.folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def registered(relay: Relay, name: str = "Walking App") -> str:
    metadata = {"client_name": name, "redirect_uris": [CALLBACK]}
    status, client = ask(relay, "/register", json.dumps(metadata), "application/json")
    assert status == 201
    client_id: str = client["client_id"]
    return client_id


def wanted(relay: Relay, client_id: str) -> str:
    challenge = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": challenge.decode(),
        "code_challenge_method": "S256",
        "state": STATE,
        "prompt": "login consent",
        "resource": f"{relay.origin}/mcp",
        "scope": "mcp offline_access",
    }
    return f"{relay.origin}/authorize?{urlencode(parameters)}"


def granted(relay: Relay, browser: PersonsBrowser, name: str) -> tuple[str, dict[str, str]]:
    """Let alice agree to a new client; return its id, and its tokens."""
    client_id = registered(relay, name)
    page = browser.open(wanted(relay, client_id).replace("login+consent", "consent"))
    sent = browser.post("/consent", page.form | {"decision": "allow"})
    code = dict(parse_qsl(urlsplit(sent.location).query))["code"]
    exchange = {"grant_type": "authorization_code", "client_id": client_id, "code": code}
    status, given = form(relay, "/token", **exchange, code_verifier=VERIFIER)
    assert status == 200, given
    return client_id, given


def status_of(client: Client) -> int:
    _, answer = client.send("tools/list", {})
    answer.close()
    return answer.status


class Secrets:
    """What must be in no log and, but for `told`, in no file."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._stored: list[str] = [STATE]  # it has to be given back after a restart
        self._nowhere: list[str] = [VERIFIER, PASSWORD]

    def add(self, *texts: str) -> None:
        self._nowhere += texts

    def check(self) -> None:
        files = [path for path in self._relay.state_dir.rglob("*") if path.is_file()]
        audit = (self._relay.state_dir / "audit.jsonl").read_text()
        logs = [*(program.log for program in self._relay.programs), audit]
        for secret in [*self._nowhere, *self._stored]:
            assert len(secret) > 8
            assert not any(secret in log for log in logs), secret
        for path in files:
            text = path.read_bytes()
            assert not [one for one in self._nowhere if one.encode() in text], path


def test_a_stop_in_the_middle_of_every_step_loses_nothing(estate: Estate) -> None:
    """From the setup form to the refreshed token, with a browser and with a device code; and what was secret stays so."""
    relay = estate.relay(NOTED).start()
    relay.program.wait_for(r"/setup\?token=\S+\s")
    (link,) = re.findall(r"http://\S+/setup\?\S+", relay.program.log)
    browser, secrets = PersonsBrowser(relay.port), Secrets(relay)
    page = browser.open(link)
    secrets.add(page.form["csrf"], *browser.cookies.values())
    again(relay)  # the link is shown anew, the form that is open would be of the old one
    relay.program.wait_for(r"/setup\?token=\S+\s")
    page = browser.open(re.findall(r"http://\S+/setup\?\S+", relay.program.log)[0])
    chosen = {"username": "alice", "password": PASSWORD, "password_again": PASSWORD}
    assert browser.post("/setup", page.form | chosen).status == 200
    client_id = registered(relay)
    again(relay)
    page = browser.open(wanted(relay, client_id))
    assert 'name="password"' in page.text
    again(relay)
    page = browser.post("/login", page.form | {"username": "alice", "password": PASSWORD})
    assert "Walking App" in page.text
    secrets.add(page.form["csrf"], page.form["request"], *browser.cookies.values())
    again(relay)
    sent = browser.post("/consent", page.form | {"decision": "allow"})
    parameters = dict(parse_qsl(urlsplit(sent.location).query))
    assert parameters["state"] == STATE
    again(relay)
    exchange = {"grant_type": "authorization_code", "code": parameters["code"]}
    exchange |= {"client_id": client_id, "code_verifier": VERIFIER}
    status, given = form(relay, "/token", **exchange)
    assert status == 200, given
    again(relay)
    refresh = {"grant_type": "refresh_token", "client_id": client_id}
    status, newer = form(relay, "/token", **refresh, refresh_token=given["refresh_token"])
    assert status == 200, newer
    again(relay)
    # A client whose answer was lost with the relay tries the same token again.
    status, newest = form(relay, "/token", **refresh, refresh_token=given["refresh_token"])
    assert status == 200, newest
    again(relay)
    assert form(relay, "/token", **exchange)[0] == 400, "a code stays used"
    tokens = [
        one[kind] for one in (given, newer, newest) for kind in ("access_token", "refresh_token")
    ]
    secrets.add(parameters["code"], *tokens)
    secrets.add(*_device_walk(relay, browser))
    again(relay)
    noted = [json.loads(line)["event"] for line in command(relay, "audit", "--json").splitlines()]
    for event in (
        "user.created",
        "client.registered",
        "consent.given",
        "device.allowed",
        "code.reused",
    ):
        assert event in noted
    relay.program.stop()
    written = (relay.state_dir / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in written] == noted
    secrets.check()


def _device_walk(relay: Relay, browser: PersonsBrowser) -> tuple[str, ...]:
    agent = {"client_id": AGENT_CLIENT_ID}
    asked = {"scope": "agent offline_access", "resource": f"{relay.origin}/tunnel"}
    _, waits = form(relay, "/device_authorization", **agent, **asked, device_name="shed")
    again(relay)
    page = browser.open(waits["verification_uri"])
    page = browser.post("/device", page.form | {"user_code": waits["user_code"]})
    again(relay)
    assert browser.post("/device", page.form | {"decision": "allow"}).status == 200
    again(relay)
    grant = {"grant_type": DEVICE_GRANT, "device_code": waits["device_code"]}
    status, given = form(relay, "/token", **agent, **grant)
    assert status == 200, given
    again(relay)
    with RawAgent(relay.port, given["access_token"]) as link:
        assert isinstance(link.greet(HELLO), Welcome)
    user_code: str = waits["user_code"]
    return user_code, waits["device_code"], given["access_token"], given["refresh_token"]


def test_a_user_who_is_kept_out_loses_everything_within_a_second(estate: Estate) -> None:
    """Stream, key, token, refresh, code, device code, browser, consent page and agent's link; another user nothing."""
    relay = estate.relay(LOCAL).start()
    browser = set_up(relay)
    agent_program = estate.agent(relay, relay.key("alice", "agent")).start().program
    bob = Client(relay.port, relay.key("bob", "mcp")).connect()
    key = Client(relay.port, relay.key("alice", "mcp")).connect()
    client_id, given = granted(relay, browser, "First App")
    stream = Client(relay.port, given["access_token"]).connect()
    _, answer = stream.start_call("demo__countdown", {"n": 1000, "interval": 0.02}, "t")
    answer.wait_for_progress()
    app = registered(relay)
    code = code_for(relay, browser, app)
    pending = browser.open(wanted(relay, registered(relay, "Late App")).replace("login+", ""))
    agent = {"client_id": AGENT_CLIENT_ID}
    _, waits = form(relay, "/device_authorization", **agent, scope="agent")
    page = browser.open(waits["verification_uri_complete"])
    page = browser.post("/device", page.form | {"user_code": waits["user_code"]})
    assert browser.post("/device", page.form | {"decision": "allow"}).status == 200
    _, second = form(relay, "/device_authorization", **agent, scope="agent")
    with RawAgent(relay.port, relay.key("alice", "agent")) as link:
        assert isinstance(link.greet(HELLO), Welcome)
        command(relay, "users", "disable", "alice")
        begun_s = time.monotonic()
        with suppress(http.client.IncompleteRead, ConnectionError):
            for _ in answer.messages():
                pass
        answer.close()
        assert link.wait_for_goodbye().code == ErrorCode.REVOKED
        assert time.monotonic() - begun_s < SOON_S
    for gone in (key, stream):
        assert status_of(gone) == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    exchange = {"grant_type": "authorization_code", "code": code, "code_verifier": "v" * 64}
    device = {"grant_type": DEVICE_GRANT, "device_code": waits["device_code"]}
    assert form(relay, "/token", client_id=client_id, **refresh)[0] == 400
    assert form(relay, "/token", client_id=app, **exchange)[0] == 400
    assert form(relay, "/token", **agent, **device)[0] == 400
    assert browser.post("/consent", pending.form | {"decision": "allow"}).status == 403
    assert browser.post("/device", page.form | {"user_code": second["user_code"]}).status == 403
    assert 'name="password"' in browser.open(f"{relay.origin}/device").text
    assert status_of(bob) == 200
    assert agent_program.exit_code(TIMEOUT_S) == 1


def test_a_grant_and_a_client_are_taken_back_from_outside(estate: Estate) -> None:
    """By a command: streams end within a second, and the client has to ask, or to register, again."""
    relay = estate.relay(LOCAL).start()
    browser = set_up(relay)
    estate.agent(relay, relay.key("alice", "agent")).start()
    clients = [granted(relay, browser, name) for name in ("First App", "Second App")]
    for (client_id, given), words in zip(clients, (["--client", clients[0][0]], []), strict=True):
        stream = Client(relay.port, given["access_token"]).connect()
        _, answer = stream.start_call("demo__countdown", {"n": 1000, "interval": 0.02}, "t")
        answer.wait_for_progress()
        listed = json.loads(command(relay, "grants", "list", "--json"))
        (grant_id,) = (one["id"] for one in listed if one["client_id"] == client_id)
        command(relay, "grants", "revoke", *(words or [grant_id]))
        begun_s = time.monotonic()
        with suppress(http.client.IncompleteRead, ConnectionError):
            for _ in answer.messages():
                pass
        answer.close()
        assert time.monotonic() - begun_s < SOON_S
        assert status_of(stream) == 401
        refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
        status, refused = form(relay, "/token", client_id=client_id, **refresh)
        assert (status, refused["error"]) == (
            (401, "invalid_client") if words else (400, "invalid_grant")
        )

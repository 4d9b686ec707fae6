"""A real relay as authorization server: from the setup link to a call, and to the end of the grant."""

import hashlib
import http.client
import json
import re
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from urllib.parse import parse_qsl, urlencode, urlsplit

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.auth.clients import GrantType
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Hello, Welcome
from tests.programs.browser import PersonsBrowser
from tests.programs.client import TIMEOUT_S, Client, Json
from tests.programs.process import eventually
from tests.programs.programs import Estate, Relay
from tests.programs.raw_agent import RawAgent

CALLBACK = "https://app.example/callback"
PASSWORD = "correct horse battery"
VERIFIER = "v" * 64
SOON_S = 1.0
DEVICE_GRANT = GrantType.DEVICE_CODE.value
HELLO = Hello("0123456789abcdef0123456789abcdef", "shed", "1")


def ask(relay: Relay, path: str, body: str, content_type: str) -> tuple[int, Json]:
    connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", path, body, {"content-type": content_type})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def form(relay: Relay, path: str, **values: str) -> tuple[int, Json]:
    return ask(relay, path, urlencode(values), "application/x-www-form-urlencoded")


def set_up(relay: Relay) -> PersonsBrowser:
    """Follow the link that the relay shows at its first start; return the browser of the first user."""
    browser = PersonsBrowser(relay.port)
    relay.program.wait_for(r"/setup\?token=\S+\s")
    (link,) = re.findall(r"http://\S+/setup\?\S+", relay.program.log)
    page = browser.open(link)
    assert page.status == 200, page.text
    chosen = {"username": "alice", "password": PASSWORD, "password_again": PASSWORD}
    assert browser.post("/setup", page.form | chosen).status == 200
    return browser


def code_for(
    relay: Relay, browser: PersonsBrowser, client_id: str, *, is_remembered: bool = False
) -> str:
    challenge = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
    wanted = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "code_challenge": challenge.decode(),
        "code_challenge_method": "S256",
        "state": "s",
        "resource": f"{relay.origin}/mcp",
        "scope": "mcp offline_access",
    }
    sent = browser.open(f"{relay.origin}/authorize?{urlencode(wanted)}")
    if 'name="password"' in sent.text:
        known = {"username": "alice", "password": PASSWORD}
        sent = browser.post("/login", sent.form | known)
    if not is_remembered:
        assert sent.status == 200, sent.text
        assert "Walking App" in sent.text
        sent = browser.post("/consent", sent.form | {"decision": "allow"})
    assert sent.location.startswith(f"{CALLBACK}?")
    parameters = dict(parse_qsl(urlsplit(sent.location).query))
    assert parameters["iss"] == relay.origin
    assert parameters["state"] == "s"
    return parameters["code"]


def test_a_person_lets_a_client_in_and_takes_it_back(estate: Estate) -> None:
    """Setup link, registration, consent, code, tokens, call, refresh, revocation, in real processes."""
    relay = estate.relay('[auth]\nmode = "local"\n').start()
    estate.agent(relay, relay.key("alice", "agent")).start()
    browser = set_up(relay)
    metadata = {"client_name": "Walking App", "redirect_uris": [CALLBACK]}
    status, client = ask(relay, "/register", json.dumps(metadata), "application/json")
    assert status == 201
    client_id = client["client_id"]
    code = code_for(relay, browser, client_id)
    exchange = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": CALLBACK,
    }
    status, given = form(relay, "/token", **exchange)
    assert status == 200, given
    first = Client(relay.port, given["access_token"]).connect()
    assert first.call("demo__echo", text="hello").text == "hello"
    refresh = {"grant_type": "refresh_token", "client_id": client_id}
    status, again = form(relay, "/token", **refresh, refresh_token=given["refresh_token"])
    assert status == 200, again
    relay.key_texts += [code, given["access_token"], given["refresh_token"], PASSWORD]
    relay.key_texts += [again["access_token"], again["refresh_token"]]
    second = Client(relay.port, again["access_token"]).connect()
    _, answer = second.start_call("demo__countdown", {"n": 1000, "interval": 0.02}, "t")
    answer.wait_for_progress()
    begun_s = time.monotonic()
    assert form(relay, "/revoke", client_id=client_id, token=again["refresh_token"])[0] == 200
    with suppress(http.client.IncompleteRead, ConnectionError):
        for _ in answer.messages():
            pass
    answer.close()
    assert time.monotonic() - begun_s < SOON_S
    for gone in (first, second):
        _, refused = gone.send("tools/list", {})
        assert refused.status == 401
        assert "resource_metadata=" in refused.headers["www-authenticate"]
        refused.close()
    assert form(relay, "/token", **refresh, refresh_token=again["refresh_token"])[0] == 400


def test_a_grant_outlives_the_relay(estate: Estate) -> None:
    """And so do the sign-in and the consent. A relay with other secrets would keep every agent out."""
    relay = estate.relay('[auth]\nmode = "local"\n').start()
    browser = set_up(relay)
    metadata = {"client_name": "Walking App", "redirect_uris": [CALLBACK]}
    _, client = ask(relay, "/register", json.dumps(metadata), "application/json")
    exchange = {
        "grant_type": "authorization_code",
        "client_id": client["client_id"],
        "code": code_for(relay, browser, client["client_id"]),
        "code_verifier": VERIFIER,
        "redirect_uri": CALLBACK,
    }
    _, given = form(relay, "/token", **exchange)
    relay.program.stop()
    relay.start()
    answer = Client(relay.port, given["access_token"]).connect().send("tools/list", {})[1]
    assert answer.status == 200
    answer.close()
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    status, _ = form(relay, "/token", **refresh, client_id=client["client_id"])
    assert status == 200
    again = code_for(relay, browser, client["client_id"], is_remembered=True)
    assert again.startswith("mcpt_ac_")
    elsewhere = PersonsBrowser(relay.port)
    assert not elsewhere.cookies
    signed_in = code_for(relay, elsewhere, client["client_id"], is_remembered=True)
    assert signed_in.startswith("mcpt_ac_")


def test_a_request_that_is_no_request_harms_nobody(estate: Estate) -> None:
    """Neither a Host that is no name nor any path ends the relay: nobody needs a token to try."""
    relay = estate.relay('[auth]\nmode = "local"\n').start()
    for path in ("/authorize", "/token", "/register", "/device", "/.well-known/%", "/tunnel"):
        for host in ("[", "127.0.0.1:99999999", "\u00e4"):
            connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=TIMEOUT_S)
            connection.putrequest("POST", path, skip_host=True)
            connection.putheader("Host", host.encode("utf-8"))
            connection.putheader("Content-Length", "0")
            connection.endheaders()
            assert connection.getresponse().status < 500
            connection.close()
    eventually(lambda: relay.program.is_running, SOON_S, "the relay to be there")
    assert form(relay, "/token")[0] == 401


def test_an_agent_with_a_device_code_links_until_its_grant_ends(estate: Estate) -> None:
    """A person types the code in a browser; giving the grant back closes the link, and the next one is refused."""
    relay = estate.relay('[auth]\nmode = "local"\n').start()
    relay.key_texts.append(PASSWORD)
    browser = set_up(relay)
    agent = {"client_id": AGENT_CLIENT_ID}
    asked = {"scope": "agent offline_access", "resource": f"{relay.origin}/tunnel"}
    status, waits = form(relay, "/device_authorization", **agent, **asked, device_name="shed")
    assert status == 200, waits
    page = browser.open(waits["verification_uri_complete"])
    page = browser.post("/device", page.form | {"user_code": waits["user_code"]})
    assert "shed" in page.text
    done = browser.post("/device", page.form | {"decision": "allow"})
    assert done.status == 200, done.text
    grant = {"grant_type": DEVICE_GRANT, "device_code": waits["device_code"]}
    status, given = form(relay, "/token", **agent, **grant)
    assert status == 200, given
    relay.key_texts += [given["access_token"], given["refresh_token"], waits["device_code"]]
    with RawAgent(relay.port, given["access_token"]) as link:
        assert isinstance(link.greet(HELLO), Welcome)
        begun_s = time.monotonic()
        assert form(relay, "/revoke", **agent, token=given["refresh_token"])[0] == 200
        assert link.wait_for_goodbye().code == ErrorCode.REVOKED
        assert time.monotonic() - begun_s < SOON_S
    with RawAgent(relay.port, given["access_token"]) as refused:
        assert refused.refusal() == b"HTTP/1.1 401 Unauthorized"

"""Agents that a person signed in for: at a real relay, by its real pages, as real programs."""

import http.client
import re
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from mcptunnel.agent.sign_in.grant import Grant
from mcptunnel.agent.sign_in.kept import FOLDER, KeptGrant
from tests.programs.browser import PersonsBrowser
from tests.programs.client import TIMEOUT_S, Client
from tests.programs.process import Program, eventually
from tests.programs.programs import COMMAND, Agent, Estate, Relay
from tests.programs.test_local_login import users
from tests.programs.test_oauth import PASSWORD, set_up

SOON_S = 1.0


class Laptop:
    """A user's machine: a data directory with umlauts, commands, an agent without a key."""

    def __init__(self, estate: Estate, extra: str = "") -> None:
        self.estate = estate
        self.relay: Relay = estate.relay(f'[auth]\nmode = "local"\n{extra}').start()
        self.browser: PersonsBrowser = set_up(self.relay)
        self.data = estate.folder("Dätä")
        self.env = {"XDG_DATA_HOME": str(self.data), "BROWSER": "true"}
        self.kept = KeptGrant(self.relay.origin, self.data / "mcptunnel" / FOLDER)
        self.relay.key_texts.append(PASSWORD)

    def start(self, *words: str) -> Program:
        """Start a command."""
        return self.estate.program("mcptunnel", (*COMMAND, *words), env=self.env)

    def login(self) -> None:
        """Sign in with a browser."""
        program = self.start("login", self.relay.origin)
        program.wait_for("Waiting for you")
        (url,) = re.findall(r"^  (http://\S+)$", program.log, re.MULTILINE)
        asked = self.browser.open(url)
        assert asked.status == 200, asked.text
        assert "mcptunnel agent" in asked.text
        sent = self.browser.post("/consent", asked.form | {"decision": "allow"})
        assert sent.location.startswith("http://127.0.0.1:"), sent.text
        assert "<h1>Signed in</h1>" in fetched(sent.location)
        program.wait_for(rf"Signed in at {self.relay.origin} as alice\.")
        self.relay.key_texts += secrets(self.grant)

    def login_by_code(self) -> None:
        """Sign in by a code that is typed into the relay's page."""
        program = self.start("login", "--device", self.relay.origin)
        program.wait_for("Waiting for you")
        (code,) = re.findall(r"^  ([A-Z]{4}-[A-Z]{4})$", program.log, re.MULTILINE)
        page = self.browser.open(f"{self.relay.origin}/device")
        page = self.browser.post("/device", page.form | {"user_code": code.lower()})
        assert "mcptunnel agent" in page.text, page.text
        page = self.browser.post("/device", page.form | {"user_code": code, "decision": "allow"})
        assert page.status == 200, page.text
        program.wait_for(rf"Signed in at {self.relay.origin} as alice\.")
        self.relay.key_texts += secrets(self.grant)

    @property
    def grant(self) -> Grant:
        grant = self.kept.read()
        assert grant is not None
        return grant

    def agent(self) -> Agent:
        return self.estate.agent(self.relay, None, env=self.env)

    def call(self) -> str:
        """Call a tool as this user's client."""
        client = Client(self.relay.port, self.relay.key("alice", "mcp")).connect()
        return client.call("demo__echo", text="hello").text


def secrets(grant: Grant) -> list[str]:
    return [grant.access_token.reveal(), grant.refresh_token.reveal()]


def fetched(url: str) -> str:
    """Return the page that a browser is shown at a port of this machine."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def ends_soon(agent: Agent) -> None:
    """Assert that an agent ends by itself, and says what to do."""
    begun_s = time.monotonic()
    agent.program.wait_for(r"mcptunnel-agent: .* Sign in again: mcptunnel login http")
    assert time.monotonic() - begun_s < SOON_S
    assert agent.program.exit_code(TIMEOUT_S) == 1


def test_a_person_signs_in_for_an_agent_and_out_again(estate: Estate) -> None:
    """Consent page, redirect, tunnel, call; `logout` ends the agent within a second, and says why."""
    laptop = Laptop(estate)
    laptop.login()
    agent = laptop.agent().start()
    assert laptop.call() == "hello"
    ended = laptop.start("logout", laptop.relay.origin)
    ended.wait_for("is over")
    ends_soon(agent)
    assert laptop.kept.read() is None
    again = agent.spawn()
    again.wait_for(f"key: is missing, and nobody is signed in at {laptop.relay.origin}")
    assert again.exit_code(TIMEOUT_S) == 1


def test_a_code_signs_an_agent_in_and_a_user_who_is_disabled_is_out(estate: Estate) -> None:
    """No browser on the agent's machine; whoever runs the relay has the last word, at once."""
    laptop = Laptop(estate)
    laptop.login_by_code()
    agent = laptop.agent().start()
    assert laptop.call() == "hello"
    config = str(laptop.relay.config)
    disabled = laptop.start("users", "disable", "--config", config, "alice")
    disabled.wait_for("alice")
    ends_soon(agent)


def test_an_old_token_is_renewed_at_the_relay(estate: Estate) -> None:
    """Before the agent connects; twice, with a relay that was started anew in between."""
    laptop = Laptop(estate)
    laptop.login()
    agent = laptop.agent()
    for _ in range(2):
        old = laptop.grant
        laptop.kept.write(replace(old, received_s=0.0))
        agent.start()
        new = laptop.grant
        assert new.refresh_token != old.refresh_token
        laptop.relay.key_texts += secrets(new)
        agent.program.stop()
        laptop.relay.program.stop()
        laptop.relay.start()


def test_a_relay_that_is_down_is_waited_for(estate: Estate) -> None:
    """The token is old and there is nobody to ask: the agent neither ends nor opens a browser."""
    laptop = Laptop(estate)
    laptop.login()
    laptop.kept.write(replace(laptop.grant, received_s=0.0))
    laptop.relay.program.stop()
    program = laptop.agent().spawn()
    program.wait_for("cannot renew the sign-in: .* nothing listens there")
    laptop.relay.start()
    program.wait_for("connected to")
    laptop.relay.key_texts += secrets(laptop.grant)


def test_signing_in_again_keeps_a_running_agent(estate: Estate) -> None:
    """The old grant ends; the agent takes the new one from the file, and goes on."""
    laptop = Laptop(estate)
    laptop.login()
    agent = laptop.agent().start()
    before = len(agent.program.log)
    laptop.login()
    agent.program.wait_for("connected to", start=before)
    assert laptop.call() == "hello"
    assert agent.program.is_running


def test_an_agents_tokens_open_nothing_else(estate: Estate) -> None:
    """They are for the tunnel; a client's key is not."""
    laptop = Laptop(estate)
    laptop.login()
    token = laptop.grant.access_token.reveal()
    _, refused = Client(laptop.relay.port, token).send("tools/list", {})
    assert refused.status in (401, 403)
    refused.close()
    client_key = laptop.relay.key("alice", "mcp")
    other = estate.agent(laptop.relay, client_key)
    program = other.spawn()
    program.wait_for("mcptunnel-agent: The relay refused this agent's key")
    assert program.exit_code(TIMEOUT_S) == 1


def test_a_relay_that_takes_keys_alone_now_ends_an_agent_and_says_so(estate: Estate) -> None:
    """To sign in again would be of no use. The file stays: the relay may change its mind."""
    laptop = Laptop(estate)
    laptop.login()
    agent = laptop.agent().start()
    relay = laptop.relay
    relay.program.stop()
    local = relay.config.read_text()
    relay.config.write_text(local.replace('mode = "local"', 'mode = "keys"'))
    relay.start()
    agent.program.wait_for("mcptunnel-agent: .*takes API keys alone.*mcptunnel keys create ")
    assert "mcptunnel login" not in agent.program.log
    assert agent.program.exit_code(TIMEOUT_S) == 1
    relay.program.stop()
    relay.config.write_text(local)
    relay.start()
    agent.start()


def test_threat_05_who_is_quicker_at_the_browser_is_named(estate: Estate) -> None:
    """Other users of a machine can read the address that a browser is started with.

    With an account of their own they could let the agent be theirs: PKCE does not tell people apart.
    """
    laptop = Laptop(estate)
    invited = users(laptop.relay, "invite")
    mallory = PersonsBrowser(laptop.relay.port)
    chosen = {"username": "mallory", "password": PASSWORD, "password_again": PASSWORD}
    assert mallory.post("/invite", mallory.open(invited).form | chosen).status == 200
    program = laptop.start("login", laptop.relay.origin)
    program.wait_for("Waiting for you")
    (url,) = re.findall(r"^  (http://\S+)$", program.log, re.MULTILINE)
    sent = mallory.post("/consent", mallory.open(url).form | {"decision": "allow"})
    fetched(sent.location)
    program.wait_for(r"Signed in at \S+ as mallory\.")
    laptop.relay.key_texts += secrets(laptop.grant)


class Stranger(BaseHTTPRequestHandler):
    """What a hosting company, a firewall or another program answers where a relay should be."""

    ANSWERS = (
        (401, '{"error": "Unauthorized", "error_description": "Log in to your account"}'),
        (403, '{"error": "access_blocked"}'),
        (404, '{"error": "not_found", "error_description": "No such application"}'),
        (200, "<html>This site is being moved</html>"),
    )
    asked: ClassVar[list[str]] = []

    def _answer(self) -> None:
        status, body = self.ANSWERS[len(self.asked) % len(self.ANSWERS)]
        self.asked.append(self.path)
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = _answer

    def log_message(self, *_arguments: object) -> None: ...


@pytest.mark.parametrize("is_old", [False, True])
def test_what_answers_in_the_place_of_a_relay_ends_nothing(estate: Estate, *, is_old: bool) -> None:
    """Neither at the tunnel, nor where tokens are renewed; and nobody opens a browser."""
    laptop = Laptop(estate)
    laptop.login()
    laptop.relay.program.stop()
    if is_old:
        laptop.kept.write(replace(laptop.grant, received_s=0.0))
    Stranger.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", laptop.relay.port), Stranger) as stranger:
        serving = threading.Thread(target=stranger.serve_forever)
        serving.start()
        program = laptop.agent().spawn()
        eventually(lambda: len(Stranger.asked) >= 4, 30, "all answers")
        stranger.shutdown()
        serving.join()
    assert set(Stranger.asked) == {"/token" if is_old else "/tunnel"}
    laptop.relay.start()
    program.wait_for("connected to")
    laptop.relay.key_texts += secrets(laptop.grant)

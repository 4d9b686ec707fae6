"""Step-up at a real relay: less is given than was asked for, a call says what it needs, and the person gives that."""

import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from tests.programs import counting_server
from tests.programs.browser import Page, PersonsBrowser
from tests.programs.client import LEGACY, MODERN, TIMEOUT_S, Answer, Client, Json
from tests.programs.programs import Estate, Relay
from tests.programs.test_oauth import PASSWORD, form, set_up
from tests.programs.test_oauth_steps import LOCAL, VERIFIER, command, registered, status_of, wanted

LESS, WHOLE = "mcp:read offline_access", "mcp offline_access"


@dataclass(slots=True)
class App:
    """A client that registered itself, and alice at her browser."""

    relay: Relay
    browser: PersonsBrowser
    id: str
    agents: Estate

    def ask(self, scope: str, prompt: str = "") -> Page:
        """Send alice's browser to the relay; return the consent page, or where it was sent at once."""
        url = wanted(self.relay, self.id)
        url = url.replace("scope=mcp+offline_access", f"scope={quote(scope)}")
        return self.browser.open(url.replace("login+consent", prompt))

    def answered(self, page: Page, decision: str) -> dict[str, str]:
        """Return what comes back to the client."""
        sent = self.browser.post("/consent", page.form | {"decision": decision})
        return dict(parse_qsl(urlsplit(sent.location).query))

    def tokens(self, code: str) -> Json:
        exchange = {"grant_type": "authorization_code", "client_id": self.id, "code": code}
        status, given = form(self.relay, "/token", **exchange, code_verifier=VERIFIER)
        assert status == 200, given
        self.relay.key_texts += [given["access_token"], given["refresh_token"]]
        return given

    def refreshed(self, given: Json, **more: str) -> tuple[int, Json]:
        asked = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
        return form(self.relay, "/token", client_id=self.id, **asked, **more)

    def given(self, scope: str, decision: str) -> Json:
        return self.tokens(self.answered(self.ask(scope), decision)["code"])


@pytest.fixture
def app(estate: Estate) -> App:
    relay = estate.relay(LOCAL).start()
    relay.key_texts.append(PASSWORD)
    browser = set_up(relay)
    estate.agent(relay, relay.key("alice", "agent")).start()
    return App(relay, browser, registered(relay), estate)


def challenge(relay: Relay, path: str = "/mcp", scope: str = "mcp:read mcp") -> str:
    metadata = f"{relay.origin}/.well-known/oauth-protected-resource{path}"
    return f'Bearer error="insufficient_scope", scope="{scope}", resource_metadata="{metadata}"'


def check_refused(answer: Answer, told: str) -> None:
    assert answer.status == 403
    assert answer.headers.get_all("www-authenticate") == [told]
    assert answer.headers.get_all("cache-control") == ["no-store"]
    answer.close()


@pytest.mark.parametrize("version", [MODERN, *LEGACY])
def test_the_walk(app: App, version: str) -> None:
    """Lists, resources and prompts with less; a call with more, in the session that was there before."""
    less = app.given(WHOLE, "read")
    assert less["scope"] == LESS
    client = Client(app.relay.port, less["access_token"], version).connect()
    assert "demo__echo" in client.tools()
    for _ in range(2):
        _, refused = client.start_call("demo__echo", {"text": "hello"})
        check_refused(refused, challenge(app.relay))
    page = app.ask("mcp:read offline_access mcp")
    assert "It can already" in page.text
    assert "This is new" in page.text
    more = app.tokens(app.answered(page, "allow")["code"])
    assert more["scope"] == WHOLE
    older = Client(app.relay.port, less["access_token"]).connect()
    client.use_key(more["access_token"])
    assert client.call("demo__echo", text="hello").text == "hello"
    assert "demo__echo" in older.tools(), "the older grant is what it was"
    check_refused(older.start_call("demo__echo", {"text": "x"})[1], challenge(app.relay))
    assert form(app.relay, "/revoke", client_id=app.id, token=less["refresh_token"])[0] == 200
    assert status_of(older) == 401
    assert client.call("demo__echo", text="still").text == "still"


def test_a_no_reaches_the_client_and_leaves_what_there_is(app: App) -> None:
    """As often as it asks; nothing goes on by itself, and what was allowed still is."""
    less = app.given(WHOLE, "read")
    client = Client(app.relay.port, less["access_token"]).connect()
    for _ in range(2):
        came = app.answered(app.ask("mcp:read mcp"), "deny")
        assert came["error"] == "access_denied"
        assert came["iss"] == app.relay.origin
        assert "code" not in came
        assert "demo__echo" in client.tools()
        check_refused(client.start_call("demo__echo", {"text": "x"})[1], challenge(app.relay))
    again = app.given("mcp:read mcp", "read")
    assert again["scope"] == "mcp:read", "the same again is no more"


def test_what_was_agreed_to_does_not_widen_by_itself(app: App) -> None:
    """Not by asking for more, silently or not; not by refreshing; and it is narrowed by asking for less."""
    less = app.given(WHOLE, "read")
    code = dict(parse_qsl(urlsplit(app.ask(LESS).location).query))["code"]
    assert app.tokens(code)["scope"] == LESS, "what was agreed to is remembered"
    assert app.ask(WHOLE).status == 200
    silent = dict(parse_qsl(urlsplit(app.ask(WHOLE, prompt="none").location).query))
    assert silent["error"] == "consent_required"
    for wider in ("mcp", "mcp:read mcp", "mcp:read agent"):
        status, refused = app.refreshed(less, scope=wider)
        assert (status, refused["error"]) == (400, "invalid_scope")
    status, again = app.refreshed(less)
    assert (status, again["scope"]) == (200, LESS)
    whole = app.given(WHOLE, "allow")
    status, narrowed = app.refreshed(whole, scope="mcp:read")
    assert (status, narrowed["scope"]) == (200, "mcp:read")
    client = Client(app.relay.port, narrowed["access_token"]).connect()
    assert "demo__echo" in client.tools()
    check_refused(client.start_call("demo__echo", {"text": "x"})[1], challenge(app.relay))
    status, back = app.refreshed(narrowed)
    assert (status, back["scope"]) == (200, WHOLE), "the grant is what the person agreed to"
    app.relay.key_texts += [narrowed["refresh_token"], back["refresh_token"]]
    listed = json.loads(command(app.relay, "grants", "list", "--json"))
    assert [set(one["scopes"]) for one in listed if one["client_id"] == app.id] == [
        set(LESS.split()),
        set(LESS.split()),
        set(WHOLE.split()),
    ]


def test_other_endpoints_say_what_they_need(app: App) -> None:
    """What passes unread needs the whole, for a list, too; a client's token is nothing to the tunnel."""
    token = app.given(WHOLE, "read")["access_token"]
    path = "/servers/demo/mcp"
    metadata = f"{app.relay.origin}/.well-known/oauth-protected-resource{path}"
    one = Client(app.relay.port, token, path=path)
    _, answer = one.send("tools/list", {})
    assert answer.status == 401, "it is for /mcp"
    assert metadata in answer.headers["www-authenticate"]
    answer.close()
    url = wanted(app.relay, app.id).replace("%2Fmcp&", f"{quote(path, safe='')}&")
    page = app.browser.open(url.replace("login+consent", ""))
    assert 'value="read"' not in page.text
    assert app.answered(page, "read")["error"] == "access_denied"
    page = app.browser.open(url.replace("login+consent", "").replace("=mcp+", "=mcp%3Aread+"))
    one.use_key(app.tokens(app.answered(page, "allow")["code"])["access_token"])
    check_refused(one.send("tools/list", {})[1], challenge(app.relay, path))


def test_a_batch_with_a_call_in_it_is_a_call(app: App) -> None:
    """And nothing of it is done."""
    token = app.given(WHOLE, "read")["access_token"]
    client = Client(app.relay.port, token, LEGACY[0]).connect()
    params = {"name": "demo__echo", "arguments": {"text": "x"}}
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params},
    ]
    connection = http.client.HTTPConnection("127.0.0.1", app.relay.port, timeout=TIMEOUT_S)
    connection.request("POST", "/mcp", json.dumps(batch), client.headers("", {}))
    check_refused(Answer(connection), challenge(app.relay))


CALL = '"method":"tools/call","params":{"name":"demo__note","arguments":{"id":"x"},"_meta":META}'
PING = '"method":"ping","params":{"_meta":META}'
BODIES = (
    '{"jsonrpc":"2.0","id":1,CALL}',
    '{"jsonrpc":"2.0",CALL}',
    '{"jsonrpc":"2.0","id":null,CALL}',
    '{"id":1,CALL}',
    '{"jsonrpc":"2.0","id":1,PING,CALL}',
    '{"jsonrpc":"2.0","id":1,CALL,PING}',
    '{"jsonrpc":"2.0","id":1,"id":2,CALL}',
    '{"jsonrpc":"2.0","id":1,CALL,"result":{}}',
    '{"jsonrpc":"2.0","id":1,CALL,"x":"\\ud83d"}',
    '{"jsonrpc":"2.0","id":1,PING}{"jsonrpc":"2.0","id":2,CALL}',
    '{"jsonrpc":"2.0","id":1,PING}\n{"jsonrpc":"2.0","id":2,CALL}',
    '\ufeff{"jsonrpc":"2.0","id":1,CALL}',
    '[{"jsonrpc":"2.0","id":1,PING},{"jsonrpc":"2.0","id":2,CALL}]',
    '[[{"jsonrpc":"2.0","id":1,CALL}]]',
    '[{"jsonrpc":"2.0",CALL},1]',
    f"[{'1,' * 100}" + '{"jsonrpc":"2.0","id":1,CALL}]',
    '{"jsonrpc":"2.0","id":1,' + CALL.replace("tools/call", "tools\\u002fcall") + "}",
    '{"jsonrpc":"2.0","id":1,' + CALL.replace("tools/call", "prompts/get") + "}",
    '{"jsonrpc":"2.0","id":1,' + CALL.replace("tools/call", "completion/complete") + "}",
    '{"jsonrpc":"2.0","id":1,' + CALL.replace("tools/call", "resources/subscribe") + "}",
    '{"jsonrpc":"2.0","id":1,' + CALL.replace("tools/call", "tasks/get") + "}",
)
"""Ways to write a call of a tool, or what might be taken for one."""

_OF_MODERN = json.dumps(
    {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
)


def tried(app: App, token: str, path: str, body: bytes, method: str, *fields: str) -> int:
    """Send a request as it stands; return the status."""
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *fields,
        "Connection: close",
    )
    with socket.create_connection(("127.0.0.1", app.relay.port), TIMEOUT_S) as sent:
        sent.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return int(sent.recv(65536).split(b" ", 2)[1])


def test_whatever_a_reader_sends_no_tool_runs(app: App) -> None:
    """However the call is written, whatever the headers say, in a session that may call, too."""
    file = app.relay.folder / "notes"
    servers = {"demo": counting_server.command(file)}
    key = app.relay.key("alice", "agent")
    app.agents.agent(app.relay, key, name="tower", servers=servers).start()
    token, whole = app.given(WHOLE, "read")["access_token"], app.given(WHOLE, "allow")
    sessions = [
        Client(app.relay.port, whole["access_token"], version).connect() for version in LEGACY
    ]
    (name,) = [one for one in sessions[0].tools() if one.endswith("note")]
    said = [
        ("Mcp-Method: tools/call", f"Mcp-Name: {name}", f"MCP-Protocol-Version: {MODERN}"),
        ("Mcp-Method: tools/list", f"MCP-Protocol-Version: {MODERN}"),
        ("Mcp-Method: ping", "Mcp-Method: tools/call", "X-HTTP-Method-Override: POST"),
        *((f"Mcp-Session-Id: {one.session}",) for one in sessions),
    ]
    for written in BODIES:
        for meta, fields in zip([_OF_MODERN] * 2 + ["{}"] * 4, said, strict=True):
            text = written.replace("CALL", CALL).replace("PING", PING).replace("META", meta)
            body = text.replace("demo__note", name).encode()
            assert tried(app, token, "/mcp", body, "POST", *fields) != 500
            for method in ("GET", "PUT", "PATCH", "OPTIONS"):
                assert tried(app, token, "/mcp", body, method, *fields) != 500
            for path in ("/mcp/", "//mcp", "/messages?session_id=x", "/servers/demo/mcp", "/sse"):
                assert tried(app, token, path, body, "POST", *fields) >= 400
    assert not file.read_text()
    assert not sessions[0].call(name, id="once").is_error
    assert file.read_text() == "once\n"

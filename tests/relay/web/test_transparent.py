"""Requests to single servers: who is let in, where they lead, and what is said when they cannot."""

import pytest

from mcptunnel.auth.keys import Scope
from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.testing.joined import Joined
from mcptunnel.wire.constants import ErrorCode
from tests.relay.web.site import HOST, HttpAnswer, head_of
from tests.relay.web.transparent_site import PATH, TransparentSite

PING = b'{"jsonrpc":"2.0","id":"one","method":"ping"}'


@pytest.fixture
def site() -> TransparentSite:
    return TransparentSite()


def refused(answer: HttpAnswer, status: int, text: str) -> None:
    assert answer.status == status
    assert answer.is_complete
    error = answer.json["error"]
    assert text in error["message"]
    assert error["data"] == {"outcome": "not_delivered"}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", [PATH, "/devices/laptop/servers/web/mcp"])
def test_a_request_reaches_its_server(site: TransparentSite, method: str, path: str) -> None:
    connection = site.begin(method, path + "?for=server&x=%2F", b"body")
    asked = site.last
    assert (asked.method, asked.path, asked.body) == (method, "?for=server&x=%2F", b"body")
    asked.answer(202)
    asked.send(b"answer")
    asked.end()
    site.settle()
    assert connection.answer.status == 202
    assert connection.answer.body == b"answer"
    assert connection.answer.is_complete


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "HEAD", "PATCH"])
def test_other_methods_are_not_offered(site: TransparentSite, method: str) -> None:
    answer = site.begin(method).answer
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, GET, DELETE"


def test_the_doors_are_those_of_the_hub(site: TransparentSite) -> None:
    """Host, Origin, token and scope, before anything is told about servers."""
    token = {"authorization": f"Bearer {site.token}", "host": HOST}
    for fields, status in (
        ({**token, "host": "evil.test"}, 421),
        ({**token, "origin": "https://evil.test"}, 403),
        ({"host": HOST}, 401),
        ({**token, "authorization": f"Bearer {site.key(scope=Scope.AGENT)}"}, 403),
    ):
        assert site.ask("GET", PATH, fields).status == status
        assert site.ask("GET", "/servers/none/mcp", fields).status == status
    assert not site.local.asked


@pytest.mark.parametrize(
    "path", ["/servers/none/mcp", "/devices/tower/servers/web/mcp", "/servers/web", "/devices/x"]
)
def test_what_there_is_not(site: TransparentSite, path: str) -> None:
    answer = site.begin(path=path, body=PING).answer
    assert answer.status == 404
    assert answer.json["error"] == "not_found"


def test_other_peoples_servers_are_not_there(site: TransparentSite) -> None:
    answer = site.begin(body=PING, token=site.key("bob")).answer
    assert answer.status == 404
    assert not site.local.asked


def test_a_device_that_is_away(site: TransparentSite) -> None:
    site.joined.lose(site.agent)
    answer = site.begin(body=PING).answer
    refused(answer, 503, "'laptop' is not connected")
    assert answer.json["id"] == "one"
    assert answer.headers["retry-after"] == "5"


def test_a_tunnel_with_no_room(site: TransparentSite) -> None:
    site.joined = Joined(tunnel=TunnelConfig(max_streams=1))
    site = _with_limit()
    waiting = site.begin("GET")
    answer = site.begin(body=PING).answer
    refused(answer, 503, "try again")
    assert not waiting.answers


def _with_limit() -> TransparentSite:
    site = TransparentSite()
    tunnel = site.joined.devices.everyone()[0].tunnel
    assert tunnel is not None
    limits = tunnel.session._exchanges._peer_limits
    tunnel.session._exchanges._peer_limits = type(limits)(limits.window_bytes, 1)
    return site


def test_a_head_that_no_tunnel_carries(site: TransparentSite) -> None:
    """The site refuses longer heads anyway; here 255 fields and ours are too many."""
    fields = {f"x-{number}": "1" for number in range(260)}
    refused(site.begin(body=PING, fields=fields).answer, 431, "too large")


# Sessions of the server.


def opened(site: TransparentSite, session_id: str = "abc") -> None:
    site.begin(body=PING)
    site.last.answer(200, ("mcp-session-id", session_id))
    site.last.end()
    site.settle()


def test_a_session_is_its_credentials_own(site: TransparentSite) -> None:
    """Another key of the same user gets 404, as if it did not exist."""
    opened(site)
    asked = len(site.local.asked)
    fields = {"mcp-session-id": "abc"}
    answer = site.begin(body=PING, fields=fields, token=site.key()).answer
    assert answer.status == 404
    assert answer.json["id"] == "one"
    assert answer.json["error"]["code"] == -32001
    assert len(site.local.asked) == asked
    site.begin(body=PING, fields=fields)
    assert len(site.local.asked) == asked + 1
    assert ("mcp-session-id", "abc") in site.last.headers


@pytest.mark.parametrize(
    "lines",
    [
        "mcp-session-id: mine\r\nMcp-Session-Id: abc",
        "mcp-session-id: abc\r\nmcp-session-id: abc",
        "mcp-session-id: abc\u00a0",
        "mcp-session-id: abc\u0085",
        "mcp-session-id: \x0babc",
    ],
)
def test_no_request_names_a_session_beside_the_one_that_is_checked(
    site: TransparentSite, lines: str
) -> None:
    """A local server may read the last of several, or cut off more than blanks."""
    opened(site)
    asked = len(site.local.asked)
    connection = site.connection()
    head = head_of("POST", PATH, {"host": HOST, "authorization": f"Bearer {site.key()}"})
    connection.send(head[:-2] + f"{lines}\r\ncontent-length: {len(PING)}\r\n\r\n".encode("latin-1"))
    connection.send(PING)
    answer = connection.answer
    assert answer.status == 400
    assert answer.json["id"] == "one"
    assert len(site.local.asked) == asked


def test_a_session_has_one_name(site: TransparentSite) -> None:
    """Servers that take `_` for `-` hear of no field that was not checked, nor of ours."""
    fields = {
        "mcp_session_id": "abc",
        "X_Forwarded_For": "1.2.3.4",
        "mcptunnel-client-era": "legacy",
    }
    site.begin(body=PING, fields={**fields, "mcp-param-a_b": "1"})
    names = [name for name, _ in site.last.headers]
    assert "mcp-param-a_b" in names
    assert not {name.lower() for name in fields} & set(names)


def test_an_unknown_session_is_the_first_ones_whom_the_server_lets(site: TransparentSite) -> None:
    fields = {"mcp-session-id": "from before"}
    for status, token in ((404, site.key()), (200, site.token)):
        site.begin(body=PING, fields=fields, token=token)
        site.last.answer(status)
        site.last.end()
        site.settle()
    assert site.begin(body=PING, fields=fields, token=site.key()).answer.status == 404


def test_an_ended_session_is_forgotten(site: TransparentSite) -> None:
    opened(site)
    site.begin("DELETE", fields={"mcp-session-id": "abc"})
    site.last.answer(204)
    site.last.end()
    site.settle()
    assert len(site.owners) == 0


def test_a_relay_that_stops(site: TransparentSite) -> None:
    site.joined.draining.is_on = True
    answer = site.begin(body=PING).answer
    refused(answer, 503, "The relay is stopping")
    assert answer.json["id"] == "one"
    assert answer.headers["retry-after"] == "1"


def test_a_device_that_is_stopping(site: TransparentSite) -> None:
    assert site.agent.tunnel is not None
    site.agent.tunnel.go_away(ErrorCode.NO_ERROR, "the agent is stopping")
    site.settle()
    answer = site.begin(body=PING).answer
    refused(answer, 503, "The device 'laptop' is going away")
    assert answer.headers["retry-after"] == "5"

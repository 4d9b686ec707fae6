"""Requests that lose their access: revoked, they end at once; expired, only what would last."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from mcptunnel.mcp.listens import LISTEN
from mcptunnel.relay.access import Access, Revoked, holder
from mcptunnel.relay.in_use import SWEEP_S
from mcptunnel.testing.local_server import MemoryServer, WaitingCall
from tests.relay.web.site import Connection, HttpClient, MemorySite, head_of
from tests.relay.web.transparent_site import TransparentSite

EVENTS = ("content-type", "text/event-stream")
CALL = {"name": "tower__files__wait"}
WISHES = {"notifications": {"toolsListChanged": True}}
ANY = Revoked(client_id="app")


class Tokens:
    """Tokens `app_1`… of one app, which expire and cannot be renewed (`credentials.BearerCheck`, `in_use.Grants`)."""

    prefix = "app_"

    def __init__(self, site: MemorySite, life_s: float) -> None:
        self._principal = site.keys.issue().record.principal
        self._expires_s = site.joined.epoch_s() + life_s
        self.is_revoked = False

    async def find(self, token: str) -> Access | None:
        if self.is_revoked:
            return None
        held = (self._principal, holder(token, "app"), token, token)
        return Access(*held, ("mcp",), "app", expires_s=self._expires_s)

    async def renewable(self, grant_ids: Collection[str]) -> Mapping[str, float]:
        return dict.fromkeys(grant_ids, 0.0)

    def used(self, access: Access) -> None:
        """Nobody wants to know."""

    def revoked(self, revoked: Revoked) -> None:
        self.is_revoked = True


def with_tokens(site: MemorySite, life_s: float) -> HttpClient:
    """Return a client with a token that expires."""
    site.joined.in_use.grants = tokens = Tokens(site, life_s)
    site.credentials._checks += (tokens,)
    return HttpClient(site, "app_1")


@pytest.fixture
def site() -> TransparentSite:
    return TransparentSite()


@pytest.fixture
def files(site: TransparentSite) -> MemoryServer:
    files = MemoryServer("files", {"wait": None})
    site.joined.agent(files, name="tower")
    return files


def called(connection: Connection, files: MemoryServer) -> WaitingCall:
    assert not connection.answers
    return files.calls[-1]


def broken_off(connection: Connection) -> bool:
    return connection.wire.aborted and connection.is_lost


def revoke(site: MemorySite) -> None:
    """Revoke everybody's key who has one."""
    for issued in list(site.keys.issued):
        site.revoke(issued.text)


def refused(connection: Connection) -> bool:
    answer = connection.answer
    assert answer.is_complete
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    return answer.status == 401


# Revoked.


def test_a_call_without_an_answer_is_refused_and_cancelled(
    site: TransparentSite, files: MemoryServer
) -> None:
    connection = site.client().modern("tools/call", CALL)
    call = called(connection, files)
    revoke(site)
    assert refused(connection)
    assert call.cancelled == "the client's access was revoked"
    assert len(site.joined.in_use) == 2  # the agents


def test_a_call_with_a_stream_ends_in_order(site: TransparentSite, files: MemoryServer) -> None:
    """Without a result: so its client sees that there is none."""
    about = {"progressToken": "t"}
    connection = site.client().modern("tools/call", CALL, about=about)
    call = files.calls[-1]
    call.progress(1)
    site.settle()
    revoke(site)
    assert connection.answer.is_complete
    (progress,) = connection.answer.events
    assert progress["method"] == "notifications/progress"
    assert call.cancelled


@pytest.mark.parametrize("has_left", [False, True])
def test_a_call_of_a_session_is_cancelled(
    site: TransparentSite, files: MemoryServer, has_left: bool
) -> None:
    """Whether its client waits for it or not."""
    client = site.client()
    client.initialize()
    connection = client.legacy("tools/call", CALL)
    call = called(connection, files)
    if has_left:
        connection.hang_up()
        assert call.cancelled is None
    revoke(site)
    assert call.cancelled
    assert has_left or refused(connection)
    assert not len(site.sessions)


def test_a_call_of_a_batch_is_cancelled(site: TransparentSite, files: MemoryServer) -> None:
    client = site.client()
    client.initialize("2025-03-26")
    batch: list[Any] = [
        {"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": CALL} for n in range(2)
    ]
    connection = client.post(batch)
    revoke(site)
    assert refused(connection)
    assert [call.cancelled is None for call in files.calls[-2:]] == [False, False]


def test_a_body_that_is_still_coming_is_read_by_nobody(site: TransparentSite) -> None:
    client = site.client()
    connection = site.connection()
    connection.send(head_of("POST", "/mcp", {**client.headers, "content-length": "1000"}) + b"{")
    revoke(site)
    assert refused(connection)
    assert connection.answer.headers["connection"] == "close"


def test_a_request_to_one_server_is_refused_before_its_head(site: TransparentSite) -> None:
    connection = site.begin(body=b"x")
    revoke(site)
    assert refused(connection)
    assert site.last.aborted


def test_a_response_of_one_server_is_broken_off(site: TransparentSite) -> None:
    connection = site.begin(body=b"x")
    site.last.answer(200, EVENTS)
    site.last.send(b"data: 1\n\n")
    site.settle()
    revoke(site)
    assert broken_off(connection)
    assert site.last.aborted
    assert len(site.joined.in_use) == 1  # the agent


def test_sessions_of_local_servers_are_ended_by_the_agent(site: TransparentSite) -> None:
    """As their clients would, who cannot any more; those of other keys go on."""
    other = site.key()
    for token in (site.token, other):
        site.begin(body=b"x", token=token)
        site.last.answer(200, ("mcp-session-id", f"of {token}"))
        site.last.end()
        site.settle()
    site.revoke(site.token)
    assert site.last.method == "DELETE"
    assert ("mcp-session-id", f"of {site.token}") in site.last.headers
    assert [asked.method for asked in site.local.asked] == ["POST", "POST", "DELETE"]
    assert len(site.owners) == 1


def test_an_error_that_waits_for_its_request_gives_way(site: TransparentSite) -> None:
    """To the refusal: there is only one answer."""
    fields = {"content-length": "1000"}
    site.joined.lose(site.agent)
    connection = site.begin(body=b"{", fields=fields)
    assert not connection.answers
    revoke(site)
    assert refused(connection)


def test_what_is_answered_is_in_use_no_more(site: TransparentSite) -> None:
    client = site.client()
    assert client.modern("tools/list").answer.status == 200
    waiting = client.at("/servers/web/mcp", "GET")
    assert len(site.joined.in_use) == 2  # the request and the agent
    waiting.hang_up()
    assert len(site.joined.in_use) == 1


# Expired.


def test_a_call_has_its_answer_although_its_token_expires(
    site: TransparentSite, files: MemoryServer
) -> None:
    client = with_tokens(site, 10)
    connection = client.modern("tools/call", CALL)
    call = files.calls[-1]
    site.joined.wait_s(10 + SWEEP_S)
    assert client.modern("tools/list").answer.status == 401
    call.answer("done")
    site.settle()
    assert connection.answer.events[-1]["result"]["content"][0]["text"] == "done"


def test_streams_that_last_end_in_order_when_their_token_expires(site: TransparentSite) -> None:
    """A client opens them again with a new one; of a listen comes the result."""
    client = with_tokens(site, 100)
    listen = client.modern(LISTEN, WISHES)
    old = client.at("/sse", "GET", accept="text/event-stream")
    client.initialize()
    stream = client.request("GET", accept="text/event-stream")
    streams = [listen, old, stream]
    site.joined.wait_s(99)
    assert not any(one.answer.is_complete for one in streams)
    site.joined.wait_s(1 + SWEEP_S)
    assert all(one.answer.is_complete for one in streams)
    assert listen.answer.events[-1]["result"]["resultType"] == "complete"
    assert len(site.sessions) == 1  # which goes on with the next token


def test_a_servers_own_stream_ends_when_its_token_expires(site: TransparentSite) -> None:
    with_tokens(site, 10)
    stream = site.begin("GET", token="app_1")
    site.last.answer(200, EVENTS)
    post = site.begin(body=b"x", token="app_1")
    site.last.answer(200, EVENTS)
    site.settle()
    site.joined.wait_s(10 + SWEEP_S)
    assert stream.answer.is_complete
    assert not post.answer.is_complete


def test_an_app_that_is_removed_loses_all_its_tokens(
    site: TransparentSite, files: MemoryServer
) -> None:
    first = with_tokens(site, 1000)
    second = HttpClient(site, "app_2")
    second.initialize()
    calls = [first.modern("tools/call", CALL), second.legacy("tools/call", CALL)]
    kept = site.client().modern("tools/call", CALL)
    site.revoked(ANY)
    assert all(refused(one) for one in calls)
    assert not kept.answers
    assert not len(site.sessions)
    assert [call.cancelled is None for call in files.calls] == [False, False, True]

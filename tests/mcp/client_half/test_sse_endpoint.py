"""The two paths of 2024-11-05: who may open a stream, and post to it."""

from typing import Any

import pytest

from mcptunnel.mcp.client_half import streams
from mcptunnel.mcp.service import Asker
from tests.mcp.client_half.stage import ALICE, FakeHttp, Stage, request

BOB = Asker("local|bob", "key:b")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def initialize(**capabilities: Any) -> Any:
    about = {"protocolVersion": "2025-11-25", "capabilities": capabilities}
    return request("initialize", {**about, "clientInfo": {"name": "c"}})


def session_of(http: FakeHttp) -> str:
    """Return the id that the first event tells to post with."""
    first, _, rest = http.body.partition(b"\n\n")
    assert first.startswith(b"event: endpoint\ndata: /messages?session_id=")
    assert not rest.strip(b":\n")
    return first.decode().partition("=")[2]


def test_the_first_event_says_where_to_post(stage: Stage) -> None:
    """Every stream has its own place."""
    first, second = stage.sse(), stage.sse()
    assert (first.status, first.is_stream, first.is_over) == (200, True, False)
    assert session_of(first) != session_of(second)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_stream_is_got(stage: Stage, method: str) -> None:
    http = stage.sse(method=method)
    assert (http.status, http.sent) == (405, (("allow", "GET"),))
    assert stage.sse(accept="application/json").status == 406


def test_a_message_is_posted(stage: Stage) -> None:
    session = session_of(stage.sse())
    ping = request("ping")
    for http, status in (
        (stage.post_sse(session, ping), 202),
        (stage.post_sse(session, ping, method="GET"), 405),
        (stage.post_sse(session, ping, content_type="text/plain"), 415),
        (stage.post_sse(session, b"{"), 400),
        (stage.post_sse(session, [ping]), 400),
        (stage.post_sse(None, ping), 400),
        (stage.post_sse("unknown", ping), 404),
    ):
        assert http.status == status
    assert not stage.asked


@pytest.mark.parametrize("other", [BOB, Asker(ALICE.principal, "key:other")])
def test_a_session_is_its_own_clients_alone(stage: Stage, other: Asker) -> None:
    stream = stage.sse()
    http = stage.post_sse(session_of(stream), request("ping"), other)
    assert (http.status, http.code) == (404, -32001)
    session_of(stream)  # nothing came


def test_streams_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_STREAMS", 1)
    first = stage.sse()
    assert stage.sse().status == 429
    assert stage.sse(BOB).status == 200
    first.hang_up()
    assert stage.sse().status == 200


def test_who_is_stopping_puts_off_what_would_begin(stage: Stage) -> None:
    """Streams without a call end at once; answers to questions are still taken."""
    busy, idle = stage.sse(), stage.sse()
    session = session_of(busy)
    stage.post_sse(session, initialize())
    stage.asked.clear()
    stage.post_sse(session, request("tools/call", {"name": "t"}, 2))
    call = stage.take()
    stage.draining.is_on = True
    stage.endpoint.end_streams()
    assert (busy.is_over, idle.is_over) == (False, True)
    assert stage.sse().status == 503
    late = stage.post_sse(session, request("tools/list", {}, 3))
    assert (late.status, late.json["id"]) == (503, 3)
    assert stage.post_sse(session, request("notifications/x", {}, None)).status == 202
    call.text("done")
    assert busy.last["result"]["content"][0]["text"] == "done"
    assert busy.is_over


def test_a_revoked_key_ends_its_sessions_at_once(stage: Stage) -> None:
    mine, others = stage.sse(), stage.sse(BOB)
    session = session_of(mine)
    stage.post_sse(session, initialize())
    stage.asked.clear()
    stage.post_sse(session, request("tools/call", {"name": "t"}, 2))
    call = stage.take()
    stage.endpoint.end_sessions(lambda asker: asker == ALICE)
    assert (mine.is_over, others.is_over) == (True, False)
    assert call.cancelled

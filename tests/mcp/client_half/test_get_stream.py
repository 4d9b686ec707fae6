"""The GET stream of a session."""

import pytest

from mcptunnel.mcp.client_half.get_stream import MAX_UNREAD_BYTES
from mcptunnel.mcp.client_half.streams import MAX_STREAMS
from mcptunnel.mcp.client_half.unread import DEADLINE_S
from tests.mcp.client_half.stage import Asked, LegacyClient, Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def client(stage: Stage) -> LegacyClient:
    return stage.client()


def test_the_head_comes_at_once(client: LegacyClient, stage: Stage) -> None:
    http = client.listen()
    assert (http.status, http.is_stream, http.body) == (200, True, b":\n\n")
    stage.timers.pass_s(60)
    assert http.comments == 5


def test_a_second_stream_takes_the_place_of_the_first(client: LegacyClient, stage: Stage) -> None:
    """The first one's connection may be dead; the listen goes on."""
    first = client.listen()
    asked = stage.take()
    asked.acknowledge()
    second = client.listen()
    assert first.is_over
    assert not stage.asked
    assert asked.cancelled is None
    asked.notify("notifications/tools/list_changed")
    assert len(second.events) == 1
    assert first.events == []


def test_a_client_that_reads_slowly(client: LegacyClient, stage: Stage) -> None:
    """The service is asked to wait; what comes all the same is bounded."""
    http = client.listen()
    asked = stage.take()
    asked.acknowledge()
    http.slow(True)
    assert asked.held == [True]
    stage.timers.pass_s(DEADLINE_S - 1)
    assert http.comments == 1
    asked.notify("notifications/tools/list_changed")
    http.slow(False)
    assert asked.held == [True, False]
    assert len(http.events) == 1
    http.slow(True)
    for _ in range(MAX_UNREAD_BYTES // 1000 + 1):
        asked.notify("notifications/tools/list_changed", _meta={"x/y": "x" * 1000})
    assert http.is_over
    assert len(http.body) < MAX_UNREAD_BYTES + 2000


def test_a_client_that_takes_nothing_loses_its_stream(client: LegacyClient, stage: Stage) -> None:
    http = client.listen()
    stage.take().acknowledge()
    http.slow(True)
    stage.timers.pass_s(DEADLINE_S + 1)
    assert http.is_over
    assert not stage.endpoint._streams._open


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "application/json"}, 406),
        ({"accept": None}, 200),
        ({"accept": "*/*"}, 200),
        ({"mcp_session_id": None}, 405),
        ({"mcp_session_id": "another"}, 404),
        ({"mcp_protocol_version": "2025-11-25"}, 200),
        ({"mcp_protocol_version": "2026-07-28"}, 405),
        ({"mcp_protocol_version": "x"}, 400),
        ({"last_event_id": "5"}, 200),
    ],
)
def test_who_gets_one(client: LegacyClient, headers: dict[str, str | None], status: int) -> None:
    assert client.listen(**headers).status == status


def test_streams_of_a_principal_are_bounded(stage: Stage) -> None:
    streams = [stage.client().listen() for _ in range(MAX_STREAMS)]
    client = stage.client()
    assert client.listen().status == 429
    streams[0].hang_up()
    assert client.listen().status == 200


def test_it_can_be_ended(client: LegacyClient, stage: Stage) -> None:
    """By us, in order: the session stays, and a new stream can be opened."""
    http = client.listen()
    stage.take()
    stage.endpoint.end_streams()
    assert http.is_over
    assert client.listen().status == 200


def test_access_that_is_revoked_ends_all(client: LegacyClient, stage: Stage) -> None:
    http, call = client.listen(), client.call()
    stage.endpoint.end_sessions(lambda asker: asker == client.asker)
    assert http.is_over
    assert call.status == 202
    assert all(asked.cancelled for asked in stage.asked)
    assert client.call().status == 404


@pytest.mark.parametrize("is_replaced", [True, False])
def test_who_read_too_slowly_hears_on_the_next_stream(
    client: LegacyClient, stage: Stage, is_replaced: bool
) -> None:
    """The service is not asked to wait for a stream that is over."""
    client.request("resources/subscribe", {"uri": "x:a"})
    asked = stage.take()
    asked.acknowledge(resourceSubscriptions=["x:a"])
    slow = client.listen()
    slow.slow(True)
    if not is_replaced:
        stage.timers.pass_s(DEADLINE_S)
        assert slow.is_over
        assert asked.held == [True, False]
    second = client.listen()
    assert slow.is_over
    assert asked.held == [True, False]
    asked.notify("notifications/resources/updated", uri="x:a")
    assert [event["params"] for event in second.events] == [{"uri": "x:a"}]


def test_what_waits_for_a_slow_client_is_not_lost_when_it_subscribes(
    client: LegacyClient, stage: Stage
) -> None:
    """It is sent before the listen ends, and the next listen waits like the one before."""
    http = client.listen()
    before = stage.take()
    before.acknowledge()
    http.slow(True)
    client.request("resources/subscribe", {"uri": "x:a"})
    after = stage.take()
    assert (before.held, after.held) == ([True], [True])
    after.acknowledge(resourceSubscriptions=["x:a"])
    assert before.held == [True, False]
    assert before.cancelled is not None
    http.slow(False)
    assert after.held == [True, False]


def test_a_slow_client_for_which_too_much_waits_loses_its_stream_and_nothing_else(
    client: LegacyClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it unsubscribes from the last resource, all that has waited is too much."""
    client.request("resources/subscribe", {"uri": "x:a"})
    before = stage.take()
    before.acknowledge(resourceSubscriptions=["x:a"])
    http = client.listen()
    http.slow(True)

    def flush(asked: Asked, holding: bool) -> None:
        if asked is before and not holding:
            large = {"x/y": "x" * MAX_UNREAD_BYTES}
            asked.notify("notifications/resources/updated", uri="x:a", _meta=large)

    monkeypatch.setattr(Asked, "hold", flush)
    client.request("resources/unsubscribe", {"uri": "x:a"})
    after = stage.take()
    after.acknowledge()
    assert http.is_over
    assert None not in (before.cancelled, after.cancelled)
    assert not client.listen().is_over

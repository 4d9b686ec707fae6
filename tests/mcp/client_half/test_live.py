"""The running part of a session."""

from msgspec import Raw

from mcptunnel.mcp.client_half.live import Live
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.jsonrpc import Response
from tests.mcp.client_half.stage import ALICE, FakeService, Stage


def live() -> Live:
    stage = Stage()
    session = McpSession("s", ALICE, "2025-11-25", Raw(b"{}"))
    return Live(session, FakeService(stage, ALICE), stage.endpoint._sessions._shared)


def test_ids_of_ours_are_new_each_time() -> None:
    """And begin with chance, so that a restart repeats none."""
    one = live()
    made = {one.new_id() for _ in range(100)}
    assert len(made) == 100
    assert len({each.partition(".")[0] for each in made}) == 1
    assert all(len(each.partition(".")[0]) == 12 for each in made)


def test_an_answer_to_nothing_is_passed_over() -> None:
    for response_id in (None, 5, "x"):
        live().answered(Response(response_id, Raw(b"{}")))


def test_ending_without_anything_under_way() -> None:
    one = live()
    one.end("over")
    one.stop()

"""Parked calls that give way: only those that stand in the way, and only after a while."""

import pytest

from mcptunnel.mcp.server_half.questions import (
    MAX_PARKED_OF_ASKER,
    MAX_PARKED_OF_PRINCIPAL,
    PATIENCE_S,
    SHARED_TEXT,
)
from mcptunnel.mcp.service import Asker
from tests.mcp.server_half.bench import EVE, KEN, Bench
from tests.mcp.server_half.talk import delivered
from tests.mcp.server_half.test_questions import ACCEPT, error_of


def test_an_answer_that_is_held_does_not_give_way_to_another_clients_question() -> None:
    """It is nobody's hindrance: the server is through with that call, and its client may come late."""
    bench = Bench()
    _, parked = bench.called(KEN)
    bench.question("a")
    _, _, state = bench.asked()
    bench.say(id=parked, result={"content": []})
    bench.called(EVE)
    other, _ = bench.called(Asker("local|bob", "key-3"))
    bench.pass_seconds(PATIENCE_S)
    bench.question("b")
    assert error_of(bench)["message"] == SHARED_TEXT
    bench.pass_seconds(0)
    bench.conversation.cancel(other, "over")
    bench.take()
    bench.retry(state, KEN, answers={"1": ACCEPT})
    ((_, message),) = bench.heard()
    assert message["result"]["content"] == []


@pytest.mark.parametrize("is_own", [True, False])
def test_who_has_too_many_parked_calls_drives_out_nobody_elses(is_own: bool) -> None:
    """Neither one client nor one user: the oldest gives way that counts towards the same bound."""
    bench = Bench(streams=True)

    def park(asker: Asker) -> str | None:
        _, own = bench.called(asker)
        bench.question(own, origin=own)
        actions = bench.take()
        return delivered(actions)[0][1]["result"]["requestState"] if delivered(actions) else None

    state = park(EVE)
    most = MAX_PARKED_OF_ASKER if is_own else MAX_PARKED_OF_PRINCIPAL
    askers = [KEN if is_own else Asker(KEN.principal, f"{number}") for number in range(most)]
    bench.pass_seconds(1)
    assert all(map(park, askers))
    bench.pass_seconds(PATIENCE_S)
    assert park(askers[0]) is None
    bench.pass_seconds(0)
    (cancelled,) = [line["params"] for line in bench.sent() if "method" in line]
    assert cancelled["requestId"] == 2
    bench.retry(state, EVE, answers={"1": ACCEPT})
    assert [line["result"] for line in bench.sent()] == [ACCEPT]

"""Seals: the secret is asked for once, when it is needed, and each sealed text is for one purpose."""

import pytest

from mcptunnel.auth.keys import Scope
from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.relay.access import access_of_key
from mcptunnel.relay.hub.seals import Seals

ALICE = access_of_key(Principal("a|b", "c"), "1", Scope.MCP)
OTHER = access_of_key(Principal("a", "b|c"), "1", Scope.MCP)
DIGEST = b"0123456789abcdef"


class Bench:
    def __init__(self) -> None:
        self.asked = 0
        self.now_s = 1000.0
        self.seals = Seals(self.secret, lambda count: b"n" * count, lambda: self.now_s)

    def secret(self) -> bytes:
        self.asked += 1
        return b"s" * 32


def test_the_secret_is_asked_for_when_it_is_needed() -> None:
    bench = Bench()
    assert bench.asked == 0
    for _ in range(3):
        bench.seals.cursor(ALICE, Kind.TOOL, 5)
    assert bench.asked == 1


def test_what_was_sealed_comes_back() -> None:
    seals = Bench().seals
    assert seals.open_cursor(ALICE, Kind.TOOL, seals.cursor(ALICE, Kind.TOOL, 500)) == 500
    state = seals.state(ALICE, DIGEST, "d", "s", None)
    assert seals.open_state(ALICE, DIGEST, state) == ("d", "s", None)


def test_users_whose_names_look_alike_are_told_apart() -> None:
    seals = Bench().seals
    cursor = seals.cursor(ALICE, Kind.TOOL, 1)
    state = seals.state(ALICE, DIGEST, "d", "s", "x")
    with pytest.raises(JsonRpcError):
        seals.open_cursor(OTHER, Kind.TOOL, cursor)
    with pytest.raises(JsonRpcError):
        seals.open_state(OTHER, DIGEST, state)


def test_a_cursor_is_no_state() -> None:
    seals = Bench().seals
    with pytest.raises(JsonRpcError):
        seals.open_state(ALICE, DIGEST, seals.cursor(ALICE, Kind.TOOL, 1))


def test_a_state_is_good_in_its_own_session_and_a_cursor_in_all_of_a_client() -> None:
    seals = Bench().seals
    one, other = ALICE.of_session("1"), ALICE.of_session("2")
    state = seals.state(one, DIGEST, "d", "s", "x")
    assert seals.open_state(one, DIGEST, state) == ("d", "s", "x")
    for stranger in (other, ALICE):
        with pytest.raises(JsonRpcError):
            seals.open_state(stranger, DIGEST, state)
    assert seals.open_cursor(other, Kind.TOOL, seals.cursor(one, Kind.TOOL, 1)) == 1

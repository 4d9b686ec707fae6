"""What only reads, and what does more."""

import json

import pytest

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.batch import MAX_MESSAGES
from mcptunnel.mcp.eras import _REMOVED
from mcptunnel.mcp.reading import READING, only_reads


def body(*methods: str, **members: object) -> bytes:
    messages = [{"jsonrpc": "2.0", "id": 1, "method": one, **members} for one in methods]
    return json.dumps(messages[0] if len(messages) == 1 else messages).encode()


@pytest.mark.parametrize("method", sorted(READING))
def test_lists_and_what_they_list_but_tools_are_reading(method: str) -> None:
    assert only_reads(body(method))
    assert only_reads(body(method, "ping"))


def test_a_session_of_any_version_can_be_had_to_read() -> None:
    assert _REMOVED <= READING


@pytest.mark.parametrize(
    "method",
    ["tools/call", "tasks/get", "tasks/cancel", "sampling/createMessage", "", "Tools/List", "x"],
)
def test_calling_is_more_and_so_is_what_nobody_knows(method: str) -> None:
    """Also somewhere in a batch, and written in another way."""
    assert not only_reads(body(method))
    assert not only_reads(body("ping", method, "ping"))
    assert not only_reads(json.dumps([json.loads(body(method))]).encode())


@pytest.mark.parametrize(
    "text",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools\\/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\\u0074ools/call"}',
        b' \n[{"jsonrpc":"2.0","id":1,"method":"tools/call"}]',
    ],
)
def test_it_is_read_as_whoever_answers_reads_it(text: bytes) -> None:
    assert not only_reads(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no JSON",
        b"[1]",
        b"7",
        b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
        b'{"jsonrpc":"2.0","id":"a.1","result":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":7}',
    ],
)
def test_what_asks_for_nothing_reads(text: bytes) -> None:
    """Answers to our questions, notifications; and what whoever answers refuses anyway."""
    assert only_reads(text)


def test_a_batch_that_is_too_long_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused in any case, and to look at two million messages takes seconds."""
    longest = b"[%b]" % b",".join([b"1"] * MAX_MESSAGES)
    assert only_reads(longest)
    looked: list[object] = []
    monkeypatch.setattr(jsonrpc, "parse_item", looked.append)
    assert not only_reads(longest.replace(b"[", b"[1,"))
    assert looked == []

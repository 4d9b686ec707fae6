"""Lines read as messages."""

import pytest

from mcptunnel.mcp.jsonrpc import Notification, Response
from mcptunnel.mcp.server_half.lines import messages

NOTIFIED = b'{"jsonrpc":"2.0","method":"n"}'


def read(line: bytes) -> tuple[list[object], list[str]]:
    junk = list[str]()
    return list(messages(line, junk.append)), junk


def test_a_line_is_one_message_or_a_batch_of_them() -> None:
    assert read(NOTIFIED + b"\r\n") == ([Notification("n")], [])
    assert read(b"[%b,%b]" % (NOTIFIED, NOTIFIED)) == ([Notification("n")] * 2, [])


@pytest.mark.parametrize(
    ("line", "samples"),
    [
        (b"", []),
        (b" \t\r\n", []),
        (b"hello", ["hello"]),
        (b"x" * 999, ["x" * 200]),
        (b"[]", ["[]"]),
        (b"[1,2,3]", ["1"]),
        (b"[[]]", ["[[]]"]),
    ],
)
def test_what_is_no_message_is_told_once(line: bytes, samples: list[str]) -> None:
    assert read(line) == ([], samples)


def test_what_came_before_the_junk_of_a_batch_counts() -> None:
    assert read(b"[%b,5,%b]" % (NOTIFIED, NOTIFIED)) == ([Notification("n")], ["5"])


def test_a_broken_answer_is_an_error_in_its_place() -> None:
    found, junk = read(b'{"jsonrpc":"2.0","id":3}')
    (failed,) = found
    assert isinstance(failed, Response)
    assert (failed.id, failed.result, len(junk)) == (3, None, 1)

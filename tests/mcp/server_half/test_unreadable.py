"""Which call an answer was meant for that no decoder can read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.mcp.server_half.unreadable import failed_answer

DEEP = "[" * 100_000 + "]" * 100_000


def meant_for(text: str) -> object:
    with pytest.raises(JsonRpcError) as refused:
        jsonrpc.parse(text.encode())
    failed = failed_answer(text.encode(), refused.value)
    if failed is None:
        return None
    error = jsonrpc.error_of(failed)
    assert error is not None
    assert error.code == jsonrpc.INTERNAL_ERROR
    return failed.id


@pytest.mark.parametrize(
    "text",
    [
        '{"jsonrpc":"2.0","id":7,"result":%s}',
        '{"jsonrpc": "2.0", "id": 7, "error": {"data": %s}}',
        '{"id":7,"result":{"id":8,"method":"m","deep":%s}}',
        '{"result":{"id":8,"x":%s},"jsonrpc":"2.0","id":7}',
        '{"jsonrpc":"2.0","result":%s,"id":7}\r',
        '{"result":%s,"id":7,"jsonrpc":"2.0"}',
    ],
)
def test_the_id_is_found_before_or_behind_what_is_too_deep(text: str) -> None:
    """The orders in which the SDKs write an answer's members."""
    assert meant_for(text % DEEP) == 7


@pytest.mark.parametrize(
    "text",
    [
        '{"jsonrpc":"2.0","id":7,"method":"m","params":%s}',
        '{"method":"m","params":%s,"jsonrpc":"2.0","id":7}',
        '{"jsonrpc":"2.0","id":"7","result":%s}',
        '{"jsonrpc":"2.0","result":{"x":%s,"id":7}}',
        '[{"jsonrpc":"2.0","id":7,"result":%s}]',
        "%s",
    ],
)
def test_nothing_else_is_taken_for_an_answer(text: str) -> None:
    """No request, no id of somebody else's, and no id that belongs to a part of the result."""
    assert meant_for(text % DEEP) is None


def test_an_answer_without_result_is_known_by_the_id_that_was_read() -> None:
    assert meant_for('{"jsonrpc":"2.0","id":7}') == 7
    assert meant_for('{"jsonrpc":"2.0","id":7,"method":5}') is None


@given(st.binary(max_size=60))
def test_any_text_gives_an_answer_or_none(text: bytes) -> None:
    failed_answer(text, JsonRpcError(jsonrpc.PARSE_ERROR, "no"))
    failed = failed_answer(b'{"id":1,"result":' + text, JsonRpcError(jsonrpc.PARSE_ERROR, "no"))
    assert failed is not None
    assert json.loads(jsonrpc.encode(failed))["id"] == 1

"""JSON-RPC: what is a message, what is refused, and that nothing we do not read is changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    MAX_REPAIRED_BYTES,
    PARSE_ERROR,
    Batch,
    JsonRpcError,
    Message,
    Notification,
    Request,
    Response,
)

texts = st.text(st.characters(codec="utf-8"))
ids = texts | st.integers(-(2**63), 2**64)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
raws = values.map(jsonrpc.raw)
members = st.dictionaries(texts, raws, max_size=4)
messages = st.one_of(
    st.builds(Request, ids, texts, members),
    st.builds(Notification, texts, members),
    st.builds(Response, ids, raws),
    st.builds(
        Response, ids | st.none(), st.none(), st.dictionaries(texts, values).map(jsonrpc.raw)
    ),
)


def plain(message: Message | Batch) -> object:
    """Write a message in a form that can be compared: Raw compares by its bytes."""
    if isinstance(message, Batch):
        return [bytes(item) for item in message.items]
    if isinstance(message, Response):
        result = None if message.result is None else bytes(message.result)
        return message.id, result, None if message.error is None else bytes(message.error)
    params = {name: bytes(value) for name, value in message.params.items()}
    return (message.id if isinstance(message, Request) else None), message.method, params


@given(messages)
def test_what_is_encoded_is_read_back(message: Message) -> None:
    encoded = jsonrpc.encode(message)
    assert b"\n" not in encoded
    read = jsonrpc.parse(encoded)
    assert type(read) is type(message)
    assert plain(read) == plain(message)


@given(messages)
def test_any_json_reader_understands_what_is_encoded(message: Message) -> None:
    decoded = json.loads(jsonrpc.encode(message))
    assert decoded["jsonrpc"] == "2.0"
    assert ("method" in decoded) is not isinstance(message, Response)


def test_an_answer_is_encoded_with_exactly_one_of_result_and_error() -> None:
    """Whatever it was made of: no reader is left to choose, or to find neither."""
    one, two = Raw(b"1"), Raw(b"2")
    assert jsonrpc.encode(Response(7)) == b'{"jsonrpc":"2.0","id":7,"result":null}'
    assert jsonrpc.encode(Response(7, one, two)) == b'{"jsonrpc":"2.0","id":7,"error":2}'
    assert jsonrpc.encode(Response(None, None, two)) == b'{"jsonrpc":"2.0","id":null,"error":2}'
    assert jsonrpc.encode(Request(7, "ping")) == b'{"jsonrpc":"2.0","id":7,"method":"ping"}'
    assert jsonrpc.encode(Notification("n", {})) == b'{"jsonrpc":"2.0","method":"n"}'


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_message_or_a_json_rpc_error(body: bytes) -> None:
    try:
        read = jsonrpc.parse(body)
    except JsonRpcError as error:
        assert error.code in {PARSE_ERROR, INVALID_REQUEST}  # noqa: PT017 - both ends are right
    else:
        assert isinstance(read, Request | Notification | Response | Batch)


def test_members_pass_byte_for_byte() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1.00e2,"b":{"x" : "\\u00e9"}}}'
    read = jsonrpc.parse(body)
    assert isinstance(read, Request)
    assert bytes(read.params["a"]) == b"1.00e2"
    assert jsonrpc.encode(read) == body


@pytest.mark.parametrize("request_id", [1, -1, 0, "", "1", 2**63, 10**40])
def test_an_id_keeps_its_type(request_id: int | str) -> None:
    read = jsonrpc.parse(json.dumps({"id": request_id, "method": "m"}).encode())
    assert isinstance(read, Request)
    assert (type(read.id), read.id) == (type(request_id), request_id)


@pytest.mark.parametrize("request_id", ["null", "1.5", "1e2", "true", "[]", "{}"])
def test_a_request_with_another_id_is_refused(request_id: str) -> None:
    body = f'{{"jsonrpc":"2.0","id":{request_id},"method":"m"}}'.encode()
    with pytest.raises(JsonRpcError, match="id must be") as caught:
        jsonrpc.parse(body)
    assert (caught.value.code, caught.value.request_id) == (INVALID_REQUEST, None)


@pytest.mark.parametrize("body", [b"", b"{", b"tru", b"{]", b"[1,", b'"abc', b"[" * 100_000, b"1 2", b'{"a":"\xff"}', b'{"a":"\n"}', b'{"id":1,"method":"m","params":{"a":01}}'])  # fmt: skip
def test_what_is_no_json_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        jsonrpc.parse(body)
    assert caught.value.code == PARSE_ERROR


@pytest.mark.parametrize("body", [b"1", b'"a"', b"null", b"{}", b'{"id":1}', b'{"method":1}', b'{"id":1,"result":1,"error":{}}', b'{"id":1,"error":null}'])  # fmt: skip
def test_json_that_is_no_message_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        jsonrpc.parse(body)
    assert caught.value.code == INVALID_REQUEST


@pytest.mark.parametrize("params", [b"[]", b"1", b'"a"'])
def test_params_that_are_no_object_are_refused_to_the_right_id(params: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        jsonrpc.parse(b'{"id":"x","method":"m","params":' + params + b"}")
    assert (caught.value.code, caught.value.request_id) == (INVALID_REQUEST, "x")


def test_params_null_count_as_absent() -> None:
    assert jsonrpc.parse(b'{"method":"m","params": null }') == Notification("m")


def test_answers_in_the_style_of_json_rpc_1_are_understood() -> None:
    """Some servers write both members and one of them null."""
    success = jsonrpc.parse(b'{"id":1,"result":{},"error":null}')
    assert plain(success) == (1, b"{}", None)
    failure = jsonrpc.parse(b'{"id":1,"result":null,"error":{"code":1}}')
    assert plain(failure) == (1, None, b'{"code":1}')
    empty = jsonrpc.parse(b'{"id":1,"result":null}')
    assert plain(empty) == (1, b"null", None)


def test_of_duplicate_members_the_last_one_counts_and_goes_on() -> None:
    read = jsonrpc.parse(b'{"id":1,"method":"a","method":"b","params":{"x":1,"x":2}}')
    assert jsonrpc.encode(read) == b'{"jsonrpc":"2.0","id":1,"method":"b","params":{"x":2}}'  # type: ignore[arg-type]  # it is a request


def test_a_batch_keeps_its_items_unread() -> None:
    read = jsonrpc.parse(b'[{"id":1,"method":"a"}, 5]')
    assert plain(read) == [b'{"id":1,"method":"a"}', b"5"]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (rb"cut \ud83d here", "cut \ufffd here"),
        (rb"\ude00", "\ufffd"),
        (rb"whole \ud83d\ude00 and cut \ud83d", "whole \U0001f600 and cut \ufffd"),
        (rb"\\ud83d \ud83d", r"\ud83d" + " \ufffd"),
        (rb"\\\ud83d", "\\\ufffd"),
    ],
)
def test_half_an_emoji_does_not_lose_the_message(sent: bytes, read: str) -> None:
    """JavaScript writes lone surrogates when it cuts a text; UTF-8 has no place for them."""
    message = jsonrpc.parse(b'{"id":1,"result":{"text":"' + sent + b'"}}')
    assert isinstance(message, Response)
    assert message.result is not None
    assert jsonrpc.decode(message.result) == {"text": read}


@pytest.mark.parametrize("size", [MAX_REPAIRED_BYTES, MAX_REPAIRED_BYTES + 1])
def test_only_what_can_be_repaired_in_a_moment_is(size: int) -> None:
    """A large message full of lone surrogates would hold up everybody else."""
    start, end = b'{"id":1,"result":{"text":"', b'"}}'
    room = size - len(start) - len(end)
    body = start + rb"\ud83d" * (room // 6) + b"x" * (room % 6) + end
    if size <= MAX_REPAIRED_BYTES:
        assert isinstance(jsonrpc.parse(body), Response)
    else:
        with pytest.raises(JsonRpcError) as caught:
            jsonrpc.parse(body)
        assert caught.value.code == jsonrpc.PARSE_ERROR


def test_line_breaks_between_tokens_do_not_reach_the_line() -> None:
    read = jsonrpc.parse(b'{"id":1,"result":{\r\n"a":\n"b\\n"}}')
    assert isinstance(read, Response)
    encoded = jsonrpc.encode(read)
    assert b"\n" not in encoded
    assert b"\r" not in encoded
    assert json.loads(encoded)["result"] == {"a": "b\n"}


def test_an_error_becomes_a_response_and_back() -> None:
    error = JsonRpcError(-32020, "No match", {"header": "mcp-name"}, "a")
    back = jsonrpc.error_of(error.response())
    assert back is not None
    assert (back.code, back.message, back.request_id) == (-32020, "No match", "a")
    for one in (error, back):
        assert jsonrpc.data_as(one, dict[str, str]) == {"header": "mcp-name"}
        assert jsonrpc.data_as(one, list[str]) is None
    assert back.response() == error.response()
    assert error.response(5).id == 5
    assert jsonrpc.error_of(Response(1, Raw(b"{}"))) is None


@pytest.mark.parametrize("error", [b"null", b"[]", b'"x"', b"{}", b'{"code":"1"}', b'{"code":1.5}'])
def test_a_malformed_error_is_still_an_error(error: bytes) -> None:
    back = jsonrpc.error_of(Response(1, None, Raw(error)))
    assert back is not None
    assert (back.code, back.request_id) == (INTERNAL_ERROR, 1)


@pytest.mark.parametrize("data", [b'{"a" : [ 1 ]}', b"[" * 300 + b"]" * 300, b'"\\\\"', b"0"])
def test_the_data_of_an_error_is_never_decoded(data: bytes) -> None:
    """It passes byte for byte, and as it was written, whatever it is."""
    back = jsonrpc.error_of(Response(1, None, Raw(b'{"code":5,"message":"m","data":%b}' % data)))
    assert back is not None
    assert isinstance(back.data, Raw)
    assert bytes(back.data) == data
    assert data in jsonrpc.encode(back.response())


def test_data_that_is_null_is_none() -> None:
    back = jsonrpc.error_of(Response(1, None, Raw(b'{"code":5,"message":"m","data":null}')))
    assert back is not None
    assert back.data is None


@pytest.mark.parametrize("value", [b"[]", b"1", b'{"\xff":1}', b"{", b"null"])
def test_members_of_anything_but_an_object_are_invalid_params(value: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        jsonrpc.members(value)
    assert caught.value.code == INVALID_PARAMS
    assert jsonrpc.members(None) == {}


def test_text_is_none_for_anything_but_a_string() -> None:
    assert jsonrpc.text(Raw(b'"a"')) == "a"
    assert [jsonrpc.text(Raw(v)) for v in (b"1", b"null", b'"\xff"', b"{")] == [None] * 4
    assert jsonrpc.text(None) is None


def test_decode_refuses_what_python_cannot_hold() -> None:
    assert jsonrpc.decode(b'{"a":[1,2.5,"x",null]}') == {"a": [1, 2.5, "x", None]}
    for value in (b"[" * 50_000 + b"]" * 50_000, b'"\xff"', b"{"):
        with pytest.raises(JsonRpcError):
            jsonrpc.decode(value)


def test_with_member_copies() -> None:
    before = {"a": Raw(b"1")}
    assert jsonrpc.with_member(before, "b", "x").keys() == {"a", "b"}
    assert jsonrpc.with_member(before, "a", None) == {}
    assert bytes(jsonrpc.with_member(before, "a", Raw(b"[ ]"))["a"]) == b"[ ]"
    assert before == {"a": Raw(b"1")}

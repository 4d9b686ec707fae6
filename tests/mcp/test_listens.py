"""Which exchanges are no calls, and how their streams end."""

import json

import pytest

from mcptunnel.mcp import sse
from mcptunnel.mcp.listens import LISTEN, LastingStream, is_lasting, lasting
from mcptunnel.model import RequestHead, ResponseHead

STREAM = ResponseHead(200, (("content-type", "text/event-stream; charset=utf-8"),))
GET = RequestHead("web", "GET", "")
CALL = RequestHead("web", "POST", "", (("mcp-method", "tools/call"),))
LISTENING = RequestHead("web", "POST", "", (("mcp-method", LISTEN),))


@pytest.mark.parametrize(
    ("request_head", "lasts"), [(GET, True), (LISTENING, True), (CALL, False)], ids=str
)
def test_gets_and_listens_last(request_head: RequestHead, *, lasts: bool) -> None:
    assert is_lasting(request_head) is lasts
    assert (lasting(request_head, STREAM) is not None) is lasts


@pytest.mark.parametrize(
    "fields",
    [
        (("content-type", "application/json"),),
        (),
        (*STREAM.headers, ("content-length", "5")),
    ],
)
def test_an_answer_with_an_end_of_its_own_does_not_last(
    fields: tuple[tuple[str, str], ...],
) -> None:
    assert lasting(GET, ResponseHead(200, fields)) is None


def passed(head: RequestHead, *pieces: bytes) -> LastingStream:
    stream = LastingStream(head, STREAM)
    for piece in pieces:
        stream.passed(piece)
    return stream


@pytest.mark.parametrize("request_id", [7, "seven"])
@pytest.mark.parametrize(
    "pieces",
    [(), (b"data: 1\n\n",), (b"data: 1\r\n\r", b"\n"), (b"data: 1\n", b"", b"\n"), (b"x\r", b"\r")],
)
def test_a_listen_ends_with_its_result(pieces: tuple[bytes, ...], request_id: int | str) -> None:
    """However the last blank line was cut."""
    (event,) = sse.Parser(10_000).feed(passed(LISTENING, *pieces).last_word(request_id))
    assert json.loads(event.data) == {
        "jsonrpc": "2.0",
        "id": request_id,
        "result": {
            "resultType": "complete",
            "_meta": {"io.modelcontextprotocol/subscriptionId": request_id},
        },
    }


def test_where_nothing_can_be_said_nothing_is() -> None:
    """In the middle of an event, without an id, in a compressed stream, and to a GET."""
    assert passed(LISTENING, b"data: 1\n").last_word(7) == b""
    assert passed(LISTENING, b"data: 1\n\n", b": comment").last_word(7) == b""
    assert passed(LISTENING).last_word(None) == b""
    assert passed(GET).last_word(7) == b""
    packed = ResponseHead(200, (*STREAM.headers, ("content-encoding", "gzip")))
    assert LastingStream(LISTENING, packed).last_word(7) == b""

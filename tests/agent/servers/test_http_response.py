"""Responses of local HTTP servers, read piece by piece."""

from typing import cast

import pytest

from mcptunnel.agent.servers import http_response
from mcptunnel.agent.servers.http_response import MessageResponse
from mcptunnel.mcp.jsonrpc import Message, Notification, Response
from mcptunnel.model import ResponseHead
from mcptunnel.net.http1 import Call, RequestFailed

JSON = ResponseHead(200, (("content-type", "application/json; charset=utf-8"),))
EVENTS = ResponseHead(200, (("content-type", "text/event-stream"),))
PROGRESS = b'data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'
ANSWER = b'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n'


class FakeCall:
    aborted = 0

    def abort(self) -> None:
        self.aborted += 1


class Reader:
    """A response, and what was told of it."""

    def __init__(self, head: ResponseHead) -> None:
        self.messages: list[Message] = []
        self.over: list[tuple[ResponseHead | None, bytes, RequestFailed | None]] = []
        self.call = FakeCall()
        self.response = MessageResponse(
            self.messages.append, lambda *outcome: self.over.append(outcome)
        )
        self.response.call = cast("Call", self.call)
        self.response.head_received(head)


def test_a_body_is_handed_over_whole_and_unread() -> None:
    reader = Reader(JSON)
    reader.response.data_received(b'{"id"')
    reader.response.data_received(b":1}")
    reader.response.ended()
    assert reader.over == [(JSON, b'{"id":1}', None)]
    assert not reader.messages


def test_the_messages_of_an_event_stream_come_as_they_arrive() -> None:
    reader = Reader(EVENTS)
    reader.response.data_received(PROGRESS + ANSWER[:10])
    (progress,) = reader.messages
    assert isinstance(progress, Notification)
    reader.response.data_received(ANSWER[10:])
    assert isinstance(reader.messages[1], Response)
    reader.response.ended()
    assert reader.over == [(EVENTS, b"", None)]


@pytest.mark.parametrize("event", [b"id: 7\ndata:\n\n", b"data: hello\n\n", b"data: [1]\n\n"])
def test_events_without_a_message_are_passed_over(event: bytes) -> None:
    reader = Reader(EVENTS)
    reader.response.data_received(event + ANSWER)
    assert len(reader.messages) == 1


def test_an_answer_nested_too_deep_to_read_is_an_error() -> None:
    """Its stream may never end, so the call must not wait for that."""
    reader = Reader(EVENTS)
    deep = b"[" * 100_000 + b"]" * 100_000
    reader.response.data_received(b'data: {"jsonrpc":"2.0","id":4,"result":%b}\n\n' % deep)
    (answer,) = reader.messages
    assert isinstance(answer, Response)
    assert (answer.id, answer.result) == (4, None)


def test_a_failure_is_told_with_what_was_read() -> None:
    reader = Reader(JSON)
    failure = RequestFailed("it broke", may_have_run=True)
    reader.response.failed(failure)
    assert reader.over == [(JSON, b"", failure)]


@pytest.mark.parametrize(
    ("head", "piece", "said"),
    [(JSON, b"x" * 60, "the body has more"), (EVENTS, b"data: x" * 20, "an event has more")],
)
def test_more_than_there_may_be_ends_the_response(
    monkeypatch: pytest.MonkeyPatch, head: ResponseHead, piece: bytes, said: str
) -> None:
    monkeypatch.setattr(http_response, "MAX_MESSAGE_BYTES", 100)
    reader = Reader(head)
    if head is EVENTS:
        piece = ANSWER + piece
    reader.response.data_received(piece)
    if head is JSON:
        reader.response.data_received(piece)
    else:
        assert len(reader.messages) == 1, "what was whole before counts"
    ((told, rest, failure),) = reader.over
    assert (told, rest) == (head, b"")
    assert failure is not None
    assert failure.may_have_run
    assert said in failure.text
    assert reader.call.aborted == 1

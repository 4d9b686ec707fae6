"""A batch of 2025-03-26: many messages in one POST, and the answers to them in one HTTP answer."""

from typing import Final

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half import legacy
from mcptunnel.mcp.client_half.answer import HttpAnswer
from mcptunnel.mcp.client_half.http import OK, Watcher
from mcptunnel.mcp.client_half.live import Live
from mcptunnel.mcp.jsonrpc import INVALID_REQUEST, Batch, JsonRpcError, Request

MAX_MESSAGES: Final = 100
VERSION: Final = "2025-03-26"
"""The only version that has batches."""


def has_requests(batch: Batch) -> bool:
    """Whether there is anything to be answered in a batch."""
    for item in batch.items:
        try:
            message = jsonrpc.parse_item(item)
        except JsonRpcError:
            return True
        if isinstance(message, Request):
            return True
    return False


def take(live: Live, batch: Batch, answer: HttpAnswer, size_bytes: int) -> None:
    """Take all messages of a batch, in order.

    Raises JsonRpcError (INVALID_REQUEST) for a batch that may not be, before any of it is looked at.
    """
    if live.session.version != VERSION:
        raise JsonRpcError(INVALID_REQUEST, f"Batches are of {VERSION} alone")
    if not 0 < len(batch.items) <= MAX_MESSAGES:
        raise JsonRpcError(INVALID_REQUEST, f"A batch has 1 to {MAX_MESSAGES} messages")
    answers = Answers(answer)
    for item in batch.items:
        try:
            message = jsonrpc.parse_item(item)
        except JsonRpcError as error:
            answers.part().respond(OK, jsonrpc.encode(error.response()))
            continue
        if isinstance(message, Request):
            legacy.request(live, message, answers.part(), size_bytes)
        else:
            legacy.take(live, message)
    answers.all_taken()


class Answers:
    """The answers to a batch: one array, or an event each once there is a stream (`http.Watcher`)."""

    def __init__(self, answer: HttpAnswer) -> None:
        self._answer = answer
        self._responses: list[bytes] = []
        self._open: dict[Part, Watcher | None] = {}
        self._is_complete = False

    def part(self) -> "Part":
        """Return where the answer to one request goes."""
        part = Part(self)
        self._open[part] = None
        return part

    def all_taken(self) -> None:
        """The batch has no more messages."""
        self._is_complete = True
        self._finish_if_over()

    # What the parts say.

    @property
    def takes_events(self) -> bool:
        return self._answer.takes_events

    def wait(self, part: "Part", watcher: Watcher) -> None:
        self._open[part] = watcher
        self._answer.wait(self)

    def event(self, message: bytes) -> None:
        self._answer.event(message)

    def over(self, part: "Part", response: bytes | None) -> None:
        del self._open[part]
        if response is not None:
            self._responses.append(response)
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        if self._answer.is_streaming:
            responses, self._responses = self._responses, []
            for response in responses:
                self._answer.event(response)
        if self._open or not self._is_complete:
            return
        if self._responses:
            self._answer.respond(OK, b"[%b]" % b",".join(self._responses))
        else:
            self._answer.drop()

    # What the client's connection says.

    def client_gone(self) -> None:
        for watcher in tuple(self._open.values()):
            if watcher is not None:
                watcher.client_gone()
        self._open.clear()

    def access_ended(self, is_revoked: bool) -> None:
        for watcher in tuple(self._open.values()):
            if watcher is not None:
                watcher.access_ended(is_revoked)

    def client_slow(self, slow: bool) -> None:
        for watcher in tuple(self._open.values()):
            if watcher is not None:
                watcher.client_slow(slow)


class Part:
    """The answer to one request of a batch (`answer.Outlet`)."""

    __slots__ = ("_answers",)

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    @property
    def takes_events(self) -> bool:
        return self._answers.takes_events

    def wait(self, watcher: Watcher) -> None:
        self._answers.wait(self, watcher)

    def event(self, message: bytes) -> None:
        self._answers.event(message)

    def respond(self, status: int, response: bytes) -> None:
        """Answer; the HTTP status is the whole batch's, and that is well."""
        self._answers.over(self, response)

    def drop(self) -> None:
        self._answers.over(self, None)

"""The load sees whatever is wrong with an answer; else the soak would show nothing."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1 import RequestFailed, Upload
from tests.soak.content import Content, event_text, told
from tests.soak.exchanges import TIMEOUT_S, Answer, Exchanges, Failed, Mismatch, Place

PLACE = Place("d000", "d000__origin__echo", "key")
Answering = Callable[[dict[str, str], Any, Answer], None]


class FakeClient:
    """Answers as a test says; the test gives the rest of the time."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.aborted = False

    def request(
        self, _method: str, _path: str, fields: Headers, body: bytes | Upload, answer: Answer
    ) -> "FakeClient":
        self._answering(dict(fields), body, answer)
        return self

    def abort(self) -> None:
        self.aborted = True


def made(kind: str, answering: Answering) -> Any:
    """Make an exchange to its end; return its bytes, or the error."""
    clock = Clock()
    exchanges: Any = Exchanges(clock, FakeClient(answering))  # type: ignore[arg-type]  # like one
    found: list[Any] = []
    making = Deferred.fromCoroutine(getattr(exchanges, kind)(PLACE, random.Random(1)))
    making.addCallbacks(found.append, lambda failure: found.append(failure.value))
    for _ in range(round(TIMEOUT_S) + 1):
        clock.advance(1)
    assert not clock.getDelayedCalls()
    (result,) = found
    return result


def answered(body: bytes, status: int = 200, kind: str = "application/json") -> Answering:
    def answer(_fields: dict[str, str], _body: Any, answer: Answer) -> None:
        answer.head_received(ResponseHead(status, (("content-type", kind),)))
        answer.data_received(body)
        answer.ended()

    return answer


def truly(kind: str, change: Callable[[bytes], bytes] = bytes) -> Answering:
    """Answer as the origin does, changed."""

    def answer(fields: dict[str, str], body: Any, answer: Answer) -> None:
        content = Content(int(fields.get("x-seed", 0)), int(fields.get("x-size", 0)))
        match kind:
            case "down":
                data = content.whole()
            case "up":
                data = json.dumps(told(content.whole())).encode()
            case "echo":
                data = json.dumps({**told(body), "text": body.hex()}).encode()
            case "events":
                numbers = range(int(fields["x-pieces"]))
                texts = [f"id: {n}\ndata: {event_text(content.seed, n)}\n\n" for n in numbers]
                data = f":\n\n{''.join(texts)}".encode()
            case _:
                text = json.loads(body)["params"]["arguments"]["text"]
                result = {"content": [{"type": "text", "text": text}]}
                data = b"data: " + json.dumps({"result": result}).encode() + b"\n\n"
        media_type = "text/event-stream" if kind in ("events", "call") else "application/json"
        answered(change(data), kind=media_type)(fields, body, answer)

    return answer


KINDS = ("down", "up", "echo", "events", "call")


@pytest.mark.parametrize("kind", KINDS)
def test_a_true_answer_is_taken(kind: str) -> None:
    assert made(kind, truly(kind)) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_character_is_seen(kind: str) -> None:
    def change(data: bytes) -> bytes:
        at = data.rindex(b'"}]') - 1 if kind == "call" else len(data) - 4
        other = b"1" if data[at : at + 1] != b"1" else b"2"
        return data[:at] + other + data[at + 1 :]

    assert isinstance(made(kind, truly(kind, change)), Mismatch | ValueError)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_status_has_failed(kind: str) -> None:
    assert isinstance(made(kind, answered(b"{}", 503)), Failed)


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_has_failed(kind: str) -> None:
    assert isinstance(made(kind, lambda *_: None), Failed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_breaks_has_failed(kind: str) -> None:
    def breaks(_fields: dict[str, str], _body: Any, answer: Answer) -> None:
        answer.failed(RequestFailed("gone", may_have_run=True))

    assert isinstance(made(kind, breaks), Failed)


def test_a_tool_that_failed_has_failed() -> None:
    assert isinstance(made("call", answered(b'{"result":{"isError":true}}')), Failed)

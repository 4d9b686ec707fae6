"""What one call of a legacy client asks that client, round by round."""

from dataclasses import replace
from typing import Final, Protocol

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.input_required import (
    InputRequired,
    Question,
    legacy_params,
    missing_capability,
)
from mcptunnel.mcp.client_half.live import MAX_OPEN_QUESTIONS, Live
from mcptunnel.mcp.client_half.timers import Timer
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    JsonRpcError,
    Message,
    Notification,
    Request,
    Response,
)

MAX_ROUNDS: Final = 10
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 30.0
"""How long to wait before a request is repeated that the server could not answer yet."""

PUT_OFF_S: Final = 3600.0
"""How often it is repeated: so long, all waits together."""

ANSWER_S: Final = 3600.0
"""How long a client has for all answers of one round."""


class Asked(Protocol):
    """The call that asks."""

    def send(self, message: Message) -> None:
        """Send a message to the client, on the stream of its own request."""

    def retry(self, request: Request) -> None:
        """Send the request to the service again."""

    def error(self, error: JsonRpcError) -> None: ...


class Dialogue:
    """The rounds of one call (`live.Asking`).

    `request` is the request as it was first sent. Each round ends with the same request and the
    answers of that round, or with an error of the call.
    """

    __slots__ = (
        "_answers",
        "_call",
        "_held_bytes",
        "_live",
        "_open",
        "_put_off_s",
        "_request",
        "_rounds",
        "_state",
        "_timer",
        "_urls",
    )

    def __init__(self, call: Asked, live: Live, request: Request) -> None:
        self._call = call
        self._live = live
        self._request = request
        self._rounds = 0
        self._put_off_s = 0.0
        self._state: Raw | None = None
        self._open: dict[str, Question] = {}  # by the ids under which the client was asked
        self._answers: dict[str, Raw] = {}
        self._held_bytes = 0
        self._urls: list[str] = []
        self._timer: Timer | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for the client, or for time to pass."""
        return bool(self._open) or self._timer is not None

    def ask(self, asked: InputRequired, *, can_be_asked: bool) -> None:
        """Begin a round, or wait for one.

        Raises JsonRpcError (INTERNAL_ERROR) if the client cannot be asked this, or no more.
        """
        self._forget()
        if asked.state is not None:
            self._hold(asked.state, "There is no memory for the server's state; try again later")
            self._state = asked.state
        if not asked.questions:
            self._put_off()
            return
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            raise _fault(f"The server asked for input more than {MAX_ROUNDS} times in one call")
        self._check(asked, can_be_asked)
        session = self._live.session
        for question in asked.questions:
            question_id = self._live.new_id()
            params = legacy_params(question, session.version, question_id)
            if question.is_url:
                self._urls.append(question_id)
            # Without its content, which may be large, and is sent.
            self._open[question_id] = replace(question, params={})
            self._live.questions[question_id] = self
            self._call.send(Request(question_id, question.method, params))
        self._timer = self._live.shared.timers.call_later(ANSWER_S, self._unanswered)

    def _put_off(self) -> None:
        """Repeat the request after a while, longer from time to time, but not for ever."""
        if self._put_off_s >= PUT_OFF_S:
            raise _fault(f"The server has put the call off for {PUT_OFF_S:g} s, so it was given up")
        wait_s = min(self._put_off_s + FIRST_WAIT_S, LONGEST_WAIT_S)
        self._put_off_s += wait_s
        self._timer = self._live.shared.timers.call_later(wait_s, self._retry)

    def _unanswered(self) -> None:
        self._timer = None
        asked = ", ".join(sorted({question.method for question in self._open.values()}))
        text = f"The client has not answered {asked} for {ANSWER_S:g} s, so the call was given up"
        self._call.error(_fault(text))

    def _check(self, asked: InputRequired, can_be_asked: bool) -> None:
        for question in asked.questions:
            missing = missing_capability(question, self._live.session.capabilities)
            if missing is not None:
                raise _fault(
                    f"The server asks for {question.method}, "
                    f"but this client did not declare the capability {missing}"
                )
        if not can_be_asked:
            raise _fault(
                "The server asks for input, but this client's Accept header does not allow "
                "text/event-stream, so it cannot be asked"
            )
        if len(self._live.questions) + len(asked.questions) > MAX_OPEN_QUESTIONS:
            raise _fault("Too many questions to this client are open; answer or cancel some first")

    def answered(self, question_id: str, response: Response) -> None:
        question = self._open.pop(question_id)
        if response.result is None:
            error = jsonrpc.error_of(response)
            said = "" if error is None else f": {error.message[:1000]}"
            self._call.error(_fault(f"The client answered {question.method} with an error{said}"))
            return
        answer = response.result.copy()
        try:
            self._hold(answer, "There is no memory for the client's answers; try again later")
        except JsonRpcError as error:
            self._call.error(error)
            return
        self._answers[question.key] = answer
        if not self._open:
            self._stop_timer()
            self._retry()

    def finish(self) -> None:
        """The call has its result: tell the client that pages it opened are done with."""
        for elicitation_id in self._urls:
            params = {"elicitationId": jsonrpc.raw(elicitation_id)}
            self._call.send(Notification("notifications/elicitation/complete", params))
        self._urls.clear()

    def withdraw(self) -> None:
        """Tell the client that questions without an answer need none any more."""
        for question_id in self._open:
            params = {"requestId": jsonrpc.raw(question_id)}
            self._call.send(Notification("notifications/cancelled", params))

    def close(self) -> None:
        """Wait for nothing any more."""
        for question_id in self._open:
            self._live.questions.pop(question_id, None)
        self._open.clear()
        self._forget()
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _retry(self) -> None:
        self._timer = None
        params = dict(self._request.params)
        if self._answers:
            params["inputResponses"] = jsonrpc.raw(self._answers)
        if self._state is not None:
            params["requestState"] = self._state
        self._forget()
        self._call.retry(Request(self._live.new_id(), self._request.method, params))

    def _hold(self, value: Raw, refusal: str) -> None:
        size_bytes = memoryview(value).nbytes
        if not self._live.shared.kept.take(self._principal, size_bytes):
            raise _fault(refusal)
        self._held_bytes += size_bytes

    def _forget(self) -> None:
        """Let go of the answers and the state."""
        self._answers.clear()
        self._state = None
        self._live.shared.kept.give_back(self._principal, self._held_bytes)
        self._held_bytes = 0

    @property
    def _principal(self) -> str:
        return self._live.session.asker.principal


def _fault(text: str) -> JsonRpcError:
    return JsonRpcError(INTERNAL_ERROR, text)

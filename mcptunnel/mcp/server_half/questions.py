"""What a legacy server asks in the middle of a call, and how its client hears and answers it.

The client's request is finished with `input_required`, the call on the server is parked, and the
client's retry brings the answers (2026-07-28, basic/patterns/mrtr). Whose question it is follows from
the stream that it came on. Over stdio there is one stream for all, and over HTTP some servers ask on the
one that belongs to no call, as those of the Python SDK 1.x do for samples and roots; then only a server
that works for one asker may ask. It works for all whose calls it has not answered, of whatever method,
and whether they were given up or not.
"""

from collections.abc import Callable, Iterable
from typing import Final

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    JsonRpcError,
    Members,
    Notification,
    Request,
    RequestId,
    Response,
)
from mcptunnel.mcp.server_half import capabilities, results
from mcptunnel.mcp.server_half.actions import Action, Deliver, Lost, LostCause, Write
from mcptunnel.mcp.server_half.calls import ASKABLE, Call, OpenCalls
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.given_up import GivenUp
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.server_half.request_state import (
    RESPONSES,
    STATE,
    Parked,
    digest,
)
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Outcome

MAX_PARKED: Final = 64
"""Parked calls of one server."""
MAX_PARKED_OF_ASKER: Final = 16
MAX_PARKED_OF_PRINCIPAL: Final = 48
"""A principal may have many sessions, each an asker; some room is left for others."""
PATIENCE_S: Final = 600.0
"""After so long without an answer a parked call gives way to a question of another client."""
MAX_QUESTIONS: Final = 16
"""Questions of one call that are not answered yet."""

METHODS: Final = frozenset({capabilities.ELICIT, capabilities.SAMPLE, capabilities.ROOTS})

SHARED_TEXT: Final = (
    "Several clients have calls under way on this server, or gave them up without an answer, so it is"
    ' not known whom this question is for. Set isolation = "session" for the server, then each client'
    " has a process of its own."
)
_GONE_TEXT: Final = "The client did not answer in time"


class Questions:
    """The questions of one conversation with a legacy server."""

    def __init__(
        self,
        calls: OpenCalls,
        context: ServerContext,
        info: ServerInfo,
        emit: Callable[[Action], None],
    ) -> None:
        self._calls = calls
        self._states = context.states
        self._info = info
        self._emit = emit
        self._shared = context.shared
        self._name = context.states.new_name()
        self._given_up = GivenUp()

    # What the server does.

    def asked(self, request: Request, origin: int | None, now_s: float) -> None:
        """Take a question; `origin` is the own id of the call on whose stream it came, if any."""
        try:
            call = self._call_for(request, origin, now_s)
            self._check(call, request, now_s)
        except JsonRpcError as error:
            self._emit(Write(jsonrpc.encode(error.response(request.id))))
            return
        call.asked_count += 1
        call.questions[str(call.asked_count)] = request
        if call.key is not None:
            self._ask_client(call, call.key, now_s)

    def gave_up(self, call: Call) -> None:
        """Note that nobody waits for a call any more that the server may still work on.

        Calls of no client are ours, and nobody's question.
        """
        if call.asker.client and call.held is None:
            self._given_up.add(call.own, call.asker)

    def answered(self, own: RequestId | None) -> None:
        """Note that the server has answered a request that nobody waits for."""
        self._given_up.answered(own)

    def is_only(self, asker: Asker) -> bool:
        """Whether the server works for this client and for no other."""
        return not self._given_up.others_than(asker) and all(
            call.asker == asker or call.held is not None or not call.asker.client
            for call in self._calls
        )

    def withdrawn(self, question_id: RequestId | None) -> None:
        """Forget a question that the server does not want answered any more."""
        for call in self._calls:
            for key, question in call.questions.items():
                if question.id == question_id:
                    del call.questions[key]
                    return

    def _call_for(self, request: Request, origin: int | None, now_s: float) -> Call:
        if request.method not in METHODS:
            raise capabilities.unknown(request.method)
        if origin is not None:
            call = self._calls.get(origin)
            if call is None or call.held is not None or call.method not in ASKABLE:
                raise capabilities.unknown(request.method)
            return call
        # A shared server must not be given one client's roots for all, as it asks after its start.
        at_start = self._shared and request.method == capabilities.ROOTS
        found = [
            call
            for call in self._calls
            if call.method in ASKABLE and call.held is None and not (at_start and call.came_early)
        ]
        if not found:
            raise capabilities.unknown(request.method)
        if not self.is_only(found[0].asker):
            self._give_way((call for call in self._calls if call.held is None), now_s)
            raise JsonRpcError(INVALID_REQUEST, SHARED_TEXT)
        return next((call for call in found if call.method == "tools/call"), found[0])

    def _give_way(self, in_the_way: Iterable[Call], now_s: float) -> None:
        """Have those calls end at the next tick whose clients have let others wait for too long.

        The question at hand is refused all the same: theirs may come late, and must not go astray.
        """
        for call in in_the_way:
            parked_s = call.expires_s - self._states.ttl_s
            if call.key is None and parked_s + PATIENCE_S <= now_s:
                call.expires_s = now_s

    def _check(self, call: Call, request: Request, now_s: float) -> None:
        refused = capabilities.refusal(request.method, request.params, call.declared)
        if refused is not None:
            raise refused
        if len(call.questions) >= MAX_QUESTIONS:
            raise JsonRpcError(INTERNAL_ERROR, "The call asks too much at once")
        if call.key is None:
            return
        asker = call.asker
        parked = [other for other in self._calls if other.key is None]
        of_principal = [other for other in parked if other.asker.principal == asker.principal]
        of_asker = [other for other in of_principal if other.asker == asker]
        for most, found in (
            (MAX_PARKED_OF_ASKER, of_asker),
            (MAX_PARKED_OF_PRINCIPAL, of_principal),
            (MAX_PARKED, parked),
        ):
            if len(found) >= most:
                self._give_way([min(found, key=_parked_until_s)], now_s)
                text = "Too many calls wait for answers of their clients"
                raise JsonRpcError(INTERNAL_ERROR, text)

    def _ask_client(self, call: Call, key: int, now_s: float) -> None:
        """Finish the request of who waits with all questions that are open."""
        request_id, asked = call.request_id, dict[str, object]()
        for name, question in call.questions.items():
            asked[name] = {"method": question.method, "params": _params(question)}
        self._calls.park(call, now_s + self._states.ttl_s)
        state = Parked(self._name, call.own, call.round)
        sealed = self._states.seal(state, call.asker, call.digest, now_s)
        answer = results.input_required(request_id, asked, sealed, self._info)
        self._emit(Deliver(key, answer))

    # What the client does.

    def retried(self, key: int, request: Request, asker: Asker, now_s: float) -> None:
        """Take up the parked call of a request that bears a `requestState`."""
        try:
            call, answers = self._parked(key, request, asker, now_s)
        except JsonRpcError as error:
            self._emit(Deliver(key, error.response(request.id)))
            return
        if call is None:
            self._emit(Lost(key, LostCause.RESTARTED, Outcome.UNKNOWN))
            return
        self._answer(call, answers)
        if call.held is not None:
            delivery = self._calls.answer(call.held, self._info)
            if delivery is not None:
                self._emit(delivery)
        elif call.questions:
            self._ask_client(call, key, now_s)

    def _parked(
        self, key: int, request: Request, asker: Asker, now_s: float
    ) -> tuple[Call | None, Members]:
        """Return the call, with `key` waiting for it, and the answers; no call if it is gone."""
        params = request.params
        asked = digest(request.method, params)
        state = self._states.open(jsonrpc.text(params[STATE]), asker, asked, now_s)
        answers = jsonrpc.members(params.get(RESPONSES))
        if state.conversation != self._name:
            return None, answers
        call = self._calls.get(state.own)
        if call is None or call.key is not None or call.round != state.round:
            raise JsonRpcError(
                INVALID_PARAMS,
                "The requestState was used already, or waited too long. Whether the call has run is not"
                " known. If that does no harm, make it again, without requestState and inputResponses.",
                {"outcome": Outcome.UNKNOWN.value},
            )
        self._calls.take_up(call, key, request)
        return call, answers

    def _answer(self, call: Call, answers: Members) -> None:
        """Pass answers on; refuse what this request's client cannot be asked again."""
        for name, question in list(call.questions.items()):
            answer = answers.get(name)
            if answer is not None and bytes(answer).startswith(b"{"):
                response = Response(question.id, answer)
            else:
                refused = capabilities.refusal(question.method, question.params, call.declared)
                if refused is None:
                    continue
                response = refused.response(question.id)
            del call.questions[name]
            if call.held is None:
                self._emit(Write(jsonrpc.encode(response)))

    # Time.

    def tick(self, now_s: float) -> list[Call]:
        """Give up the parked calls whose clients did not come back in time, and return them."""
        self._given_up.tick(now_s)
        late = [call for call in self._calls if call.key is None and call.expires_s <= now_s]
        for call in late:
            self._calls.drop(call)
            self.gave_up(call)
            if call.held is not None:
                continue
            for question in call.questions.values():
                error = JsonRpcError(INTERNAL_ERROR, _GONE_TEXT)
                self._emit(Write(jsonrpc.encode(error.response(question.id))))
            params = {"requestId": jsonrpc.raw(call.own), "reason": jsonrpc.raw(_GONE_TEXT)}
            cancelled = Notification("notifications/cancelled", params)
            self._emit(Write(jsonrpc.encode(cancelled)))
        return late


def _parked_until_s(call: Call) -> float:
    return call.expires_s


def _params(question: Request) -> Members:
    """Return the params of a question as 2026-07-28 has them.

    Elicitations have no ids there, and nobody could hear of progress or of a task.
    """
    params = dict(question.params)
    params.pop("task", None)
    if question.method == capabilities.ELICIT:
        params.pop("elicitationId", None)
    if meta.META in params:
        try:
            about = jsonrpc.members(params.pop(meta.META))
        except JsonRpcError:
            return params
        about.pop(meta.PROGRESS_TOKEN, None)
        if about:
            params[meta.META] = jsonrpc.raw(about)
    return params

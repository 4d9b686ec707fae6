"""What a modern server asks of the client (2026-07-28, basic/patterns/mrtr), for a legacy client.

There the server itself sends requests: `elicitation/create`, `sampling/createMessage`, `roots/list`.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.input_required import METHODS
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError, Members

ELICIT: Final = "elicitation/create"
SAMPLE: Final = "sampling/createMessage"
ROOTS: Final = "roots/list"

MAX_QUESTIONS: Final = 32
"""What a server may ask in one round."""

_MODES_SINCE: Final = "2025-11-25"

_requests = msgspec.json.Decoder(dict[str, dict[str, Raw]])


@dataclass(frozen=True, slots=True)
class Question:
    """One of the things that a server asks; `key` is the server's name for it."""

    key: str
    method: str
    params: Members

    @property
    def is_url(self) -> bool:
        """Whether it asks the user to open a URL, and not to fill in a form."""
        return self.method == ELICIT and jsonrpc.text(self.params.get("mode")) == "url"


@dataclass(frozen=True, slots=True)
class InputRequired:
    """Questions, and the state to give back with the answers, byte for byte; None if there is none.

    A state without questions means: try again in a moment.
    """

    questions: tuple[Question, ...]
    state: Raw | None


def read(method: str, result: Raw) -> InputRequired:
    """Read a result whose `resultType` is `input_required`, of a request of `method`.

    Raises JsonRpcError (INTERNAL_ERROR) if the server breaks the rules.
    """
    if method not in METHODS:
        raise _fault(f"{method} may not ask for input")
    known = jsonrpc.members(result)
    state, asked = known.get("requestState"), known.get("inputRequests")
    try:
        requests = {} if asked is None else _requests.decode(asked)
    except (msgspec.MsgspecError, RecursionError):
        raise _fault("inputRequests is malformed") from None
    if len(requests) > MAX_QUESTIONS:
        raise _fault(f"it asks more than {MAX_QUESTIONS} things at once")
    if not requests and state is None:
        raise _fault("it names nothing")
    if state is not None:
        if jsonrpc.text(state) is None:
            raise _fault("requestState is no string")
        state = state.copy()  # the result it is a part of need not be kept
    return InputRequired(tuple(_question(*one) for one in requests.items()), state)


def _question(key: str, request: Members) -> Question:
    method = jsonrpc.text(request.get("method"))
    if method not in (ELICIT, SAMPLE, ROOTS):
        raise _fault(f"it asks for {str(method)[:100]!r}, which nobody may be asked for")
    try:
        return Question(key, method, jsonrpc.members(request.get("params")))
    except JsonRpcError:
        raise _fault(f"the params of {method} are malformed") from None


def _fault(text: str) -> JsonRpcError:
    return JsonRpcError(INTERNAL_ERROR, f"The server's request for input cannot be used: {text}")


def missing_capability(question: Question, capabilities: Raw) -> str | None:
    """Return the capability that a question needs and the client did not declare, or None.

    `capabilities` are modern client capabilities.
    """
    declared = jsonrpc.members(capabilities)
    if question.method == ROOTS:
        return None if "roots" in declared else "roots"
    if question.method == SAMPLE:
        if "sampling" not in declared:
            return "sampling"
        tools = "tools" in question.params or "toolChoice" in question.params
        known = "tools" in jsonrpc.members(declared["sampling"])
        return "sampling.tools" if tools and not known else None
    mode = jsonrpc.text(question.params.get("mode", Raw(b'"form"')))
    known = str(mode) in jsonrpc.members(declared.get("elicitation"))
    return None if known else f"elicitation.{str(mode)[:20]}"


def legacy_params(question: Question, version: str, elicitation_id: str) -> Members:
    """Return the params of the request that asks a legacy client of `version`.

    Before 2025-11-25 there are no modes; since then a URL comes with an `elicitation_id` (a modern
    server gives none).
    """
    params = dict(question.params)
    if question.is_url:
        params["elicitationId"] = jsonrpc.raw(elicitation_id)
    elif version < _MODES_SINCE:
        params.pop("mode", None)
    return params

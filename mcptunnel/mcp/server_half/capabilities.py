"""What a client declared on one request, and which questions of a legacy server that allows.

A legacy server learns capabilities once, at `initialize`; modern clients declare theirs on every
request (2026-07-28, basic/index, "_meta"). So the server is offered all that can be carried, and a
question that this caller cannot answer is refused, as a client would refuse it.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, JsonRpcError, Members, text

ELICIT: Final = "elicitation/create"
SAMPLE: Final = "sampling/createMessage"
ROOTS: Final = "roots/list"

REJECTED: Final = -1
"""What clients say that do not sample (2025-11-25, client/sampling, "Error Handling")."""

_Settings = dict[str, Raw]


class _Elicitation(msgspec.Struct, frozen=True):
    form: _Settings | None = None
    url: _Settings | None = None


class _Sampling(msgspec.Struct, frozen=True):
    tools: _Settings | None = None


class _Capabilities(msgspec.Struct, frozen=True):
    elicitation: _Elicitation | None = None
    sampling: _Sampling | None = None
    roots: _Settings | None = None


_decoder = msgspec.json.Decoder(_Capabilities)


@dataclass(frozen=True, slots=True)
class Declared:
    """The capabilities of one request's client that matter to a server."""

    form: bool = False
    url: bool = False
    sampling: bool = False
    sampling_tools: bool = False
    roots: bool = False


NOTHING: Final = Declared()


def read(encoded: Raw | None) -> Declared:
    """Read `clientCapabilities`; what is absent or malformed declares nothing.

    `elicitation: {}` means forms (2025-11-25, client/elicitation, "Capabilities").
    """
    if encoded is None:
        return NOTHING
    try:
        found = _decoder.decode(encoded)
    except (msgspec.MsgspecError, RecursionError):
        return NOTHING
    elicitation, sampling = found.elicitation, found.sampling
    has_url = elicitation is not None and elicitation.url is not None
    return Declared(
        form=elicitation is not None and (elicitation.form is not None or not has_url),
        url=has_url,
        sampling=sampling is not None,
        sampling_tools=sampling is not None and sampling.tools is not None,
        roots=found.roots is not None,
    )


def refusal(method: str, params: Members, declared: Declared) -> JsonRpcError | None:
    """Return the error that a question of a server gets from a client with these capabilities.

    None if the client can be asked.
    """
    if method == ELICIT:
        return _elicitation_refused(params, declared)
    if method == SAMPLE:
        return _sampling_refused(params, declared)
    return None if method == ROOTS and declared.roots else unknown(method)


def _elicitation_refused(params: Members, declared: Declared) -> JsonRpcError | None:
    mode = text(params["mode"]) if "mode" in params else "form"
    if (mode == "form" and declared.form) or (mode == "url" and declared.url):
        return None
    what = f"The client of this call does not support elicitation in the mode {mode!r}"
    return JsonRpcError(INVALID_PARAMS, what)


def _sampling_refused(params: Members, declared: Declared) -> JsonRpcError | None:
    if not declared.sampling:
        return JsonRpcError(REJECTED, "The client of this call does not offer sampling")
    if "tools" in params and not declared.sampling_tools:
        what = "The client of this call does not offer sampling with tools"
        return JsonRpcError(INVALID_PARAMS, what)
    return None


def unknown(method: str) -> JsonRpcError:
    """Return the error for a method that nobody here answers."""
    return JsonRpcError(METHOD_NOT_FOUND, f"Method not found: {method}")

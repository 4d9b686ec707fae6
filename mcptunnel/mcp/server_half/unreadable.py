"""Answers that cannot be read, nested too deep for instance: which call they were meant for.

No decoder gets past such a text, so only its two ends are looked at. The patterns are anchored:
they see members of the message itself, never of its result.
"""

import re
from typing import Final

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, RequestId, Response

_LONGEST_END_BYTES: Final = 200
_VERSION: Final = rb'"jsonrpc"\s*:\s*"2\.0"'
_OUTCOME: Final = rb'"(?:result|error)"\s*:'
_ID: Final = rb'"id"\s*:\s*([0-9]{1,18})'

_ID_FIRST = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb"\s*,\s*)?" + _ID + rb"\s*,\s*" + _OUTCOME)
_OUTCOME_FIRST = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb"\s*,\s*)?" + _OUTCOME)
_ID_LAST = re.compile(rb",\s*" + _ID + rb"\s*(?:,\s*" + _VERSION + rb"\s*)?\}\s*\Z")


def failed_answer(text: bytes, error: JsonRpcError) -> Response | None:
    """Return an error in the place of an answer that `jsonrpc.parse` refused with `error`.

    None if it is no answer, or does not show the integer id of a request of ours.
    """
    request_id = error.request_id if b'"method"' not in text else None
    if request_id is None:
        request_id = _answered_id(text)
    if request_id is None:
        return None
    said = JsonRpcError(jsonrpc.INTERNAL_ERROR, "The server's answer is no JSON-RPC")
    return said.response(request_id)


def _answered_id(text: bytes) -> RequestId | None:
    found = _ID_FIRST.match(text)
    if found is None and _OUTCOME_FIRST.match(text):
        found = _ID_LAST.search(text, max(0, len(text) - _LONGEST_END_BYTES))
    return None if found is None else int(found[1])

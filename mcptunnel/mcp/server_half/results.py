"""Answers of a local server as those of a modern one, under the caller's own id."""

from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.jsonrpc import (
    INVALID_PARAMS,
    MISSING_CLIENT_CAPABILITY,
    JsonRpcError,
    RequestId,
    Response,
)
from mcptunnel.mcp.server_half import translate
from mcptunnel.mcp.server_half.capabilities import ELICIT, Declared
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.versions import Era

URL_ELICITATION_REQUIRED: Final = -32042
"""What servers of 2025-11-25 answer that want the user to open a URL first."""

_MAX_ELICITATIONS: Final = 16
_MAX_EMPTY_BYTES: Final = 1024


class _Contents(msgspec.Struct, frozen=True):
    contents: list[Raw] | None = None


class _Execution(msgspec.Struct, frozen=True):
    task_support: Raw = msgspec.field(name="taskSupport", default=Raw())


class _Tool(msgspec.Struct, frozen=True):
    execution: _Execution | None = None


class _Tools(msgspec.Struct, frozen=True):
    tools: list[Raw]


class _Elicitation(msgspec.Struct, frozen=True):
    url: str
    message: str = ""


class _Elicitations(msgspec.Struct, frozen=True):
    elicitations: list[_Elicitation]


_contents = msgspec.json.Decoder(_Contents)
_tools = msgspec.json.Decoder(_Tools)
_tool = msgspec.json.Decoder(_Tool)


def restored(
    response: Response, request_id: RequestId, method: str, info: ServerInfo, declared: Declared
) -> Response:
    """Return what the caller of a request gets for a server's answer to it."""
    result, error = response.result, response.error
    if info.era is Era.MODERN:
        return Response(request_id, result, error)
    try:
        if result is not None:
            return Response(request_id, _modern(method, result, info))
        if error is None:
            return Response(request_id)
        asked = _url_elicitations(response, declared)
    except JsonRpcError as problem:
        return problem.response(request_id)
    if asked is not None:
        return input_required(request_id, asked, None, info)
    return Response(request_id, error=translate.to_modern_error(method, error))


def input_required(
    request_id: RequestId, asked: dict[str, object], state: str | None, info: ServerInfo
) -> Response:
    """Return the answer that asks the client something (2026-07-28, basic/patterns/mrtr)."""
    result: dict[str, object] = {"resultType": "input_required", "inputRequests": asked}
    if state is not None:
        result["requestState"] = state
    if info.server_info is not None:
        result[meta.META] = {meta.SERVER_INFO: info.server_info}
    return Response(request_id, jsonrpc.raw(result))


def _modern(method: str, result: Raw, info: ServerInfo) -> Raw:
    if method == "tools/list":
        result = without_task_tools(result)
    elif method == "resources/read" and _is_empty(result):
        raise JsonRpcError(INVALID_PARAMS, "Resource not found")
    return translate.to_modern_result(method, result, info.server_info)


def _is_empty(result: Raw) -> bool:
    """Say whether a legacy server means by its result that there is no such resource."""
    if memoryview(result).nbytes > _MAX_EMPTY_BYTES:  # there is something in it
        return False
    try:
        return _contents.decode(result).contents == []
    except (msgspec.MsgspecError, RecursionError):
        return False


def without_task_tools(result: Raw) -> Raw:
    """Return a list of tools without those that can only be called as tasks of 2025-11-25.

    These are not the tasks of 2026-07-28; a plain call of such a tool is an error.
    """
    if b'"required"' not in bytes(result) or b"taskSupport" not in bytes(result):
        return result
    try:
        listed = _tools.decode(result).tools
        kept = [tool for tool in listed if not _needs_task(tool)]
        if len(kept) == len(listed):
            return result
        return jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(result), "tools", kept))
    except (msgspec.MsgspecError, RecursionError):
        return result


def _needs_task(tool: Raw) -> bool:
    try:
        execution = _tool.decode(tool).execution
    except msgspec.MsgspecError:
        return False
    return execution is not None and bytes(execution.task_support) == b'"required"'


def _url_elicitations(response: Response, declared: Declared) -> dict[str, object] | None:
    """Return the questions in an error -32042, which 2026-07-28 has no more; None if it is none.

    Raises JsonRpcError (MISSING_CLIENT_CAPABILITY) if the client cannot be asked them.
    """
    if str(URL_ELICITATION_REQUIRED).encode() not in bytes(response.error or b""):
        return None
    error = jsonrpc.error_of(response)
    if error is None or error.code != URL_ELICITATION_REQUIRED:
        return None
    said = jsonrpc.data_as(error, _Elicitations)
    found = [] if said is None else said.elicitations
    if not found:
        raise JsonRpcError(jsonrpc.INTERNAL_ERROR, error.message)
    if not declared.url:
        needed: dict[str, object] = {"requiredCapabilities": {"elicitation": {"url": {}}}}
        raise JsonRpcError(MISSING_CLIENT_CAPABILITY, error.message, needed)
    return {
        f"url{number}": {
            "method": ELICIT,
            "params": {"mode": "url", "url": one.url, "message": one.message},
        }
        for number, one in enumerate(found[:_MAX_ELICITATIONS], 1)
    }

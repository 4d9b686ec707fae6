"""Which era the client of one server's endpoint speaks, from as little of its request as will do.

Where bytes pass unread the server itself decides what a message is (`eras`). Here it is only decided
whether the request is one for that server at all.
"""

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.headers import METHOD_HEADER, SESSION_HEADER, VERSION_HEADER
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request
from mcptunnel.mcp.versions import Era, era_of
from mcptunnel.model import Headers, header


def stated_era(method: str, headers: Headers) -> Era | None:
    """Return the era that the head of an HTTP request shows; None if only its body can tell.

    A version that is not known is taken for a modern one: later ones name themselves in every request.
    """
    version = header(headers, VERSION_HEADER)
    if version is not None:
        return Era.LEGACY if era_of(version) is Era.LEGACY else Era.MODERN
    if method != "POST" or header(headers, SESSION_HEADER) is not None:
        return Era.LEGACY
    return None if header(headers, METHOD_HEADER) is None else Era.MODERN


def era_of_body(body: bytes) -> Era:
    """Return the era of a POST whose head shows none: that of a body that claims a version is modern.

    Such a client forgot its headers, and has to be told so by somebody who knows them.
    """
    try:
        message = jsonrpc.parse(body)
        if isinstance(message, Request | Notification):
            claimed = meta.read(message.params).protocol_version
            return Era.LEGACY if claimed is None else Era.MODERN
    except JsonRpcError:
        pass
    return Era.LEGACY

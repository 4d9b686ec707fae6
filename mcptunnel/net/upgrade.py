"""The relay's end of a link: a request of twisted.web's is checked, taken over and made a WebSocket."""

import base64
import binascii
import json
from http import HTTPStatus
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.protocols.policies import ProtocolWrapper
from twisted.web.http import HTTPChannel, Request

from mcptunnel.net.errors import BadHandshake
from mcptunnel.net.link import LinkReceiver
from mcptunnel.net.websocket import MAX_MESSAGE_BYTES, ServerProtocol
from mcptunnel.wire.constants import SUBPROTOCOL

KEY_BYTES = 16


def upgrade(
    request: Request,
    receiver: LinkReceiver,
    *,
    reactor: IReactorTime,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> None:
    """Make a link of a request that the caller has authenticated, perhaps not in the same turn.

    From here on the request is finished; do not touch it (in a resource, return NOT_DONE_YET). If
    it is no good handshake it is answered with 400, 403, 405 or 426 and JSON, and the receiver
    hears nothing; nor does it if the client is gone already. What the client sent after its
    request is not lost. `max_message_bytes` holds both ways: to send more raises.
    """
    channel: Any = request.channel
    if not channel or request.finished:
        return
    try:
        key = _handshake_key(request)
    except BadHandshake as error:
        _refuse(request, error)
        return
    protocol = ServerProtocol(receiver, reactor, max_message_bytes)
    transport, rest = _take_over(request, channel)
    if isinstance(transport, ProtocolWrapper):  # TLS
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
    transport.resumeProducing()  # it is paused if the client sent much while it waited
    # The request as Autobahn wants it: checked, and without the credential.
    protocol.dataReceived(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\nSec-WebSocket-Protocol: %b\r\n\r\n"
        % (key, SUBPROTOCOL.encode())
    )
    if rest:
        protocol.dataReceived(rest)


def _handshake_key(request: Request) -> bytes:
    """Check an opening handshake (RFC 6455, section 4.2.1) and return its key, or BadHandshake."""
    channel: Any = request.channel
    if not isinstance(channel, HTTPChannel) or request.clientproto != b"HTTP/1.1":
        raise _upgrade_required("A WebSocket starts with HTTP/1.1.")
    if request.method != b"GET":
        status = HTTPStatus.METHOD_NOT_ALLOWED
        raise BadHandshake(status, "method_not_allowed", "Use GET.", {"Allow": "GET"})
    upgrades, connection = (_values(request, name) for name in ("upgrade", "connection"))
    if "websocket" not in map(str.lower, upgrades) or "upgrade" not in map(str.lower, connection):
        raise _upgrade_required("Agents connect here, by WebSocket.")
    if _values(request, "sec-websocket-version") != ["13"]:
        raise _upgrade_required("The WebSocket version must be 13.")
    if request.requestHeaders.hasHeader("origin"):
        raise BadHandshake(HTTPStatus.FORBIDDEN, "origin_refused", "Browsers may not connect here.")
    keys = _values(request, "sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise _bad_request("Sec-WebSocket-Key must be 16 bytes in base64.")
    if SUBPROTOCOL not in _values(request, "sec-websocket-protocol"):
        raise _bad_request(f"The subprotocol must be {SUBPROTOCOL}.")
    if _values(request, "content-length") not in ([], ["0"]):
        raise _bad_request("An upgrade has no body.")
    if _values(request, "transfer-encoding"):
        raise _bad_request("An upgrade has no body.")
    return keys[0].encode()


def _upgrade_required(text: str) -> BadHandshake:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    return BadHandshake(HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", text, headers)


def _bad_request(text: str) -> BadHandshake:
    return BadHandshake(HTTPStatus.BAD_REQUEST, "invalid_request", text)


def _values(request: Request, name: str) -> list[str]:
    lines = request.requestHeaders.getRawHeaders(name, [])
    values = [part.strip() for line in lines for part in line.split(",")]
    return [value for value in values if value]


def _is_key(value: str) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _refuse(request: Any, error: BadHandshake) -> None:
    body = json.dumps({"error": error.code, "error_description": str(error)}).encode()
    request.setResponseCode(error.status)
    request.responseHeaders.removeHeader("server")
    for name, value in {**error.headers, "Content-Type": "application/json"}.items():
        request.setHeader(name, value)
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()


def _take_over(request: Any, channel: Any) -> tuple[Any, bytes]:
    """Part a connection from twisted.web, which then holds nothing of it, nor it of twisted.web.

    Returns the transport and what was received after the request.
    """
    waiting = channel._dataBuffer  # noqa: SLF001 - there is no other way to it
    rest = b"".join(waiting) + channel.clearLineBuffer()
    waiting.clear()
    transport, channel.transport = channel.transport, None
    transport.unregisterProducer()
    channel.setTimeout(None)
    request.setResponseCode(HTTPStatus.SWITCHING_PROTOCOLS)
    request.finished = 1
    request.channel = None
    if request.content is not None:
        request.content.close()
    notifications, request.notifications = request.notifications, []
    for waiter in notifications:
        waiter.callback(None)
    return transport, rest

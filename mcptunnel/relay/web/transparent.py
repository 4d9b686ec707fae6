"""`/servers/…/mcp` and `/devices/…/servers/…/mcp`: one server, its bytes as they come, both ways.

Nothing is parsed on the way. Only to address an error of our own, before the server has answered, the
first 64 KiB of the request are kept; an error after that can only end the connection.
"""

import re
from typing import Final

from twisted.logger import Logger

from mcptunnel.mcp.client_half.http import METHOD_NOT_ALLOWED, NOT_FOUND, UNAVAILABLE
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.client_half.refusals import SESSION_NOT_FOUND
from mcptunnel.mcp.headers import SESSION_HEADER
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_REQUEST, JsonRpcError
from mcptunnel.model import Headers, Outcome, header
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.draining import REFUSAL, Draining
from mcptunnel.relay.places import Address, NoSuchServer, NotNow, find
from mcptunnel.relay.session_owners import SessionOwners
from mcptunnel.relay.web.answers import error_body, send_body, send_json
from mcptunnel.relay.web.late_error import LateError
from mcptunnel.relay.web.passing import Passing, request_head
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.wire.errors import GoingAway, LocalProtocolError, TooManyStreams

METHODS: Final = (b"POST", b"GET", b"DELETE")
RETRY_AFTER_S: Final = 5

BAD_REQUEST: Final = 400
HEAD_TOO_LARGE: Final = 431

_SESSION_ID = re.compile(r"[ -~]*")


class TransparentEndpoint:
    """Answers authenticated requests to single servers."""

    _log = Logger()

    def __init__(
        self, devices: Devices, owners: SessionOwners, keep_alive: KeepAlive, draining: Draining
    ) -> None:
        self._draining = draining
        self._devices = devices
        self._owners = owners
        self._keep_alive = keep_alive

    def answer(self, http: RelayRequest, access: Access, address: Address) -> None:
        """Answer a request of any method."""
        if http.method not in METHODS:
            name = http.method.decode("ascii", "replace")
            send_body(
                http,
                METHOD_NOT_ALLOWED,
                error_body(INVALID_REQUEST, f"{name} is not offered here"),
                headers={b"allow": b", ".join(METHODS)},
            )
            return
        if self._draining.is_on:
            _refuse(http, UNAVAILABLE, REFUSAL, retry_after_s=self._draining.retry_after)
            return
        try:
            device = find(self._devices, access.principal, address)
        except NoSuchServer as error:
            send_json(http, NOT_FOUND, {"error": "not_found", "error_description": str(error)})
            return
        except NotNow as error:
            _refuse(http, UNAVAILABLE, f"{error} The request was not delivered; try again.")
            return
        self._pass(http, access, device, address.server)

    def _pass(self, http: RelayRequest, access: Access, device: Device, server: str) -> None:
        head = request_head(http, access, server)
        session_id = header(head.headers, SESSION_HEADER)
        if not _names_one_session(head.headers):
            text = "A request names one session, in ASCII"
            _refuse(http, BAD_REQUEST, text, code=INVALID_REQUEST)
            return
        if session_id is not None and not self._owners.may_use(access, device, server, session_id):
            _refuse(http, NOT_FOUND, "Session not found", code=SESSION_NOT_FOUND)
            return
        passing = Passing(http, access, device, server, self._owners, session_id, self._keep_alive)
        try:
            if device.tunnel is None:
                raise GoingAway(f"The device {device.name!r} is not connected.")
            passing.begin(device.tunnel.open(head, passing))
        except (GoingAway, TooManyStreams) as error:
            _refuse(http, UNAVAILABLE, f"{error} The request was not delivered; try again.")
        except LocalProtocolError as error:
            self._log.info("a request cannot be passed on: {error}", error=str(error))
            _refuse(http, HEAD_TOO_LARGE, "The head of the request is too large to be passed on")


def _names_one_session(headers: Headers) -> bool:
    """Whether no server can take another session to be named than the one that is checked.

    An id is ASCII (2025-11-25, basic/transports, "Session Management"); what else some readers take for
    white space they would cut off.
    """
    named = [value for name, value in headers if name == SESSION_HEADER]
    return not named or (len(named) == 1 and _SESSION_ID.fullmatch(named[0]) is not None)


def _refuse(
    http: RelayRequest,
    status: int,
    message: str,
    code: int = INTERNAL_ERROR,
    retry_after_s: int = RETRY_AFTER_S,
) -> None:
    """Answer in JSON-RPC that nothing was delivered, once the request can be told by its id."""
    error = JsonRpcError(code, message, {"outcome": Outcome.NOT_DELIVERED.value})
    LateError(http, status, error, retry_after_s if status == UNAVAILABLE else None).when_known()

"""Signing in on a machine without a browser: a code is typed elsewhere (RFC 8628)."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.task import deferLater

from mcptunnel.agent.sign_in.answers import (
    DeviceCodes,
    NoSignInError,
    RefusedError,
    RelayUnavailableError,
    ServerMetadata,
)
from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer
from mcptunnel.agent.sign_in.grant import Tokens
from mcptunnel.agent.sign_in.in_browser import SignInFailedError, why

SLOWER_BY_S: Final = 5.0
_MOST_INTERVAL_S: Final = 60.0

_EXPIRED: Final = "Nobody typed the code in time"


async def sign_in_by_code(
    reactor: Any,
    asked: AuthorizationServer,
    server: ServerMetadata,
    *,
    device_name: str,
    host_name: str,
    show: Callable[[DeviceCodes], None],
) -> Tokens:
    """Let a person sign in elsewhere and return the tokens.

    `show` gets the code and where to type it; the person is shown the names of this machine. Raises
    SignInFailedError, NoSignInError, and RelayUnavailableError before there is a code.
    """
    if server.device is None:
        raise NoSignInError(f"{server.issuer} gives no codes. Leave out --device.")
    try:
        codes = await asked.begin_device(server, device_name=device_name, host_name=host_name)
    except RefusedError as refused:
        raise SignInFailedError(why(refused)) from None
    show(codes)
    end_s, interval_s = reactor.seconds() + codes.lifetime_s, codes.interval_s
    while reactor.seconds() + interval_s < end_s:
        await deferLater(reactor, interval_s)
        try:
            return await asked.poll_device(server, codes.device_code)
        except RefusedError as refused:
            interval_s = _next_interval_s(refused, interval_s)
        except RelayUnavailableError as error:
            # A relay that does not answer may be overloaded (RFC 8628, 3.5).
            wanted_s = error.retry_after_s or 0.0
            is_in_time = reactor.seconds() + wanted_s < end_s
            interval_s = max(min(2 * interval_s, _MOST_INTERVAL_S), wanted_s if is_in_time else 0.0)
    raise SignInFailedError(_EXPIRED)


def _next_interval_s(refused: RefusedError, interval_s: float) -> float:
    """Return how long to wait before asking again. Raises SignInFailedError if that is of no use."""
    if refused.code == "authorization_pending":
        return interval_s
    if refused.code == "slow_down":
        return interval_s + SLOWER_BY_S
    if refused.code == "expired_token":
        raise SignInFailedError(_EXPIRED) from None
    raise SignInFailedError(why(refused)) from None

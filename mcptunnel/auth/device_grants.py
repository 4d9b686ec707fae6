"""The device grant (RFC 8628): a program without a browser shows a code, and a person types it elsewhere.

PENDING --APPROVE--> APPROVED --EXCHANGE--> EXCHANGED
        --DENY-----> DENIED
"""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.grants import FamilyId
from mcptunnel.auth.issuer import Endpoint, Issuer, endpoint
from mcptunnel.model import Principal

LIFETIME_S: Final = 600.0
INTERVAL_S: Final = 5.0
SLOWER_BY_S: Final = 5.0
MOST_INTERVAL_S: Final = 60.0
MAX_WRONG_CODES: Final = 5
WRONG_CODES_WINDOW_S: Final = 600.0
USER_CODE_RANDOM_BYTES: Final = 16

_ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words, and nothing that looks like a digit (RFC 8628, 6.1)."""
_CODE_CHARS: Final = 8
_EARLY_S: Final = 0.5
"""A poll that comes this much early is on time: networks are not even."""
_MAX_TYPED_CHARS: Final = 64
_NOT_OF_CODE: Final = re.compile(r"[^A-Z]")


class DeviceState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXCHANGED = "exchanged"


class DeviceStep(StrEnum):
    APPROVE = "approve"
    DENY = "deny"
    EXCHANGE = "exchange"


_AFTER: Final = {
    (DeviceState.PENDING, DeviceStep.APPROVE): DeviceState.APPROVED,
    (DeviceState.PENDING, DeviceStep.DENY): DeviceState.DENIED,
    (DeviceState.APPROVED, DeviceStep.EXCHANGE): DeviceState.EXCHANGED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrant:
    """A device grant as a store keeps it; `principal` is whoever approved it. Times are since the epoch."""

    hash: bytes = field(repr=False)
    user_code: str = field(repr=False)
    family: FamilyId
    client_id: str
    resource: str
    scopes: tuple[str, ...]
    expires_s: float
    interval_s: float = INTERVAL_S
    polled_s: float | None = None
    state: DeviceState = DeviceState.PENDING
    principal: Principal | None = None


@dataclass(frozen=True, slots=True)
class PollAccepted:
    """Keep `grant`, on condition that the stored one is still approved; then its family may begin."""

    grant: DeviceGrant
    principal: Principal


@dataclass(frozen=True, slots=True)
class PollRefused:
    """Answer `error`, and keep `grant` if there is one."""

    error: OAuthError
    grant: DeviceGrant | None = None


@dataclass(frozen=True, slots=True)
class WrongCodes:
    """How many wrong user codes one browser session, or one address, has typed since when."""

    count: int = 0
    since_s: float = 0.0


def user_code(random: bytes) -> str:
    """Return a new user code, `BCDF-GHJK`, from 16 random bytes; ValueError for another number."""
    if len(random) != USER_CODE_RANDOM_BYTES:
        raise ValueError(f"{USER_CODE_RANDOM_BYTES} random bytes are needed, not {len(random)}")
    number, letters = int.from_bytes(random, "big"), ""
    for _ in range(_CODE_CHARS):
        number, letter = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[letter]
    return f"{letters[:4]}-{letters[4:]}"


def typed_user_code(text: str) -> str | None:
    """Return the user code that a person typed, whatever its case and punctuation, or None if it is none."""
    letters = _NOT_OF_CODE.sub("", text[:_MAX_TYPED_CHARS].upper())
    if len(letters) != _CODE_CHARS or not set(letters) <= set(_ALPHABET):
        return None
    return f"{letters[:4]}-{letters[4:]}"


def device_response(
    issuer: Issuer, device_code: str, grant: DeviceGrant, now_s: float
) -> dict[str, str | int]:
    """Return the members of a device authorization answer (RFC 8628, 3.2)."""
    page = endpoint(issuer, Endpoint.DEVICE)
    return {
        "device_code": device_code,
        "user_code": grant.user_code,
        "verification_uri": page,
        # It fills in the code; the person still has to compare it, and to agree (RFC 8628, 5.4).
        "verification_uri_complete": f"{page}?user_code={grant.user_code}",
        "expires_in": int(grant.expires_s - now_s),
        "interval": int(grant.interval_s),
    }


def decided(
    grant: DeviceGrant, step: DeviceStep, principal: Principal, now_s: float
) -> DeviceGrant | None:
    """Return the grant after a person approved or denied it, or None when it is too late for that."""
    state = _AFTER.get((grant.state, step))
    if state is None or step is DeviceStep.EXCHANGE or now_s >= grant.expires_s:
        return None
    return replace(grant, state=state, principal=principal)


def poll(grant: DeviceGrant | None, client_id: str, now_s: float) -> PollAccepted | PollRefused:
    """Decide about a poll (RFC 8628, 3.5) by an authenticated client; `grant` is None when unknown."""
    if grant is None or grant.client_id != client_id:
        return _refused(ErrorCode.INVALID_GRANT, "The device code is not valid")
    if now_s >= grant.expires_s:
        return _refused(ErrorCode.EXPIRED_TOKEN, "The device code has expired")
    if grant.state is DeviceState.DENIED:
        return _refused(ErrorCode.ACCESS_DENIED, "The person did not agree")
    if grant.state is DeviceState.PENDING:
        return _pending(grant, now_s)
    state = _AFTER.get((grant.state, DeviceStep.EXCHANGE))
    if state is None or grant.principal is None:
        return _refused(ErrorCode.INVALID_GRANT, "The device code is not valid")
    return PollAccepted(replace(grant, state=state), grant.principal)


def code_wait_s(wrong: WrongCodes, now_s: float) -> float:
    """Return how long a person has to wait before another user code, 0 if they need not (RFC 8628, 5.1)."""
    if wrong.count < MAX_WRONG_CODES:
        return 0.0
    return max(0.0, wrong.since_s + WRONG_CODES_WINDOW_S - now_s)


def one_more_wrong(wrong: WrongCodes, now_s: float) -> WrongCodes:
    """Return the count after a wrong user code; it starts anew when the window has passed."""
    if wrong.count == 0 or now_s - wrong.since_s >= WRONG_CODES_WINDOW_S:
        return WrongCodes(1, now_s)
    return WrongCodes(wrong.count + 1, wrong.since_s)


def _pending(grant: DeviceGrant, now_s: float) -> PollRefused:
    early = grant.polled_s is not None and now_s - grant.polled_s < grant.interval_s - _EARLY_S
    if early:
        slower = min(grant.interval_s + SLOWER_BY_S, MOST_INTERVAL_S)
        kept = replace(grant, polled_s=now_s, interval_s=slower)
        return _refused(ErrorCode.SLOW_DOWN, "Poll more slowly", kept)
    kept = replace(grant, polled_s=now_s)
    return _refused(ErrorCode.AUTHORIZATION_PENDING, "The person has not decided yet", kept)


def _refused(code: ErrorCode, text: str, grant: DeviceGrant | None = None) -> PollRefused:
    return PollRefused(OAuthError(code, text), grant)

"""What an agent is let in with after a person signed in for it, and how that is written down."""

import json
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from mcptunnel.auth.json_objects import NotAnObjectError, parse_object
from mcptunnel.auth.tokens import TokenKind, parse
from mcptunnel.config.secret import Secret
from mcptunnel.errors import McpTunnelError

MAX_BYTES: Final = 16 * 1024
MOST_AHEAD_S: Final = 300.0
SHARE_AHEAD: Final = 0.25
"""A token is renewed five minutes before its end, or in the last quarter of a short life."""

_VERSION: Final = 1


class DamagedError(McpTunnelError):
    """Bytes that are no grant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a token endpoint gave (RFC 6749, 5.1). `refresh_token` is None if the old one stays.

    `user` is the name of who signed in, "" if that was not told.
    """

    access_token: Secret
    refresh_token: Secret | None
    lifetime_s: float
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A sign-in at the relay with this origin. `received_s` is when its tokens came, since the epoch."""

    relay: str
    access_token: Secret
    refresh_token: Secret
    received_s: float
    lifetime_s: float = field(default=0.0)

    @classmethod
    def begun(cls, relay: str, tokens: Tokens, now_s: float) -> "Grant":
        """Return a new grant. Raises DamagedError for tokens that cannot be renewed."""
        if tokens.refresh_token is None:
            raise DamagedError("there is no refresh token")
        return cls(
            relay=relay,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            received_s=now_s,
            lifetime_s=tokens.lifetime_s,
        )

    def renewed(self, tokens: Tokens, now_s: float) -> "Grant":
        """Return the grant with the tokens that came for its refresh token."""
        return Grant(
            relay=self.relay,
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token or self.refresh_token,
            received_s=now_s,
            lifetime_s=tokens.lifetime_s,
        )

    def is_alive(self, now_s: float) -> bool:
        """Tell whether the access token should still be good; no clock that was set back is believed."""
        return self.received_s <= now_s < self.received_s + self.lifetime_s

    def is_fresh(self, now_s: float) -> bool:
        """Tell whether it is good for a while, so that there is no need to renew it yet."""
        return self.is_alive(now_s + min(MOST_AHEAD_S, self.lifetime_s * SHARE_AHEAD)) and (
            self.received_s <= now_s
        )

    def to_bytes(self) -> bytes:
        """Return the file of this grant."""
        members = {
            "version": _VERSION,
            "relay": self.relay,
            "access_token": self.access_token.reveal(),
            "refresh_token": self.refresh_token.reveal(),
            "received_s": self.received_s,
            "lifetime_s": self.lifetime_s,
        }
        return json.dumps(members, indent=2).encode() + b"\n"

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Grant":
        """Return the grant of a file. Raises DamagedError, whose text repeats nothing of it."""
        try:
            members = parse_object(raw, max_bytes=MAX_BYTES)
        except NotAnObjectError:
            raise DamagedError("it is not whole") from None
        if members.get("version") != _VERSION:
            raise DamagedError("another version of mcptunnel wrote it")
        texts = [members.get(name) for name in ("relay", "access_token", "refresh_token")]
        times = [members.get(name) for name in ("received_s", "lifetime_s")]
        relay, access, refresh = (one if isinstance(one, str) else "" for one in texts)
        received_s, lifetime_s = (
            float(one) if isinstance(one, int | float) and isfinite(one) else -1.0 for one in times
        )
        if not (relay and is_token(access, TokenKind.ACCESS)):
            raise DamagedError("it has no access token")
        if not is_token(refresh, TokenKind.REFRESH) or received_s < 0 or lifetime_s < 0:
            raise DamagedError("it has no refresh token")
        return cls(
            relay=relay,
            access_token=Secret(access),
            refresh_token=Secret(refresh),
            received_s=received_s,
            lifetime_s=lifetime_s,
        )


def is_token(text: str, kind: TokenKind) -> bool:
    """Tell whether a text is a whole token of this kind."""
    parsed = parse(text)
    return parsed is not None and parsed.kind is kind

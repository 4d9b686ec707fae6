"""What the protected endpoints say of themselves: whose tokens open them, and how to get one."""

from functools import lru_cache
from typing import Final

from mcptunnel.auth import challenges
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.resources import is_audience
from mcptunnel.auth.scopes import satisfies
from mcptunnel.relay.access import Access

BARE: Final = b"Bearer"
INVALID_TOKEN: Final = b'Bearer error="invalid_token"'

_MAX_PATHS: Final = 1024

_is_audience = lru_cache(_MAX_PATHS)(is_audience)


class Realm:
    """The protected endpoints of one relay; `issuer` is None if it gives no tokens itself."""

    __slots__ = ("_issuer",)

    def __init__(self, issuer: Issuer | None = None) -> None:
        self._issuer = issuer

    def unauthorized(self, path: bytes, *, token_presented: bool) -> bytes:
        """Return the challenge of a 401 at a request path."""
        if self._issuer is None:
            return INVALID_TOKEN if token_presented else BARE
        return challenges.unauthorized(
            self._issuer, path.decode("latin-1"), token_presented=token_presented
        ).encode()

    def insufficient_scope(self, path: bytes, access: Access, needed: str) -> bytes:
        """Return the challenge of a 403 at a request path."""
        if self._issuer is None:
            return b'Bearer error="insufficient_scope", scope="%b"' % needed.encode()
        return challenges.insufficient_scope(
            self._issuer, path.decode("latin-1"), granted=sorted(access.scopes), needed=[needed]
        ).encode()

    def is_for(self, access: Access, path: bytes) -> bool:
        """Tell whether an access is for the endpoint at a request path (threat 18)."""
        audience = access.audience
        if audience is None or audience == self._issuer:
            return True
        return self._issuer is not None and _is_audience(
            self._issuer, audience, path.decode("latin-1")
        )

    def allows(self, access: Access, scope: str) -> bool:
        """Tell whether an access has a scope."""
        return scope in access.scopes or satisfies(access.scopes, scope)

"""What the hub hands to clients and wants back: cursors, and the states of requests that wait for input.

Both are sealed: nobody but who was given one can use it, and only for what it was given. A cursor is
good in all sessions of a client, a state in its own alone: what it leads to belongs to that.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final

import msgspec

from mcptunnel.mcp import input_required
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError
from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.access import Access
from mcptunnel.sealing import NONCE_BYTES, SealBrokenError, Sealer

CURSOR_S: Final = 3600.0
"""For so long the next page can be asked for."""

STATE_S: Final = 24 * 3600.0
"""For so long a person may take to answer; the server may be less patient."""


class Seals:
    """Seals and opens both. `secret` is asked for once, when it is needed; `random` gives nonces."""

    def __init__(
        self,
        secret: Callable[[], bytes],
        random: Callable[[int], bytes],
        now_s: Callable[[], float],
    ) -> None:
        self._secret = secret
        self._random = random
        self._now_s = now_s

    def cursor(self, access: Access, kind: Kind, start: int) -> str:
        """Return the cursor of the page of a list that starts there."""
        return self._cursors.seal(
            b"%d" % start,
            nonce=self._random(NONCE_BYTES),
            expires_s=self._now_s() + CURSOR_S,
            context=_context(access, access.client, kind.value),
        )

    def open_cursor(self, access: Access, kind: Kind, cursor: str) -> int:
        """Return where a page starts. Raises JsonRpcError (INVALID_PARAMS)."""
        try:
            return int(
                self._cursors.open(
                    cursor, now_s=self._now_s(), context=_context(access, access.client, kind.value)
                )
            )
        except SealBrokenError:
            raise JsonRpcError(INVALID_PARAMS, "Unknown cursor: begin again without one") from None

    def state(
        self, access: Access, digest: bytes, device_key: str, server: str, state: str | None
    ) -> str:
        """Return the state of a request that waits for input, `state` being the server's own."""
        return self._states.seal(
            input_required.pack(device_key, server, state),
            nonce=self._random(NONCE_BYTES),
            expires_s=self._now_s() + STATE_S,
            context=_context(access, access.asker, digest.hex()),
        )

    def open_state(self, access: Access, digest: bytes, state: str) -> tuple[str, str, str | None]:
        """Return (device key, server, the server's own state). Raises JsonRpcError (INVALID_PARAMS)."""
        try:
            packed = self._states.open(
                state, now_s=self._now_s(), context=_context(access, access.asker, digest.hex())
            )
        except SealBrokenError:
            raise JsonRpcError(
                INVALID_PARAMS,
                "This requestState is not valid for this request, or has expired: "
                "send the request again without it",
            ) from None
        return input_required.unpack(packed)

    @cached_property
    def _cursors(self) -> Sealer:
        return Sealer(self._secret(), "hub cursor")

    @cached_property
    def _states(self) -> Sealer:
        return Sealer(self._secret(), "hub request state")


def _context(access: Access, client: str, what: str) -> bytes:
    principal = access.principal
    return msgspec.json.encode([principal.issuer, principal.subject, client, what])

"""The `requestState` of a call that is parked: a sealed text that leads its retry back to it.

It opens only for who asked, for the same method and params, and for a while (2026-07-28,
basic/patterns/mrtr, "Security").
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.alike import by_value
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members, Request
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Outcome
from mcptunnel.sealing import NONCE_BYTES, SealBrokenError, Sealer

TTL_S: Final = 3600.0
"""How long a call waits for the answers of its client: a person may have to think."""

STATE: Final = "requestState"
RESPONSES: Final = "inputResponses"

_ROUND: Final = frozenset({STATE, RESPONSES, meta.META})
_MAX_SORTED_BYTES: Final = 64 * 1024


class Parked(msgspec.Struct, frozen=True, array_like=True):
    """A parked call: on which conversation with the server, under which own id, in which round."""

    conversation: str
    own: int
    round: int


_parked = msgspec.json.Decoder(Parked)


def bare(params: Members) -> Members:
    """Return params without what belongs to one round of a call."""
    if RESPONSES not in params and STATE not in params:
        return params
    return {name: value for name, value in params.items() if name not in (STATE, RESPONSES)}


def digest(method: str, params: Members) -> bytes:
    """Return what identifies a request, apart from what differs between its rounds.

    A client may write its params anew for the retry, in another order of members: small ones are
    compared by value, large ones by their bytes.
    """
    what = {name: value for name, value in params.items() if name not in _ROUND}
    found = sha256(method.encode())
    size = sum(len(bytes(value)) for value in what.values())
    for name in sorted(what):
        encoded = bytes(what[name])
        if size <= _MAX_SORTED_BYTES:
            encoded = by_value(encoded)
        found.update(b"%d:%b%d:" % (len(name.encode()), name.encode(), len(encoded)))
        found.update(encoded)
    return found.digest()


@dataclass(frozen=True, slots=True)
class RequestStates:
    """Seals and opens the states of one program's servers.

    `nonce` returns 12 random bytes, new ones each time. Times are seconds of one clock, any one: after
    a new start it may be another, for then all that states lead to is gone.
    """

    sealer: Sealer
    nonce: Callable[[], bytes]
    ttl_s: float = TTL_S

    @classmethod
    def of(cls, secret: bytes, random_bytes: Callable[[int], bytes]) -> "RequestStates":
        """Return states under a secret of at least 32 bytes."""
        return cls(Sealer(secret, "requestState of a server"), lambda: random_bytes(NONCE_BYTES))

    def new_name(self) -> str:
        """Return a name that no conversation had."""
        return self.nonce().hex()

    def seal(self, parked: Parked, asker: Asker, digest: bytes, now_s: float) -> str:
        """Return the state that this asker's retry of this request bears."""
        return self.sealer.seal(
            msgspec.json.encode(parked),
            nonce=self.nonce(),
            expires_s=now_s + self.ttl_s,
            context=_context(asker, digest),
        )

    def open(self, text: str | None, asker: Asker, digest: bytes, now_s: float) -> Parked:
        """Return what a state leads to. Raises JsonRpcError (INVALID_PARAMS)."""
        if text is not None:
            try:
                context = _context(asker, digest)
                return _parked.decode(self.sealer.open(text, now_s=now_s, context=context))
            except SealBrokenError:
                pass
        raise JsonRpcError(
            INVALID_PARAMS,
            "The requestState is not valid: it was changed, has expired, or belongs to another"
            " request or client. Whether the call has run is not known."
            " If that does no harm, make it again, without requestState and inputResponses.",
            {"outcome": Outcome.UNKNOWN.value},
        )

    def has_sealed(self, request: Request, asker: Asker) -> bool:
        """Say whether the state of a retry is one of these, for this asker, expired or not."""
        text = jsonrpc.text(request.params.get(STATE))
        if text is None:
            return False
        context = _context(asker, digest(request.method, request.params))
        try:
            self.sealer.open(text, now_s=0.0, context=context)
        except SealBrokenError:
            return False
        return True


def _context(asker: Asker, digest: bytes) -> bytes:
    return msgspec.json.encode((asker.principal, asker.client)) + digest

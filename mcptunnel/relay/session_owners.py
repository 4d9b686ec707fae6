"""Whose the sessions of local servers are, on paths where their ids pass unchanged.

An id is not a credential: whoever learned one must not be able to use it with a key of their own.
Kept in memory, as hashes, and bounded; an id that is not known belongs to the first one for whom the
server accepts it.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from mcptunnel.model import Principal
from mcptunnel.relay.access import Access, Revoked
from mcptunnel.relay.devices import Device

MAX_PER_USER: Final = 1000
"""Sessions of one user that are known; as many as an agent has for one server."""


@dataclass(slots=True)
class _Known:
    """One session: where it is, and the names of those who may use it."""

    device_id: str
    holders: set[str] = field(default_factory=set)


class SessionOwners:
    """Which credentials were given which session ids; a user's own that were unused for longest go first.

    When there are too many of all users, who has the most gives way.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._users: dict[Principal, OrderedDict[bytes, _Known]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def may_use(self, access: Access, device: Device, server: str, session_id: str) -> bool:
        """Whether a session is this credential's, or nobody's yet."""
        own, key = self._users.get(access.principal), _key(device, server, session_id)
        known = None if own is None else own.get(key)
        if own is None or known is None:
            return True
        own.move_to_end(key)
        return access.client in known.holders

    def bind(self, access: Access, device: Device, server: str, session_id: str) -> None:
        """Note that a server gave a session to a credential, or let it use one.

        A server that gives the same id to several has them share it.
        """
        own = self._users.setdefault(access.principal, OrderedDict())
        key = _key(device, server, session_id)
        known = own.get(key)
        if known is None:
            known = own[key] = _Known(device.installation_id)
            self._count += 1
        known.holders.add(access.client)
        own.move_to_end(key)
        if len(own) > MAX_PER_USER:
            self._drop(access.principal, next(iter(own)))
        elif self._count > self._most:
            principal, most = max(self._users.items(), key=lambda user: len(user[1]))
            self._drop(principal, next(iter(most)))

    def forget(self, access: Access, device: Device, server: str, session_id: str) -> None:
        """Note that a session was ended."""
        self._drop(access.principal, _key(device, server, session_id))

    def revoked(self, revoked: Revoked) -> set[tuple[Principal, str, str]]:
        """Forget who may come no more; return them: principal, device, and the holder's name."""
        gone: set[tuple[Principal, str, str]] = set()
        for principal, own in tuple(self._users.items()):
            for key, known in tuple(own.items()):
                lost = {one for one in known.holders if revoked.takes_holder(str(principal), one)}
                gone |= {(principal, known.device_id, holder) for holder in lost}
                known.holders -= lost
                if not known.holders:
                    self._drop(principal, key)
        return gone

    def _drop(self, principal: Principal, key: bytes) -> None:
        own = self._users.get(principal)
        if own is not None and own.pop(key, None) is not None:
            self._count -= 1
            if not own:
                del self._users[principal]


def _key(device: Device, server: str, session_id: str) -> bytes:
    place = (device.installation_id, server, session_id)
    return hashlib.sha256("\0".join(place).encode()).digest()

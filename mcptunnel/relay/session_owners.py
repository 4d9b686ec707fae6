"""Whose the sessions of local servers are, on paths where their ids pass unchanged.

An id is not a credential: whoever learned one must not be able to use it with a key of their own.
Kept in memory, as hashes, and bounded; an id that is not known belongs to the first one for whom the
server accepts it.
"""

import hashlib
from collections import OrderedDict

from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device


class SessionOwners:
    """Which credentials were given which session ids; those unused for longest go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._owners: OrderedDict[bytes, set[str]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._owners)

    def may_use(self, access: Access, device: Device, server: str, session_id: str) -> bool:
        """Whether a session is this credential's, or nobody's yet."""
        key = _key(access, device, server, session_id)
        owners = self._owners.get(key)
        if owners is None:
            return True
        self._owners.move_to_end(key)
        return access.client in owners

    def bind(self, access: Access, device: Device, server: str, session_id: str) -> None:
        """Note that a server gave a session to a credential, or let it use one.

        A server that gives the same id to several has them share it.
        """
        key = _key(access, device, server, session_id)
        self._owners.setdefault(key, set()).add(access.client)
        self._owners.move_to_end(key)
        if len(self._owners) > self._most:
            self._owners.popitem(last=False)

    def forget(self, access: Access, device: Device, server: str, session_id: str) -> None:
        """Note that a session was ended."""
        self._owners.pop(_key(access, device, server, session_id), None)


def _key(access: Access, device: Device, server: str, session_id: str) -> bytes:
    place = (str(access.principal), device.installation_id, server, session_id)
    return hashlib.sha256("\0".join(place).encode()).digest()

"""API keys in memory, in place of the store."""

from twisted.internet.defer import Deferred

from mcptunnel.auth.keys import (
    RANDOM_BYTES,
    IssuedKey,
    KeyId,
    KeyRecord,
    Scope,
    hash_secret,
    mint,
    parse,
)
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.store.keys import StoredKey


class MemoryKeys:
    """The keys (`relay.api_keys.KeyBook`).

    While `gate` is set, answers wait for it; what was read before it opens is what is answered.
    """

    def __init__(self) -> None:
        self.asked: list[KeyId] = []
        self.touched: list[KeyId] = []
        self.gate: Deferred[None] | None = None
        self.error: Exception | None = None
        self.touch_error: Exception | None = None
        self.issued: list[IssuedKey] = []
        self._stored: dict[KeyId, StoredKey] = {}

    def issue(self, user: str = "alice", scope: Scope = Scope.MCP) -> IssuedKey:
        number = len(self._stored) + 1
        key_id, text = mint(bytes([number] * RANDOM_BYTES))
        parsed = parse(text)
        assert parsed is not None
        record = KeyRecord(
            id=key_id,
            scope=scope,
            principal=Principal(LOCAL_ISSUER, user),
            name=f"key {number}",
            created_s=1.0,
        )
        self._stored[key_id] = StoredKey(record, hash_secret(parsed.secret))
        self.issued.append(IssuedKey(record=record, text=text))
        return self.issued[-1]

    def revoke(self, key: IssuedKey, revoked_s: float = 1.0) -> None:
        record = key.record
        revoked = KeyRecord(
            id=record.id,
            scope=record.scope,
            principal=record.principal,
            name=record.name,
            created_s=record.created_s,
            revoked_s=revoked_s,
        )
        self._stored[record.id] = StoredKey(revoked, self._stored[record.id].secret_hash)

    async def find(self, key_id: KeyId) -> StoredKey | None:
        self.asked.append(key_id)
        found = self._stored.get(key_id)
        gate, self.gate = self.gate, None
        if gate is not None:
            await gate
        if self.error is not None:
            raise self.error
        return found

    async def touch(self, key_id: KeyId) -> None:
        self.touched.append(key_id)
        if self.touch_error is not None:
            raise self.touch_error

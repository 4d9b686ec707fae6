"""Keys for a running program."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from mcptunnel.auth.keys import KeyId, Scope, matches, parse
from mcptunnel.model import Principal
from mcptunnel.store.directory import StoredKeys
from mcptunnel.store.engine import Store


class _Fixture:
    def __init__(self, store: Store) -> None:
        self.now_s = 1.0
        self.revoked: list[str] = []
        self.keys = StoredKeys(
            store,
            random=lambda size: bytes(range(size)),
            epoch_s=lambda: self.now_s,
            revoked=self.revoked.append,
        )


@pytest.fixture
def fixture(tmp_path: Path, running_reactor: Any) -> Any:
    store = Store(tmp_path / "x.db", running_reactor)
    store.start()
    yield _Fixture(store)
    store.stop()


@pytest_twisted.ensureDeferred
async def test_the_life_of_a_key(fixture: _Fixture) -> None:
    issued = await fixture.keys.create(user="alice", scope=Scope.AGENT, name="laptop")
    parsed = parse(issued.text)
    assert parsed is not None
    assert issued.record.principal == Principal("local", "alice")
    stored = await fixture.keys.find(parsed.id)
    assert stored is not None
    assert stored.record.allows(Scope.AGENT)
    assert matches(parsed, stored.secret_hash)

    fixture.now_s = 2.0
    await fixture.keys.touch(parsed.id)
    fixture.now_s = 3.0
    assert await fixture.keys.revoke(parsed.id)
    (record,) = await fixture.keys.list()
    assert (record.created_s, record.last_used_s, record.revoked_s) == (1.0, 2.0, 3.0)


@pytest_twisted.ensureDeferred
async def test_whoever_must_cut_links_hears_of_a_revocation(fixture: _Fixture) -> None:
    """Also of one that the store knew before: nobody may have told them of that."""
    issued = await fixture.keys.create(user="alice", scope=Scope.AGENT, name="")
    assert not await fixture.keys.revoke(KeyId("nothing"))
    assert await fixture.keys.revoke(issued.record.id)
    assert fixture.revoked == [issued.record.id]
    assert not await fixture.keys.revoke(issued.record.id)
    assert fixture.revoked == [issued.record.id] * 2

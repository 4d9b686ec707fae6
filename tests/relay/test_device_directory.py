"""What whoever runs the relay does about devices, while it runs."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.auth.keys import RANDOM_BYTES, Scope
from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.device_directory import DeviceDirectory, StillConnectedError
from mcptunnel.relay.devices import Device
from mcptunnel.store.audit import AuditLog
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import DeviceRecord, Devices
from mcptunnel.store.errors import StoreError
from mcptunnel.store.keys import Keys
from mcptunnel.store.names import Names
from mcptunnel.store.oauth.families import Families, Family
from mcptunnel.testing.joined import START_S, Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.coroutines import now
from tests.relay.store_at_once import StoreAtOnce

ALICE = Principal(LOCAL_ISSUER, "alice")
INSTALLATION = "installation-0001"


def directory_of(
    joined: Joined, store: StoreAtOnce, revoked: Callable[[Revoked], None] | None = None
) -> DeviceDirectory:
    return DeviceDirectory(
        store,
        joined.devices,
        epoch_s=joined.epoch_s,
        revoked=revoked or joined.in_use.end,
        forgotten=joined.hub.forget_names,
    )


class Bench:
    """A relay in memory that writes devices into a store; alice's laptop is connected by a grant."""

    def __init__(self, store: StoreAtOnce, **options: Any) -> None:
        self.store = store
        self.joined = Joined(hub=HubConfig(**options))
        self.revoked: list[Revoked] = []
        self.directory = directory_of(self.joined, store, self._revoked)
        self.grant("grant")
        self.agent = self.joined.agent(
            MemoryServer("files", {"read": lambda _: "text"}),
            installation_id=INSTALLATION,
            key_id="grant",
        )
        self.joined.wait_s(5)

    def _revoked(self, revoked: Revoked) -> None:
        self.revoked.append(revoked)
        self.joined.in_use.end(revoked)

    def grant(self, family_id: str) -> None:
        family = Family(
            id=family_id,
            principal=ALICE,
            client_id=AGENT_CLIENT_ID,
            resource="https://relay",
            scopes=frozenset({"agent"}),
            created_s=START_S,
            last_used_s=START_S,
            expires_s=START_S + 1e6,
        )
        self.store.database.write(lambda connection: Families(connection).add(family))

    @property
    def device(self) -> Device:
        return self.joined.devices.of(ALICE)[0]

    def record(self) -> DeviceRecord | None:
        return self.store.database.read(lambda c: Devices(c).find(ALICE, INSTALLATION))

    def events(self) -> list[str]:
        pages = self.store.database.read(lambda c: AuditLog(c).page(limit=9))
        return [logged.event.event for logged in pages]


@pytest.fixture
def bench(store: StoreAtOnce) -> Bench:
    return Bench(store)


def test_a_revoked_device_is_cut_off_with_the_grants_that_it_used(bench: Bench) -> None:
    """Also with the one that it has just come in with, which is not written yet."""
    bench.grant("earlier")

    def earlier(connection: Connection) -> None:
        Devices(connection).seen(ALICE, INSTALLATION, "old name", START_S)
        DeviceUses(connection).note(ALICE, INSTALLATION, "earlier")

    bench.store.database.write(earlier)
    ended = now(bench.directory.revoke(ALICE, INSTALLATION))
    assert ended is not None
    assert sorted(family.id for family in ended.families) == ["earlier", "grant"]
    assert {family.reason for family in ended.families} == {"its device was revoked"}
    assert bench.revoked == [
        Revoked(principal=ALICE, device_id=INSTALLATION),
        Revoked(grant_id="earlier"),
        Revoked(grant_id="grant"),
    ]
    bench.joined.settle()
    assert bench.agent.notices[0].code.name == "DEVICE_REVOKED"
    assert bench.device.revoked_s == bench.joined.epoch_s()
    record = bench.record()
    assert record is not None
    assert (record.name, record.revoked_s) == ("laptop", bench.joined.epoch_s())
    assert sorted(bench.events()) == ["device.revoked", "grant.revoked", "grant.revoked"]


def test_the_keys_that_it_used_are_told(store: StoreAtOnce) -> None:
    bench = Bench(store)
    key = store.database.write(
        lambda c: Keys(c).issue(
            ALICE, Scope.AGENT, "service", random=bytes(RANDOM_BYTES), now_s=START_S
        )
    ).record
    bench.joined.lose(bench.agent)
    bench.joined.agent(installation_id=INSTALLATION, key_id=key.id)
    ended = now(bench.directory.revoke(ALICE, INSTALLATION))
    assert ended is not None
    assert [one.name for one in ended.keys] == ["service"]


def test_a_key_does_not_let_it_in_because_the_clock_was_set_back(store: StoreAtOnce) -> None:
    bench = Bench(store)
    made_s = bench.joined.epoch_s() + 3600
    key = store.database.write(
        lambda c: Keys(c).issue(
            ALICE, Scope.AGENT, "service", random=bytes(RANDOM_BYTES), now_s=made_s
        )
    ).record
    bench.joined.lose(bench.agent)
    agent = bench.joined.agent(installation_id=INSTALLATION, key_id=key.id, created_s=made_s)
    now(bench.directory.revoke(ALICE, INSTALLATION))
    bench.joined.lose(agent)
    again = bench.joined.agent(installation_id=INSTALLATION, key_id=key.id, created_s=made_s)
    assert again.notices[0].code.name == "DEVICE_REVOKED"
    assert bench.device.is_revoked


def test_what_its_tools_were_is_listed_no_more_and_calls_say_why(bench: Bench) -> None:
    """At once, however long a device that is away stays listed."""
    client = bench.joined.client()
    assert client.tools() == ["files__read"]
    now(bench.directory.revoke(ALICE, INSTALLATION))
    bench.joined.settle()
    assert client.tools() == []
    answer = client.call("files__read")
    assert answer.text.startswith("The device 'laptop' was revoked. The call did not reach")
    assert client.call("status").text.startswith("laptop: revoked, last seen ")


def test_who_listens_is_told_at_once_that_the_tools_are_gone(bench: Bench) -> None:
    client = bench.joined.client()
    assert client.tools()
    heard = client.request(
        "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, request_id="l"
    )
    bench.joined.wait_s(2)
    before = len(heard.notifications)
    now(bench.directory.revoke(ALICE, INSTALLATION))
    bench.joined.settle()
    assert len(heard.notifications) == before + 1


def test_while_it_is_written_nothing_older_comes_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And if it cannot be written, nothing has changed."""
    writing: Deferred[Any] = Deferred()
    monkeypatch.setattr(bench.store, "write", lambda _change: writing)
    asked = Deferred.fromCoroutine(bench.directory.revoke(ALICE, INSTALLATION))
    bench.joined.lose(bench.agent)
    bench.joined.connect(bench.agent)
    assert bench.agent.notices[0].code.name == "DEVICE_REVOKED"
    failed: list[object] = []
    asked.addErrback(lambda failure: failed.append(failure.check(StoreError)))
    writing.errback(StoreError("the store is full"))
    assert failed == [StoreError]
    assert not bench.device.is_revoked
    bench.joined.connect(bench.agent)
    assert bench.device.is_connected


def test_a_device_that_is_not_known_is_not_revoked(bench: Bench) -> None:
    assert now(bench.directory.revoke(Principal(LOCAL_ISSUER, "bob"), INSTALLATION)) is None
    assert bench.revoked == []


def test_a_device_is_allowed_again(bench: Bench) -> None:
    """Its key lets it in, as before."""
    assert not now(bench.directory.allow(ALICE, INSTALLATION))
    now(bench.directory.revoke(ALICE, INSTALLATION))
    bench.joined.settle()
    assert now(bench.directory.allow(ALICE, INSTALLATION))
    bench.joined.connect(bench.agent)
    assert (bench.device.is_connected, bench.device.is_revoked) == (True, False)
    assert bench.events()[0] == "device.let_in_again"
    assert [one.installation_id for one in bench.directory.list()] == [INSTALLATION]


def test_a_connected_device_is_not_forgotten(bench: Bench) -> None:
    """Nor one that is expected back: it would be there again at once."""
    now(bench.directory.revoke(ALICE, INSTALLATION))
    now(bench.directory.allow(ALICE, INSTALLATION))
    bench.joined.connect(bench.agent)
    with pytest.raises(StillConnectedError, match="laptop is connected"):
        now(bench.directory.forget(ALICE, INSTALLATION))
    bench.joined.cut(bench.agent)
    with pytest.raises(StillConnectedError, match="revoke it first"):
        now(bench.directory.forget(ALICE, INSTALLATION))
    assert bench.record() is not None


def test_a_forgotten_device_leaves_its_names_to_the_next(bench: Bench) -> None:
    """That is why one would do it: a new machine in place of an old one."""
    client = bench.joined.client()
    assert client.tools() == ["files__read"]

    def bind(connection: Connection) -> None:
        Devices(connection).seen(ALICE, INSTALLATION, "laptop", START_S)
        row = ("files__read", INSTALLATION, "files", "read")
        Names(connection).bind(ALICE, "tool", [row], START_S)

    bench.store.database.write(bind)
    bench.joined.lose(bench.agent)
    assert now(bench.directory.forget(ALICE, INSTALLATION))
    assert not now(bench.directory.forget(ALICE, INSTALLATION))
    assert bench.joined.devices.of(ALICE) == []
    assert bench.record() is None
    assert not bench.store.database.read(lambda connection: Names(connection).list())
    with pytest.raises(JsonRpcError, match="Unknown tool"):
        _ = client.call("files__read").value
    bench.joined.agent(MemoryServer("files", {"read": lambda _: "new"}), name="new")
    assert client.tools() == ["files__read"]
    assert client.call("files__read").text == "new"
    assert bench.events()[0] == "device.forgotten"


@pytest.mark.parametrize("fails", [False, True])
def test_a_device_that_comes_back_while_it_is_forgotten_waits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """Else what was just written of it would be lost, and its names be others' behind its back.

    Then it is a new one; or what it was, if it cannot be forgotten.
    """
    bench.joined.lose(bench.agent)
    before, write = bench.device, bench.store.write
    writing: Deferred[Any] = Deferred()
    monkeypatch.setattr(bench.store, "write", lambda _change: writing)
    asked = Deferred.fromCoroutine(bench.directory.forget(ALICE, INSTALLATION))
    assert not now(bench.directory.forget(ALICE, INSTALLATION)), "it is under way"
    bench.joined.connect(bench.agent)
    (notice,) = bench.agent.notices
    assert (notice.code.name, notice.retry_after_s) == ("NO_ERROR", 1.0)
    assert not before.is_connected
    monkeypatch.setattr(bench.store, "write", write)
    if fails:
        asked.addErrback(lambda failure: failure.trap(StoreError))
        writing.errback(StoreError("the store is full"))
    else:
        writing.callback(True)
    bench.joined.connect(bench.agent)
    assert bench.device.is_connected
    assert (bench.device is before) is fails

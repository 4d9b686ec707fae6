"""Whoever runs the relay takes back what was allowed."""

from functools import partial

from sqlalchemy import Connection

from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.taking_back import GrantDirectory, grant_to_json, take_back_client
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import Devices
from mcptunnel.store.oauth.clients import Client, ClientKind, Clients
from mcptunnel.store.oauth.families import Families
from tests.relay.coroutines import now
from tests.relay.oauth.parts import ALICE, APP, START_S, Parts
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import OAuthSite, granted, refreshed

BOB = Principal(LOCAL_ISSUER, "bob")


def directory(parts: Parts) -> GrantDirectory:
    return GrantDirectory(
        parts.around.store, epoch_s=parts.around.epoch_s, revoked=parts.revoked.append
    )


def test_one_grant_ends_once_and_it_is_noted(parts: Parts) -> None:
    parts.grant("one")
    parts.grant("two")
    grants = directory(parts)
    assert [now(grants.take_back_grant(one)) for one in ("one", "one", "none")] == [1, 0, 0]
    assert parts.revoked == [Revoked(grant_id="one")]
    assert [one.family.id for one in now(grants.list())] == ["two"]
    (event,) = parts.events()
    assert (event.event, event.principal, event.client_id) == ("grant.revoked", ALICE, APP.id)
    assert event.detail["reason"] == "taken back by the operator"


def test_a_client_goes_with_all_that_it_was_granted(parts: Parts) -> None:
    """By one user alone it stays known, and others keep what they have."""
    kept = Client(id=APP.id, kind=ClientKind.DCR, metadata={}, created_s=START_S)
    parts.database.write(lambda connection: Clients(connection).put(kept))
    parts.grant("one")
    assert now(directory(parts).take_back_client(APP.id, BOB)) == 0
    assert now(directory(parts).list())
    assert now(directory(parts).take_back_client(APP.id, ALICE)) == 1
    find = partial(parts.database.read, lambda c: Clients(c).find(APP.id, START_S))
    assert find() is not None
    assert parts.database.write(lambda c: take_back_client(c, APP.id, None, START_S)) == 0
    assert find() is None
    assert not parts.database.read(lambda c: Families(c).list(START_S))


def test_a_removed_client_is_refused_at_once_and_has_to_register(store: StoreAtOnce) -> None:
    """Its streams end as well: tests/relay/web/oauth/test_tree.py."""
    site = OAuthSite(store=store)
    client_id, given = granted(site)
    _, other = granted(site, "bob")
    assert site.mcp(given["access_token"]).status == 200
    grants = GrantDirectory(site.store, epoch_s=site.joined.epoch_s, revoked=site.revoked)
    assert now(grants.take_back_client(client_id, None)) >= 1
    assert site.mcp(given["access_token"]).status == 401
    gone = refreshed(site, client_id, given["refresh_token"])
    assert (gone.status, gone.json["error"]) == (401, "invalid_client")
    assert site.mcp(other["access_token"]).status == 401, "the same metadata are the same client"


def test_grants_are_listed_with_the_devices_that_used_them(parts: Parts) -> None:
    """By name; two may share a sign-in."""
    parts.grant("one")
    parts.grant("two")

    def use(connection: Connection) -> None:
        for installation_id in ("laptop", "tower"):
            Devices(connection).seen(ALICE, installation_id, installation_id.title(), START_S)
            DeviceUses(connection).note(ALICE, installation_id, "one")

    parts.database.write(use)
    told = {one["id"]: one["devices"] for one in map(grant_to_json, now(directory(parts).list()))}
    laptop, tower = {"id": "laptop", "name": "Laptop"}, {"id": "tower", "name": "Tower"}
    assert told == {"one": [laptop, tower], "two": []}

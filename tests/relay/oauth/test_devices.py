"""Device grants in the store; the pages have their own tests."""

import pytest

from mcptunnel.auth.agent_client import AGENT_CLIENT
from mcptunnel.model import Principal
from mcptunnel.relay.oauth.clients import ClientDirectory, PinnedDocuments
from mcptunnel.relay.oauth.devices import DeviceGrants
from mcptunnel.store.oauth.tables import device_code
from tests.relay.coroutines import now
from tests.relay.oauth.parts import ALICE, ISSUER, Parts, form


@pytest.fixture
def devices(parts: Parts) -> DeviceGrants:
    return DeviceGrants(parts.around, ClientDirectory(parts.around, PinnedDocuments({})))


def begin(devices: DeviceGrants) -> str:
    asked = form(scope="agent", resource=f"{ISSUER}/tunnel", device_name="laptop")
    return str(now(devices.begin(asked, AGENT_CLIENT, "192.0.2.7"))["user_code"])


def test_what_was_asked_is_found_by_its_code(parts: Parts, devices: DeviceGrants) -> None:
    code = begin(devices)
    asked = now(devices.find(code.lower().replace("-", "")))
    assert asked is not None
    assert (asked.client, asked.scopes) == (AGENT_CLIENT, ("agent",))
    assert (asked.device_name, asked.host_name, asked.address) == ("laptop", "", "192.0.2.7")
    assert asked.asked_s == parts.now_s
    assert code not in repr(asked)


@pytest.mark.parametrize("typed", ["", "x", "BBBB-BBBB", "AEIO-UAEI", "B" * 1000])
def test_other_texts_find_nothing(devices: DeviceGrants, typed: str) -> None:
    begin(devices)
    assert now(devices.find(typed)) is None
    assert now(devices.decide(typed, ALICE, allowed=True, address="a")) is None


def test_one_decision_counts(parts: Parts, devices: DeviceGrants) -> None:
    code = begin(devices)
    assert now(devices.decide(code, ALICE, allowed=False, address="a")) is not None
    assert now(devices.decide(code, ALICE, allowed=True, address="a")) is None
    assert [event.event for event in parts.events()] == ["device.denied"]


def test_who_is_not_known_decides_nothing(parts: Parts, devices: DeviceGrants) -> None:
    code = begin(devices)
    mallory = Principal("local", "mallory")
    assert now(devices.decide(code, mallory, allowed=True, address="a")) is None
    assert not parts.events()


def test_the_store_cannot_be_searched_for_codes(parts: Parts, devices: DeviceGrants) -> None:
    """A code is short: a plain hash of it could be turned back."""
    code = begin(devices)
    rows = parts.database.read(lambda connection: list(connection.execute(device_code.select())))
    assert code not in repr(rows)
    assert code.replace("-", "") not in repr(rows)

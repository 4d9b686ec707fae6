"""The devices through a running relay, and in the store of one that does not run."""

from pathlib import Path
from typing import Any

import pytest

from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.cli.device_book import MEMBERS, RunningDevices, StoredDevices, open_devices
from mcptunnel.config.auth import AuthConfig
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.store.devices import Devices

ANNA = Principal(LOCAL_ISSUER, "anna")
ENDED: dict[str, Any] = {"grants": ["g"], "others": [], "keys": []}


class Socket(ControlClient):
    """Answers always the same, and remembers what was asked."""

    def __init__(self, answer: Any, *, is_live: bool = False) -> None:
        super().__init__(Path("nowhere"))
        self.answer = answer
        self.asked: list[tuple[str, str, Any]] = []
        self._is_live = is_live

    def is_live(self) -> bool:
        return self._is_live

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        self.asked.append((method, path, body))
        return self.answer


def test_a_running_relay_is_asked() -> None:
    """Of a device no more is told than what the store knows, too."""
    device = dict.fromkeys(MEMBERS, "x")
    socket = Socket({"devices": [device | {"servers": []}], "changed": True, "ended": ENDED})
    with RunningDevices(socket) as book:
        assert book.list() == [device]
        assert book.revoke(ANNA, "i1") == ENDED
        assert book.allow(ANNA, "i1")
        assert book.forget(ANNA, "i1")
    order = {"id": "i1", "issuer": "local", "user": "anna"}
    assert socket.asked == [
        ("GET", "/api/v1/devices", None),
        ("POST", "/api/v1/devices/revoke", order),
        ("POST", "/api/v1/devices/allow", order),
        ("POST", "/api/v1/devices/forget", order),
    ]


def test_a_relay_of_another_version_is_told() -> None:
    for ask in (
        lambda book: book.list(),
        lambda book: book.revoke(ANNA, "i1"),
        lambda book: book.allow(ANNA, "i1"),
    ):
        with pytest.raises(ControlError, match="another version"):
            ask(RunningDevices(Socket({})))


@pytest.fixture
def config(tmp_path: Path) -> RelayConfig:
    return RelayConfig(
        public_url="https://r", state_dir=tmp_path / "state", auth=AuthConfig(mode="local")
    )


def test_without_a_running_relay_the_store_is_opened(config: RelayConfig) -> None:
    with open_devices(config) as book:
        assert isinstance(book, StoredDevices)
        assert (book.list(), book.revoke(ANNA, "i1"), book.forget(ANNA, "i1")) == ([], None, False)
        book.database.write(lambda c: Devices(c).seen(ANNA, "i1", "laptop", 1.0))
        assert [set(one) for one in book.list()] == [set(MEMBERS)]
        assert not book.allow(ANNA, "i1")
        assert book.revoke(ANNA, "i1") == {"grants": [], "others": [], "keys": []}
        assert book.list()[0]["state"] == "revoked"
        assert book.allow(ANNA, "i1")
        assert book.forget(ANNA, "i1")
        assert book.list() == []


def test_a_relay_that_began_meanwhile_is_told(config: RelayConfig) -> None:
    """It may have let the device in before."""
    socket = Socket({"ended": ENDED}, is_live=True)
    with StoredDevices(config, socket) as book:
        assert book.revoke(ANNA, "i1") is None
        assert socket.asked == []
        book.database.write(lambda c: Devices(c).seen(ANNA, "i1", "laptop", 1.0))
        book.revoke(ANNA, "i1")
    assert [path for _, path, _ in socket.asked] == ["/api/v1/devices/revoke"]

"""The grants through a running relay, and in the store of one that does not run."""

from pathlib import Path

import pytest

from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.cli.grant_book import RunningGrants, StoredGrants, open_grants
from mcptunnel.config.auth import AuthConfig
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import LOCAL_ISSUER, Principal

ANNA = Principal(LOCAL_ISSUER, "anna")


class Socket(ControlClient):
    """Answers always the same, and remembers what was asked."""

    def __init__(self, answer: object) -> None:
        super().__init__(Path("nowhere"))
        self.answer = answer
        self.asked: list[object] = []

    def request(self, method: str, path: str, body: dict[str, str] | None = None) -> object:
        self.asked.append((method, path, body))
        return self.answer


def test_a_running_relay_is_asked() -> None:
    socket = Socket({"grants": [], "ended": 2})
    with RunningGrants(socket) as book:
        assert book.list() == []
        assert book.take_back_grant("g") == 2
        assert book.take_back_client("app", None) == 2
        assert book.take_back_client("app", ANNA) == 2
    assert socket.asked == [
        ("GET", "/api/v1/grants", None),
        ("POST", "/api/v1/grants/revoke", {"grant": "g"}),
        ("POST", "/api/v1/grants/revoke", {"client_id": "app"}),
        (
            "POST",
            "/api/v1/grants/revoke",
            {"client_id": "app", "issuer": "local", "user": "anna"},
        ),
    ]
    with pytest.raises(ControlError, match="another version"):
        RunningGrants(Socket({})).list()


def test_without_a_running_relay_the_store_is_opened(tmp_path: Path) -> None:
    config = RelayConfig(
        public_url="https://r", state_dir=tmp_path / "state", auth=AuthConfig(mode="local")
    )
    with open_grants(config) as book:
        assert isinstance(book, StoredGrants)
        assert book.list() == []
        assert book.take_back_grant("g") == 0
        assert book.take_back_client("app", None) == 0

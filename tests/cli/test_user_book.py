"""The users through a running relay, and in the store of one that does not run."""

from pathlib import Path
from typing import Any

import pytest

from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.cli.user_book import RunningUsers, StoredUsers, open_users
from mcptunnel.config.auth import AuthConfig
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import Principal

ANNA = Principal("local", "anna")


class Socket(ControlClient):
    """Answers always the same, and remembers what was asked."""

    def __init__(self, answer: Any) -> None:
        super().__init__(Path("nowhere"))
        self.answer = answer
        self.asked: list[tuple[str, str, Any]] = []

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        self.asked.append((method, path, body))
        return self.answer


def test_a_running_relay_is_asked() -> None:
    socket = Socket({"users": [], "url": "https://r/invite?token=x", "expires_s": 1.0})
    with RunningUsers(socket) as book:
        assert book.list() == []
        assert book.make_link("invite", None) == ("https://r/invite?token=x", 1.0)
        assert book.make_link("invite", "bär")[1] == 1.0
    socket.answer = {"changed": True}
    assert RunningUsers(socket).change("disable", ANNA)
    assert socket.asked == [
        ("GET", "/api/v1/users", None),
        ("POST", "/api/v1/users/invite", {}),
        ("POST", "/api/v1/users/invite", {"user": "bär"}),
        ("POST", "/api/v1/users/disable", {"issuer": "local", "user": "anna"}),
    ]


def test_a_relay_of_another_version_is_told() -> None:
    for ask in (
        lambda book: book.list(),
        lambda book: book.make_link("invite", None),
        lambda book: book.change("disable", ANNA),
    ):
        with pytest.raises(ControlError, match="another version"):
            ask(RunningUsers(Socket({})))


def test_without_a_running_relay_the_store_is_opened(tmp_path: Path) -> None:
    config = RelayConfig(
        public_url="https://r", state_dir=tmp_path / "state", auth=AuthConfig(mode="local")
    )
    with open_users(config) as book:
        assert isinstance(book, StoredUsers)
        assert book.list() == []
        assert book.make_link("setup-link", None)[0].startswith("https://r/setup?token=mcpt_su_")
        assert not book.change("enable", ANNA)

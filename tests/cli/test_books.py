"""What is the same about all that commands know of a relay."""

from pathlib import Path
from typing import Any

import pytest

from mcptunnel.cli.books import RunningBook, StoredBook, control_of
from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.config.relay import RelayConfig
from mcptunnel.store.errors import StoreError


class Socket(ControlClient):
    def __init__(self, answer: Any) -> None:
        super().__init__(Path("nowhere"))
        self.answer = answer

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.answer


def test_the_members_of_an_answer_are_given_in_order() -> None:
    with RunningBook(Socket({"a": 1, "b": 2})) as book:
        assert book.ask("GET", "/", None, "b", "a") == (2, 1)


@pytest.mark.parametrize("answer", [None, [], {"b": 1}])
def test_an_answer_that_is_another_is_an_error(answer: Any) -> None:
    with pytest.raises(ControlError, match="another version"):
        RunningBook(Socket(answer)).ask("GET", "/", None, "a")


def test_a_store_is_made_and_closed(tmp_path: Path) -> None:
    config = RelayConfig(public_url="https://r", state_dir=tmp_path / "state")
    assert not control_of(config).is_live()
    with StoredBook(config) as book:
        assert book.database.read(lambda _: "opened") == "opened"
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError):
        StoredBook(RelayConfig(public_url="https://r", state_dir=blocked / "x"))

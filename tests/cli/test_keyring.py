"""The keys of a relay, running or not."""

import socket
from pathlib import Path
from typing import Any

import pytest

from mcptunnel.auth.keys import KeyId, KeyRecord, Scope, parse, record_to_json
from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.cli.keyring import RunningKeys, StoredKeyRing, open_keyring
from mcptunnel.model import Principal

_RECORD = KeyRecord(
    id=KeyId("abcdefghij23"),
    scope=Scope.MCP,
    principal=Principal("local", "alice"),
    name="cursor",
    created_s=1.5,
)


class _Client(ControlClient):
    """Answers from a script."""

    def __init__(self, answer: Any) -> None:
        super().__init__(Path("/nowhere"))
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        self.asked.append((method, path, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_without_a_relay_the_store_is_made_and_used(tmp_path: Path) -> None:
    with open_keyring(tmp_path / "new" / "state") as ring:
        assert isinstance(ring, StoredKeyRing)
        issued = ring.create(user="alice", scope=Scope.AGENT, name="laptop")
        parsed = parse(issued.text)
        assert parsed is not None
        assert list(ring.list()) == [issued.record]
        assert ring.revoke(parsed.id)
        assert not ring.revoke(parsed.id)
    with open_keyring(tmp_path / "new" / "state") as ring:
        (record,) = ring.list()
        assert record.revoked_s is not None


def test_a_stale_socket_does_not_matter(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    with open_keyring(tmp_path) as ring:
        assert isinstance(ring, StoredKeyRing)


def test_a_relay_that_began_meanwhile_hears_of_a_revocation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have let the key in before the store knew: what is open must end there as well."""
    with open_keyring(tmp_path) as ring:
        key_id = ring.create(user="alice", scope=Scope.AGENT, name="laptop").record.id
        asked = []
        monkeypatch.setattr(ControlClient, "is_live", lambda _client: True)
        monkeypatch.setattr(ControlClient, "request", lambda _client, *order: asked.append(order))
        assert ring.revoke(key_id)
        assert asked == [("DELETE", f"/api/v1/keys/{key_id}")]
        (record,) = ring.list()
        assert record.revoked_s is not None


def test_a_running_relay_is_asked(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        with open_keyring(tmp_path) as ring:
            assert isinstance(ring, RunningKeys)
    assert not (tmp_path / "mcptunnel.db").exists()


def test_what_a_running_relay_is_asked() -> None:
    client = _Client({"key": "mcpt_ak_x", **record_to_json(_RECORD)})
    issued = RunningKeys(client).create(user="alice", scope=Scope.MCP, name="cursor")
    assert (issued.text, issued.record) == ("mcpt_ak_x", _RECORD)
    client.answer = {"keys": [record_to_json(_RECORD)]}
    assert list(RunningKeys(client).list()) == [_RECORD]
    client.answer = None
    assert RunningKeys(client).revoke("a b/c")
    assert client.asked == [
        ("POST", "/api/v1/keys", {"user": "alice", "scope": "mcp", "name": "cursor"}),
        ("GET", "/api/v1/keys", None),
        ("DELETE", "/api/v1/keys/a%20b%2Fc", None),
    ]


def test_a_key_that_is_not_there_is_no_error() -> None:
    assert not RunningKeys(_Client(ControlError("gone", 404))).revoke("x")
    with pytest.raises(ControlError):
        RunningKeys(_Client(ControlError("broken", 500))).revoke("x")


@pytest.mark.parametrize("answer", [None, {}, {"keys": [{}]}, {"keys": None}, []])
def test_a_relay_of_another_version_is_told(answer: Any) -> None:
    with pytest.raises(ControlError, match="another version"):
        RunningKeys(_Client(answer)).list()
    with pytest.raises(ControlError, match="another version"):
        RunningKeys(_Client(answer)).create(user="a", scope=Scope.MCP, name="")

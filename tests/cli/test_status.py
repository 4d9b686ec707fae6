"""`mcptunnel status`, over what a relay's control socket tells."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mcptunnel.cli.main import main

AWAY: dict[str, Any] = {
    "name": "tower",
    "issuer": "local",
    "user": "bob",
    "state": "offline",
    "round_trip_ms": None,
    "connected_s": None,
    "last_seen_s": 86_400.0,
    "agent_version": "1",
    "servers": [],
}
STATUS = {"state": "draining", "calls": 3, "devices": 1, "resuming": 0}
HERE = {
    **AWAY,
    "name": "laptop",
    "user": "alice",
    "state": "connected",
    "round_trip_ms": 12.5,
    "servers": [{"name": "files", "state": "ready"}, {"name": "web", "state": "failed"}],
}


def asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Any, *arguments: str, live: bool = True
) -> Result:
    """Run the command against a relay that gives this answer."""

    class Client:
        def __init__(self, path: Path) -> None:
            assert path == tmp_path / "state" / "control.sock"

        def is_live(self) -> bool:
            return live

        def request(self, method: str, path: str) -> Any:
            assert method == "GET"
            return {"/api/v1/devices": answer, "/api/v1/status": STATUS}[path]

    monkeypatch.setattr("mcptunnel.cli.books.ControlClient", Client)
    monkeypatch.chdir(tmp_path)
    Path("relay.toml").write_text("")
    return CliRunner().invoke(main, ["status", "--config", "relay.toml", *arguments])


def test_devices_and_how_far_away_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The round-trip time has its unit; a server that is not ready says so."""
    result = asked(monkeypatch, tmp_path, {"devices": [HERE, AWAY]})
    assert result.exit_code == 0
    summary, *table = result.stdout.splitlines()
    assert summary == "The relay is draining: 3 calls, 1 devices connected, 0 expected back."
    assert [line.split("\t") for line in table] == [
        ["DEVICE", "USER", "STATE", "ROUND TRIP", "LAST SEEN", "SERVERS"],
        ["laptop", "alice", "connected", "12.5 ms", "now", "files, web (failed)"],
        ["tower", "bob", "offline", "-", "1970-01-02 00:00Z", ""],
    ]


def test_json_is_what_the_relay_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = asked(monkeypatch, tmp_path, {"devices": [HERE]}, "--json")
    assert json.loads(result.stdout) == {"state": "draining", "calls": 3, "devices": [HERE]}


def test_without_a_relay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = asked(monkeypatch, tmp_path, None, live=False)
    assert result.exit_code == 1
    assert f"No relay runs with the state directory {tmp_path / 'state'}." in result.stderr


@pytest.mark.parametrize("answer", [None, {}, {"devices": [{}]}, {"devices": None}])
def test_a_relay_of_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: Any
) -> None:
    result = asked(monkeypatch, tmp_path, answer)
    assert result.exit_code == 1
    assert "another version" in result.stderr

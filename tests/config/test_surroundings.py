"""What a configuration lacks on this machine is told, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.secret import Secret
from mcptunnel.config.surroundings import warnings


def _agent(base: Path, **server: Any) -> AgentConfig:
    return AgentConfig(
        relay="https://a.b",
        name="laptop",
        state_dir=base / "state",
        key=Secret("k"),
        servers=(ServerConfig(name="x", kind="stdio", **server),),
    )


def _relay(base: Path, **fields: Any) -> RelayConfig:
    return RelayConfig(**{"public_url": "https://a.b", "state_dir": base / "state", **fields})


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which `tool` is a program, and `text` is none."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").touch(0o755)
    (tmp_path / "bin" / "text").touch(0o644)
    return {"PATH": str(tmp_path / "bin")}


def test_nothing_is_missing(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "state").mkdir()
    listen = f"unix:{tmp_path}/relay.sock"
    for config in (
        _agent(tmp_path, command=("tool",), cwd=tmp_path),
        _agent(tmp_path, command=(f"{tmp_path}/bin/tool",)),
        _agent(tmp_path, command=("tool",), env={"PATH": environ["PATH"]}),
        _agent(tmp_path, url="http://127.0.0.1:1/"),
        _relay(tmp_path),
        _relay(tmp_path, listen=listen),
    ):
        assert list(warnings(config, environ)) == []


def test_what_is_missing(tmp_path: Path, environ: dict[str, str]) -> None:
    for server, told in (
        ({"command": ("gone",)}, "servers.x.command: the program gone is not there in PATH."),
        ({"command": ("tool",), "env": {"PATH": "/nope"}}, "the program tool is not there in PATH"),
        ({"command": ("/no/x",)}, "servers.x.command: the program /no/x is not there. Install it"),
        ({"command": (f"{tmp_path}/bin/text",)}, "/bin/text cannot be run."),
        ({"command": ("tool",), "cwd": tmp_path / "no"}, f"the directory {tmp_path}/no is not"),
    ):
        (warning,) = warnings(_agent(tmp_path, **server), environ)
        assert told in warning


def test_a_state_dir_that_is_a_file(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "state").touch()
    for config in (_relay(tmp_path), _agent(tmp_path, command=("tool",))):
        (warning,) = warnings(config, environ)
        assert warning.startswith(f"state_dir: {tmp_path}/state is a file, not a directory.")


@pytest.mark.parametrize(
    "listen", ["unix:/no/such/x.sock", "unix:address=/no/such/x.sock:mode=660"]
)
def test_a_socket_without_a_directory(listen: str, tmp_path: Path) -> None:
    (warning,) = warnings(_relay(tmp_path, listen=listen), {})
    assert warning == "listen: the directory /no/such is not there. Make it."


def test_a_path_that_nothing_can_have(tmp_path: Path) -> None:
    """It is told like any other, and does not end the check."""
    assert list(warnings(_relay(tmp_path, state_dir=tmp_path / ("a" * 5000)), {})) == []
    (warning,) = warnings(_agent(tmp_path, command=("/" + "a" * 5000,)), {})
    assert "is not there" in warning

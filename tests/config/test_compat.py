"""Files of other programs."""

from pathlib import Path
from typing import Any

import pytest

from mcptunnel.config import compat
from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.errors import ConfigError, Findings
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.source import Source


def _address(tree: dict[str, Any], *, has_mode: bool = False) -> dict[str, Any]:
    findings = Findings("x")
    compat.rewrite_address(tree, findings, has_mode=has_mode)
    findings.raise_if_any()
    return tree


def _servers(**servers: Any) -> dict[str, Any]:
    findings = Findings("x")
    tree = {"servers": servers}
    compat.rewrite_servers(tree, findings)
    findings.raise_if_any()
    return tree["servers"]


def test_mode_is_taken_out() -> None:
    findings = Findings("x")
    tree = {"mode": "relay"}
    assert compat.check_mode(tree, "relay", findings)
    assert not compat.check_mode(tree, "relay", findings)
    assert not len(findings)
    assert compat.check_mode({"mode": "agent"}, "relay", findings)
    assert len(findings) == 1


def test_host_and_port_make_a_listen_string() -> None:
    assert _address({"port": 80})["listen"] == "tcp:80:interface=127.0.0.1"
    assert _address({"host": "::1"})["listen"] == r"tcp:8787:interface=\:\:1"
    assert _address({"host": "0.0.0.0", "port": 80}) == {"listen": "tcp:80:interface=0.0.0.0"}
    assert _address({}) == {}


def test_with_mode_the_other_programs_defaults_hold() -> None:
    assert _address({}, has_mode=True) == {
        "listen": "tcp:3000:interface=0.0.0.0",
        "public_url": "http://localhost:3000",
    }
    assert _address({"port": 80, "public_url": "u"}, has_mode=True) == {
        "listen": "tcp:80:interface=0.0.0.0",
        "public_url": "u",
    }


@pytest.mark.parametrize(
    ("tree", "key"),
    [
        ({"port": "80"}, "port"),
        ({"port": 70000}, "port"),
        ({"host": 1}, "host"),
        ({"port": 80, "listen": "tcp:80"}, "port"),
        ({"host": "a", "listen": "tcp:80"}, "host"),
    ],
)
def test_addresses_that_cannot_be(tree: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _address(tree)
    assert [problem.key for problem in caught.value.problems] == [key]


@pytest.mark.parametrize(
    ("section", "tree", "told"),
    [
        (RelayConfig, {"relay": "x", "state_dir": "s"}, "an agent's configuration, not a relay's"),
        (RelayConfig, {"mcpServers": {}}, "an agent's"),
        (AgentConfig, {"publicUrl": "x", "tunnel": {}}, "a relay's configuration, not an agent's"),
        (AgentConfig, {"port": 80}, "a relay's"),
    ],
)
def test_the_file_of_the_other_program_is_one_problem(
    section: type, tree: dict[str, Any], told: str
) -> None:
    source = Source(label="x.toml", base=Path(), path=None, data=tree)
    with pytest.raises(ConfigError) as caught:
        compat.check_program(source, section)
    assert str(caught.value).startswith(f"x.toml: this is {told}")
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("tree", [{}, {"state_dir": "s"}, {"relay": "x", "listen": "y"}])
def test_a_file_that_may_be_of_either_is_read(tree: dict[str, Any]) -> None:
    """What is wrong with it is then told key by key."""
    source = Source(label="x.toml", base=Path(), path=None, data=tree)
    for section in (RelayConfig, AgentConfig):
        compat.check_program(source, section)


def test_desktop_servers_become_ours() -> None:
    assert _servers(a={"command": "npx", "args": ["-y", "x"]}) == {
        "a": {"command": ["npx", "-y", "x"], "kind": "stdio"}
    }
    assert _servers(a={"command": "npx"})["a"]["command"] == ["npx"]
    assert _servers(a={"command": "my tools"})["a"]["command"] == ["my tools"]
    for kind in ("streamable-http", "streamableHttp", "http"):
        assert _servers(a={"url": "u", "kind": kind})["a"]["kind"] == "http"
    assert _servers(a={"url": "u"})["a"]["kind"] == "http"
    assert _servers(a={"command": ["x"]}) == {"a": {"command": ["x"], "kind": "stdio"}}


@pytest.mark.parametrize(
    ("server", "key"),
    [
        ({"command": ["npx"], "args": ["-y"]}, "servers.a.args"),
        ({"url": "u", "args": ["-y"]}, "servers.a.args"),
        ({"command": "npx", "args": "-y"}, "servers.a.args"),
    ],
)
def test_commands_that_cannot_be(server: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _servers(a=server)
    assert [problem.key for problem in caught.value.problems] == [key]


def test_wrong_types_are_left_to_the_reader() -> None:
    assert _servers(a=5) == {"a": 5}
    findings = Findings("x")
    compat.rewrite_servers({"servers": 5}, findings)
    compat.rewrite_servers({}, findings)
    assert not len(findings)

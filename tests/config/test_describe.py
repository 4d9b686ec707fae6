"""The effective configuration is TOML, without secrets."""

import tomllib
from pathlib import Path

from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.config.describe import describe
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.secret import MASK, Secret


def test_a_relay() -> None:
    config = RelayConfig(
        public_url="https://a.b", state_dir=Path('/x"y\\z'), allowed_hosts=("a", "ü")
    )
    read = tomllib.loads(describe(config))
    assert read["public_url"] == "https://a.b"
    assert read["state_dir"] == '/x"y\\z'
    assert read["allowed_hosts"] == ["a", "ü"]
    assert read["insecure"] is False
    assert read["auth"]["mode"] == "keys"
    assert "issuer" not in read["auth"]
    assert read["limits"]["max_sessions"] == 10_000
    assert read["tunnel"]["dead_after_s"] == 45


def test_an_agent_shows_no_secret() -> None:
    config = AgentConfig(
        relay="https://a.b",
        name="laptop",
        state_dir=Path("/x"),
        key=Secret("hunter2"),
        servers=(
            ServerConfig(name="t", kind="stdio", command=("x", "y"), env={"A": "hunter2"}),
            ServerConfig(name="w", kind="http", url="http://a/", headers={"b": "hunter2"}),
        ),
    )
    text = describe(config)
    assert "hunter2" not in text
    read = tomllib.loads(text)
    assert "key" not in read
    assert f'# key = "{MASK}"\n' in text
    assert "key_file" not in read
    assert read["servers"]["t"] == {
        "kind": "stdio",
        "command": ["x", "y"],
        "env": {"A": MASK},
        "timeout_s": 3600,
        "isolation": "shared",
        "max_children": 8,
        "idle_s": 600,
    }
    assert read["servers"]["w"]["headers"] == {"b": MASK}

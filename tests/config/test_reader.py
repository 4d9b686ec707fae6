"""Values of every type are read strictly, and everything that is wrong is told."""

from pathlib import Path
from typing import Any

import pytest

from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.config.errors import ConfigError, Findings
from mcptunnel.config.expand import LooseText
from mcptunnel.config.reader import Reader
from mcptunnel.config.relay import HubConfig, RelayConfig

_BASE = Path("/etc/mcptunnel")


def _read(tree: dict[str, Any], section: type) -> dict[str, Any]:
    findings = Findings("x")
    values = Reader(_BASE, findings).section(tree, section)
    findings.raise_if_any()
    return values


def _read_relay(**tree: Any) -> dict[str, Any]:
    return _read({"public_url": "https://a.b", "state_dir": "state", **tree}, RelayConfig)


def test_defaults_fill_what_is_missing() -> None:
    assert _read({}, HubConfig) == {
        "device_prefix": "auto",
        "server_timeout_s": 10.0,
        "call_timeout_s": 3660.0,
        "offline_grace_s": 900.0,
    }


def test_paths_are_relative_to_the_file() -> None:
    assert _read_relay()["state_dir"] == _BASE / "state"
    assert _read_relay(state_dir="/x")["state_dir"] == Path("/x")
    assert _read_relay(state_dir="~/x")["state_dir"] == Path.home() / "x"


@pytest.mark.parametrize(
    ("section", "tree"),
    [
        ("relay", {"insecure": 1}),
        ("relay", {"insecure": "true"}),
        ("relay", {"listen": 8787}),
        ("relay", {"listen": None}),
        ("relay", {"state_dir": ""}),
        ("relay", {"state_dir": "a\0b"}),
        ("relay", {"state_dir": "~nobody-here/x"}),
        ("relay", {"allowed_hosts": "a"}),
        ("relay", {"allowed_hosts": ["a", 1]}),
        ("relay", {"auth": "keys"}),
        ("relay", {"limits": {"max_sessions": 1.5}}),
        ("relay", {"limits": {"max_sessions": True}}),
        ("relay", {"limits": {"max_sessions": "5"}}),
        ("relay", {"limits": {"max_sessions": 0}}),
        ("relay", {"limits": {"max_sessions": LooseText("five")}}),
        ("relay", {"hub": {"server_timeout_s": "5"}}),
        ("relay", {"hub": {"server_timeout_s": False}}),
        ("relay", {"hub": {"server_timeout_s": float("nan")}}),
        ("relay", {"hub": {"server_timeout_s": LooseText("soon")}}),
        ("relay", {"hub": {"device_prefix": "sometimes"}}),
        ("server", {"kind": "stdio", "command": ["x"], "env": {"A": 1}}),
        ("server", {"kind": "stdio", "command": ["x"], "env": ["A=1"]}),
        ("server", {"kind": "stdio", "command": "x"}),
    ],
)
def test_wrong_values(section: str, tree: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        _read_relay(**tree) if section == "relay" else _read(tree, ServerConfig)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].key


@pytest.mark.parametrize(
    ("section", "tree", "told"),
    [
        (RelayConfig, {"listen": 1}, 'listen = "tcp:8787:interface=127.0.0.1"'),
        (RelayConfig, {"public_url": 1}, 'public_url = "https://relay.example.org"'),
        (RelayConfig, {"state_dir": 1}, 'state_dir = "./path"'),
        (RelayConfig, {"insecure": 1}, "insecure = true"),
        (RelayConfig, {"allowed_hosts": 1}, 'allowed_hosts = ["one", "two"]'),
        (RelayConfig, {"hub": 1}, "[hub]"),
        (HubConfig, {"device_prefix": 1}, 'device_prefix = "auto"'),
        (HubConfig, {"server_timeout_s": "1"}, "server_timeout_s = 10"),
        (ServerConfig, {"env": 1}, 'env = { NAME = "text" }'),
        (ServerConfig, {"url": 1}, 'url = "http://127.0.0.1:9000/mcp"'),
        (AgentConfig, {"key": 1}, 'key = "mcpt_ak_..."'),
        (AgentConfig, {"servers": 1}, "[servers.files]"),
        (AgentConfig, {"servers": {"a": 1}}, "Write a section [servers.a]."),
    ],
)
def test_a_wrong_type_comes_with_an_example(section: type, tree: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(tree, section)
    lines = str(caught.value).splitlines()
    (line,) = (line for line in lines if f"{next(iter(tree))}" in line and ", not " in line)
    assert line.endswith(told)


@pytest.mark.parametrize(
    ("tree", "key"),
    [
        ({"env": {"A": "x", "PORT": 3}}, "env.PORT"),
        ({"headers": {"A": True}}, "headers.A"),
        ({"command": ["x", 3]}, "command[1]"),
    ],
)
def test_a_wrong_part_is_named(tree: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _read({"servers": {"demo": {"kind": "stdio", **tree}}}, AgentConfig)
    (problem,) = (one for one in caught.value.problems if ", not a text" in one.message)
    assert problem.key == f"servers.demo.{key}"
    assert problem.remedy == "Write it in quotes."


def test_a_wrong_value_is_not_repeated() -> None:
    """It may be a secret in the wrong place."""
    with pytest.raises(ConfigError) as caught:
        _read_relay(insecure="hunter2", limits={"max_sessions": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("No", False), ("false", False)]
)
def test_loose_texts_stand_for_truth_values(text: str, value: bool) -> None:
    assert _read_relay(insecure=LooseText(text))["insecure"] is value


def test_loose_texts_stand_for_numbers() -> None:
    values = _read_relay(
        limits={"max_sessions": LooseText("7")}, hub={"server_timeout_s": LooseText("2.5")}
    )
    assert values["limits"].max_sessions == 7
    assert values["hub"].server_timeout_s == 2.5
    assert type(_read_relay(listen=LooseText("tcp:80"))["listen"]) is str


def test_whole_numbers_are_numbers() -> None:
    assert _read({"server_timeout_s": 3}, HubConfig)["server_timeout_s"] == 3.0


def test_null_is_only_for_optional_fields() -> None:
    values = _read({"kind": "stdio", "command": ["x"], "cwd": None, "prefix": None}, ServerConfig)
    assert values["cwd"] is None


def test_everything_wrong_is_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        _read({"listen": 1, "insecure": 2, "limits": {"max_sessions": 0}, "hub": 3}, RelayConfig)
    assert [problem.key for problem in caught.value.problems] == [
        "listen",
        "public_url",
        "state_dir",
        "insecure",
        "hub",
        "limits.max_sessions",
    ]

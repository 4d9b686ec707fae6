"""Values of every type are read strictly, and everything that is wrong is told."""

from pathlib import Path
from typing import Any

import pytest

from mcptunnel.config.agent import ServerConfig
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

"""The options of the `twistd` commands, made from the fields."""

import tomllib
from pathlib import Path
from typing import ClassVar

import pytest

import mcptunnel
from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.load import load_agent, load_relay
from mcptunnel.config.options import ConfigOptions, option_of, plain_fields
from mcptunnel.config.relay import RelayConfig


class _Relay(ConfigOptions):
    section: ClassVar = RelayConfig
    load: ClassVar = staticmethod(load_relay)


class _Agent(ConfigOptions):
    section: ClassVar = AgentConfig
    load: ClassVar = staticmethod(load_agent)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MCPTUNNEL_CONFIG", "MCPTUNNEL_KEY"):
        monkeypatch.delenv(name, raising=False)
    Path("relay.toml").write_text("port = 99\nlimits.max_sessions = 5")


def _parsed(*arguments: str) -> _Relay:
    options = _Relay()
    options.parseOptions(["--config", "relay.toml", *arguments])
    return options


def test_the_file_alone() -> None:
    config = _parsed().config
    assert config.public_url == "http://127.0.0.1:99"
    assert config.limits.max_sessions == 5


def test_options_win_over_the_file() -> None:
    config = _parsed(
        "--limits-max-sessions=6", "--listen=tcp:98:interface=127.0.0.1", "--insecure=true"
    ).config
    assert config.limits.max_sessions == 6
    assert config.public_url == "http://127.0.0.1:98"
    assert config.insecure


def test_every_plain_field_is_an_option_and_no_secret_is() -> None:
    relay = {option_of(key) for key, _ in plain_fields(RelayConfig)}
    assert {"listen", "public-url", "state-dir", "tunnel-ping-after-s"} <= relay
    assert "allowed-hosts" not in relay
    agent = {option_of(key) for key, _ in plain_fields(AgentConfig)}
    assert {"relay", "key-file"} <= agent
    assert "key" not in agent
    assert {row[0] for row in _Agent.optParameters} == {"config", *agent}


def test_check_config_shows_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        _parsed("--check-config")
    assert caught.value.code == 0
    assert tomllib.loads(capsys.readouterr().out)["limits"]["max_sessions"] == 5


def test_problems_are_the_exit_message() -> None:
    with pytest.raises(SystemExit) as caught:
        _parsed("--limits-max-sessions=many", "--check-config")
    assert str(caught.value.code).startswith("command line: limits.max_sessions: ")


def test_version_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parsed("--version")
    assert capsys.readouterr().out == f"mcptunnel {mcptunnel.__version__}\n"

"""Users without a home are told so: containers run programs under numbers that nobody has entered."""

import os
import pwd
from pathlib import Path

import pytest

from mcptunnel.config.errors import ConfigError, InvalidValueError
from mcptunnel.config.load import load_agent
from mcptunnel.config.user_data import user_data

FILE = """
relay = "https://relay.example.org"
key = "k"
[servers.demo]
command = ["true"]
"""


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let this user have no home."""

    def nobody(_uid: int) -> None:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    return monkeypatch


def test_without_a_home_it_is_where_the_variables_say(
    homeless: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match="HOME is not set, and this user has no home"):
        user_data()
    homeless.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_data() == tmp_path / "mcptunnel"


@pytest.mark.usefixtures("homeless")
def test_an_agent_without_a_home_needs_a_state_dir_and_nothing_else(tmp_path: Path) -> None:
    environ = {"MCPTUNNEL_CONFIG": FILE}
    with pytest.raises(ConfigError) as caught:
        load_agent(None, environ, tmp_path)
    (problem,) = caught.value.problems
    assert problem.key == "state_dir"
    assert problem.message.startswith("is missing, and HOME is not set")
    state_dir = {"state_dir": str(tmp_path)}
    assert load_agent(None, environ, tmp_path, state_dir).state_dir == tmp_path


def test_a_home_of_nobody_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names a home directory that is not known"):
        load_agent(Path("~no-such-user/agent.toml"), dict(os.environ), tmp_path)

"""`mcptunnel check-config`."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcptunnel.auth.keys import RANDOM_BYTES, mint
from mcptunnel.cli.main import main

_KEY = mint(bytes(RANDOM_BYTES))[1]
_AGENT = 'relay = "https://a.b"\n[servers.x]\ncommand = ["x"]\n'


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MCPTUNNEL_CONFIG", "MCPTUNNEL_KEY"):
        monkeypatch.delenv(name, raising=False)


def _check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check-config", *arguments])


def test_a_good_relay_file_is_printed_as_it_is_understood() -> None:
    Path("relay.toml").write_text("port = 99")
    result = _check("relay", "relay.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert tomllib.loads(result.stdout)["public_url"] == "http://127.0.0.1:99"
    assert not Path("state").exists()


def test_a_good_agent_file_is_printed_without_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mcptunnel.toml").write_text(_AGENT)
    monkeypatch.setenv("MCPTUNNEL_KEY", _KEY)
    result = _check("agent")
    assert result.exit_code == 0
    assert _KEY not in result.output


def test_problems_are_one_line_each() -> None:
    Path("relay.toml").write_text("listen = 5\nnonsense = 1")
    result = _check("relay", "relay.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        ["relay.toml", "nonsense"],
        ["relay.toml", "listen"],
    ]


def test_a_mistyped_key_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("agent.toml").write_text(_AGENT)
    wrong = _KEY[:-1] + ("x" if _KEY[-1] != "x" else "y")
    monkeypatch.setenv("MCPTUNNEL_KEY", wrong)
    result = _check("agent", "agent.toml")
    assert result.exit_code == 1
    assert result.stderr.startswith("$MCPTUNNEL_KEY: is not a whole API key")
    assert wrong not in result.output


def test_what_is_missing_here_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be there when the agent starts."""
    Path("agent.toml").write_text(_AGENT.replace('["x"]', '["no-such-program"]'))
    monkeypatch.setenv("MCPTUNNEL_KEY", _KEY)
    result = _check("agent", "agent.toml")
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: servers.x.command: the program no-such-program is ")
    assert "Warning" not in result.stdout


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    """Although a key may be given only once."""
    (tmp_path / "agent.key").touch(0o600)
    (tmp_path / "agent.key").write_text(_KEY)
    Path("agent.toml").write_text(f'key_file = "agent.key"\n{_AGENT}')
    first = _check("agent", "agent.toml")
    Path("again.toml").write_text(first.stdout)
    again = _check("agent", "again.toml")
    assert (again.exit_code, again.stdout) == (0, first.stdout), again.stderr


def test_the_file_of_the_other_program() -> None:
    Path("agent.toml").write_text(_AGENT)
    result = _check("relay", "agent.toml")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("agent.toml: this is an agent's configuration")


def test_a_full_disk_is_one_line() -> None:
    """Python itself would complain once more at its end."""
    code = "from mcptunnel.cli.main import main; main(['check-config', 'relay', 'relay.toml'])"
    Path("relay.toml").touch()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "No space left on device.\n")


def test_no_file() -> None:
    result = _check("relay", "none.toml")
    assert (result.exit_code, result.stderr) == (
        1,
        "none.toml: there is no such file. Look at the path.\n",
    )

"""`mcptunnel check-config`."""

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


def test_no_file() -> None:
    result = _check("relay", "none.toml")
    assert (result.exit_code, result.stderr) == (
        1,
        "none.toml: there is no such file. Look at the path.\n",
    )

"""`mcptunnel keys`, without and with a running relay."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from click.testing import CliRunner, Result
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThread

from mcptunnel.auth.keys import parse
from mcptunnel.cli.main import main
from mcptunnel.relay.control import Commanded, ControlSocket
from mcptunnel.store.database import FILE_NAME
from mcptunnel.store.directory import StoredKeys
from mcptunnel.store.engine import Store
from tests.relay.control_socket import idle


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCPTUNNEL_CONFIG", raising=False)
    Path("relay.toml").write_text("")


def _keys(*arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(main, ["keys", command, "--config", "relay.toml", *rest])


def _create(*arguments: str) -> Result:
    return _keys("create", "--user", "alice", "--scope", "mcp", *arguments)


def test_create_prints_the_key_alone() -> None:
    result = _create("--name", "cursor")
    assert result.exit_code == 0
    parsed = parse(result.stdout.removesuffix("\n"))
    assert parsed is not None
    assert parsed.id in result.stderr
    assert parsed.secret not in result.stderr
    (record,) = json.loads(_keys("list", "--json").stdout)
    assert (record["id"], record["user"], record["scope"], record["name"]) == (
        parsed.id,
        "alice",
        "mcp",
        "cursor",
    )
    assert stat.S_IMODE(Path("state").stat().st_mode) == 0o700


def test_create_into_a_file_that_only_the_user_can_read() -> None:
    result = _create("-o", "alice.key")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Written to alice.key." in result.stderr
    assert parse(Path("alice.key").read_text().strip()) is not None
    assert stat.S_IMODE(Path("alice.key").stat().st_mode) == 0o600


def test_a_file_is_never_overwritten_and_no_key_made_in_vain() -> None:
    Path("alice.key").write_text("precious")
    result = _create("-o", "alice.key")
    assert (result.exit_code, result.stderr) == (
        1,
        "alice.key: File exists. Choose another file.\n",
    )
    assert Path("alice.key").read_text() == "precious"
    assert json.loads(_keys("list", "--json").stdout) == []


def test_a_key_that_could_not_be_made_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_size: int) -> bytes:
        raise OSError("no random")

    monkeypatch.setattr("mcptunnel.cli.keyring.os.urandom", fail)
    assert _create("-o", "alice.key").exit_code == 1
    assert not Path("alice.key").exists()


def test_revoke() -> None:
    parsed = parse(_create().stdout.strip())
    assert parsed is not None
    result = _keys("revoke", parsed.id)
    assert (result.exit_code, result.stdout) == (0, "")
    again = _keys("revoke", parsed.id)
    assert (again.exit_code, again.stderr) == (1, f"Key {parsed.id} is already revoked.\n")
    assert "revoked" in _keys("list").stdout.splitlines()[1]


def test_what_is_no_id_is_recognised() -> None:
    parsed = parse(_create("--name", "laptop").stdout.strip())
    assert parsed is not None
    assert _keys("revoke", "laptop").stderr == (
        f"Give the ID: laptop is the name of key {parsed.id}.\n"
    )
    assert _keys("revoke", "desk").stderr == (
        "There is no key desk. See: mcptunnel keys list --config relay.toml\n"
    )


def test_an_empty_list_says_how_to_make_a_key() -> None:
    """Beside the list, which programs read."""
    result = _keys("list")
    assert result.stdout.count("\n") == 1
    assert "mcptunnel keys create --config relay.toml --user NAME --scope agent" in result.stderr
    assert (_keys("list", "--json").stdout, _keys("list", "--json").stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--user", "", "--scope", "mcp"),
        ("create", "--user", "a\nb", "--scope", "mcp"),
        ("create", "--user", "a", "--scope", "mcp", "--name", "x" * 256),
    ],
)
def test_names_that_cannot_be(arguments: tuple[str, ...]) -> None:
    result = _keys(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("--")
    assert not Path("state").exists()


def test_errors_of_file_and_store_are_lines() -> None:
    Path("relay.toml").write_text("nonsense = 1\nlisten = 2")
    result = _create()
    assert (result.exit_code, result.stderr.count("\n")) == (1, 2)
    Path("relay.toml").write_text("")
    Path("state").write_text("a file in the way")
    result = _create()
    assert result.exit_code == 1
    assert result.stderr.startswith("the store ")
    assert "state_dir is a file, not a directory. Move it away" in result.stderr


def test_as_a_program(tmp_path: Path) -> None:
    """No traceback, no warning, the key alone: so it can be used in scripts."""
    code = "from mcptunnel.cli.main import main; main()"
    command = [sys.executable, "-W", "error", "-c", code, "keys", "create", "--user", "a"]
    environ = {**os.environ, "MCPTUNNEL_CONFIG": str(tmp_path / "relay.toml")}
    root = str(Path(__file__).parents[2])
    made = subprocess.run(
        [*command, "--scope", "agent"],
        env={**environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert parse(made.stdout.strip()) is not None
    assert made.stderr.count("\n") == 1


def _program(words: str, redirection: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a shell, which can do to its output what no pipe can."""
    code = "from mcptunnel.cli.main import main; main()"
    line = f"{shlex.join([sys.executable, '-c', code])} {words} --config relay.toml {redirection}"
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        ["sh", "-c", line], env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("redirection", ["> /dev/full", "-o /dev/full", ">&-"])
def test_no_key_is_left_that_nobody_saw(redirection: str) -> None:
    """A full disk, or nowhere to print to: one line, and no key in use."""
    done = _program("keys create --user a --scope mcp", redirection)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    keys = json.loads(_keys("list", "--json").stdout)
    assert all(key["revoked_s"] for key in keys)
    if redirection == "> /dev/full":
        assert done.stderr.startswith("The key could not be written: No space left on device. Key ")
        assert done.stderr.endswith(" is revoked again.\n")


@pytest.mark.parametrize("words", ["keys list", "keys list --json"])
@pytest.mark.parametrize("redirection", ["> /dev/full", ">&-"])
def test_output_that_goes_nowhere_is_one_line(words: str, redirection: str) -> None:
    _create()
    done = _program(words, redirection)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr


@pytest.fixture
def revoked_in_relay(tmp_path: Path, running_reactor: Any) -> Any:
    """A running relay's half: store and control socket; gives the keys revoked there."""
    revoked: list[str] = []
    state_dir = tmp_path / "state"
    store = Store(state_dir / FILE_NAME, running_reactor)
    store.start()
    keys = StoredKeys(store, random=os.urandom, epoch_s=lambda: 5.0, revoked=revoked.append)
    control = ControlSocket(
        state_dir / "control.sock",
        Commanded(keys, idle),
        running_reactor,
        running_reactor,
    )
    control.startService()
    yield revoked
    pytest_twisted.blockon(ensureDeferred(control.stopService()))
    store.stop()


@pytest_twisted.ensureDeferred
async def test_a_running_relay_does_it_and_hears_of_a_revocation(
    revoked_in_relay: list[str],
) -> None:
    created = await deferToThread(_create, "--name", "cursor")
    parsed = parse(created.stdout.strip())
    assert parsed is not None
    listed = await deferToThread(_keys, "list", "--json")
    (record,) = json.loads(listed.stdout)
    assert (record["id"], record["created_s"]) == (parsed.id, 5.0)
    result = await deferToThread(_keys, "revoke", parsed.id)
    assert result.exit_code == 0
    assert revoked_in_relay == [parsed.id]
    again = await deferToThread(_keys, "revoke", parsed.id)
    assert (again.exit_code, again.stderr) == (1, f"Key {parsed.id} is already revoked.\n")

"""`mcptunnel status`, with a control socket of the test's."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from click.testing import CliRunner, Result
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThread

from mcptunnel.cli.main import main
from mcptunnel.relay.control import ControlSocket
from tests.relay.control_socket import Keys, idle


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    config = tmp_path / "relay.toml"
    config.write_text('state_dir = "./state"\n')
    return ["status", "--config", str(config)]


def run(words: list[str]) -> Result:
    return CliRunner().invoke(main, words)


def test_without_a_relay_it_says_so(words: list[str], tmp_path: Path) -> None:
    result = run(words)
    assert result.exit_code == 1
    assert f"No relay runs with the state directory {tmp_path / 'state'}." in result.output


@pytest_twisted.ensureDeferred
async def test_it_tells_what_the_relay_is_doing(
    words: list[str], tmp_path: Path, running_reactor: Any
) -> None:
    path = tmp_path / "state" / "control.sock"
    control = ControlSocket(path, Keys(), running_reactor, running_reactor, idle)
    control.startService()
    try:
        for_people = await deferToThread(run, words)
        for_programs = await deferToThread(run, [*words, "--json"])
    finally:
        await ensureDeferred(control.stopService())
    assert for_people.output == "state: running\ncalls: 0\ndevices: 2\nresuming: 1\n"
    expected = {"state": "running", "calls": 0, "devices": 2, "resuming": 1}
    assert json.loads(for_programs.output) == expected

"""`mcptunnel login`, as a process of its own, at a relay of the test's; the browser is a program, too."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from click.testing import CliRunner
from twisted.internet.defer import Deferred

from mcptunnel.agent.sign_in.kept import KeptGrant
from mcptunnel.cli.main import main
from tests.agent import in_reactor, the_reactor, until
from tests.agent.sign_in import access, data_folder, refresh
from tests.agent.sign_in.fake_relay import DEVICE_CODE, FakeRelay
from tests.net.loopback import LOOPBACK, Authority
from tests.net.web_servers import WebServer, answer, ca_file, saying
from tests.programs.process import Program

COMMAND = (sys.executable, "-c", "from mcptunnel.cli.start import run; run()")

BROWSER = """#!{python}
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as page:
    open({seen!r}, "w").write(page.read().decode())
"""


class Stage:
    """A relay, a user's data directory, and a browser."""

    def __init__(self, relay: FakeRelay, folder: Path, sign_ins: Path) -> None:
        self.relay = relay
        self.folder = folder
        self.seen = folder / "page.html"
        browser = folder / "browser"
        browser.write_text(BROWSER.format(python=sys.executable, seen=str(self.seen)))
        browser.chmod(0o755)
        self.kept = KeptGrant(relay.origin, sign_ins)
        self.env = {"XDG_DATA_HOME": str(folder / "Dätä 🦄"), "BROWSER": str(browser)}
        self.programs: list[Program] = []

    def start(self, *words: str, **env: str) -> Program:
        program = Program("mcptunnel", (*COMMAND, *words), self.folder, {**self.env, **env})
        self.programs.append(program)
        return program

    async def run(self, *words: str, **env: str) -> tuple[int, str]:
        """Run a command to its end; return its exit status and what it printed."""
        program = self.start(*words, **env)
        await until(lambda: program._process.poll() is not None and program._ended)
        return program._process.returncode, program.log

    def check_secrets(self) -> None:
        """Assert that what is secret was neither printed nor in arguments."""
        for number in range(1, self.relay.issued + 1):
            for program in self.programs:
                assert access(number) not in program.log
                assert refresh(number) not in program.log

    def clean_up(self) -> None:
        for program in self.programs:
            program.clean_up()


@pytest.fixture
def stage(
    running_reactor: Any, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    assert running_reactor is not None
    relay = FakeRelay(free_port)
    made = Stage(relay, tmp_path, data_folder(monkeypatch, tmp_path / "Dätä 🦄"))
    yield made
    made.clean_up()
    pytest_twisted.blockon(Deferred.fromCoroutine(relay.stop()))


@in_reactor
async def test_a_browser_signs_the_user_in(stage: Stage) -> None:
    """The address is shown as well; what comes is kept for this user alone."""
    status, told = await stage.run("login", stage.relay.origin)
    assert status == 0, told
    assert f"  {stage.relay.origin}/authorize?response_type=code&client_id=mcptunnel-agent" in told
    assert f"Signed in at {stage.relay.origin} as Ada 🦄." in told
    kept = stage.kept.read()
    assert kept is not None
    assert kept.refresh_token.reveal() == refresh(1)
    assert stat.S_IMODE(stage.kept.path.stat().st_mode) == 0o600
    await until(stage.seen.exists)
    await until(stage.seen.read_text)
    assert "<h1>Signed in</h1>" in stage.seen.read_text()
    stage.check_secrets()


@in_reactor
async def test_signing_in_again_ends_the_sign_in_before(stage: Stage) -> None:
    await stage.run("login", stage.relay.origin)
    status, told = await stage.run("login", stage.relay.origin)
    assert status == 0, told
    (given_back,) = stage.relay.forms_at("/revoke")
    assert given_back["token"] == refresh(1)
    kept = stage.kept.read()
    assert kept is not None
    assert kept.refresh_token.reveal() == refresh(2)


@in_reactor
async def test_a_person_who_does_not_agree(stage: Stage) -> None:
    stage.relay.denial = "access_denied"
    status, told = await stage.run("login", stage.relay.origin)
    assert status == 1
    assert told.splitlines()[-1] == "Nobody was signed in: you did not allow it."
    assert stage.kept.read() is None


@in_reactor
async def test_a_machine_without_a_window_opens_nothing(stage: Stage) -> None:
    """The address is printed; a browser in the terminal would take it from us."""
    no_window = {"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    program = stage.start("login", stage.relay.origin, **no_window)
    await until(lambda: "Waiting for you to sign in" in program.log)
    assert "Open this in a browser on this machine (on another one: give --device)" in program.log
    assert stage.relay.forms_at("/authorize") == []


@in_reactor
async def test_ctrl_c_ends_it(stage: Stage) -> None:
    program = stage.start("login", stage.relay.origin, BROWSER="true")
    await until(lambda: "Waiting for you to sign in" in program.log)
    os.kill(program.pid, 2)
    await until(lambda: program._process.poll() is not None and program._ended)
    assert program._process.returncode == 1
    assert program.log.splitlines()[-1] == "Aborted!"
    assert "Traceback" not in program.log


@in_reactor
async def test_a_code_signs_the_user_in(stage: Stage) -> None:
    """No browser is opened; what is shown is the page and the code, not the secret one."""
    status, told = await stage.run("login", "--device", stage.relay.origin)
    assert status == 0, told
    assert f"  {stage.relay.origin}/device\n\n  BCDF-GHJK\n" in told
    assert DEVICE_CODE not in told
    assert len(stage.relay.forms_at("/token")) == 2
    (asked,) = stage.relay.forms_at("/device_authorization")
    assert asked["device_name"]
    assert asked["host_name"]
    assert stage.relay.forms_at("/authorize") == []
    assert stage.kept.read() is not None
    stage.check_secrets()


@in_reactor
async def test_a_code_that_is_denied(stage: Stage) -> None:
    stage.relay.denial = "access_denied"
    status, told = await stage.run("login", "--device", stage.relay.origin)
    assert (status, told.splitlines()[-1]) == (1, "Nobody was signed in: you did not allow it.")


@in_reactor
async def test_a_relay_under_another_name_is_told(stage: Stage) -> None:
    origin = stage.relay.origin.replace("127.0.0.1", "localhost")
    status, told = await stage.run("login", origin)
    assert status == 1
    assert f"The relay at {origin} calls itself {stage.relay.origin} (its public_url)." in told


@in_reactor
async def test_a_relay_that_is_not_there(stage: Stage) -> None:
    status, told = await stage.run("login", "http://127.0.0.1:1")
    assert status == 1
    assert told == (
        "The relay cannot be asked: 127.0.0.1:1: nothing listens there, the connection was"
        " refused. Try again.\n"
    )


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
@in_reactor
async def test_only_a_relay_that_this_machine_trusts_is_asked(stage: Stage) -> None:
    """Its certificate is checked by the system's authorities, as the tunnel's is."""
    authority = Authority()
    await stage.relay.stop()
    port = int(stage.relay.origin.rpartition(":")[2])
    reply = saying(answer())
    stranger = WebServer(the_reactor(), port, reply, authority=authority, name="localhost")
    status, told = await stage.run("login", f"https://localhost:{port}")
    assert status == 1
    assert "the server's certificate is not one that this machine trusts" in told
    assert stranger.requests == []
    await stranger.stop()
    relay = FakeRelay(port, authority.server_options(LOOPBACK))
    trusted = str(ca_file(authority, stage.folder))
    status, told = await stage.run("login", "--device", relay.origin, SSL_CERT_FILE=trusted)
    assert status == 0, told
    await relay.stop()


@in_reactor
async def test_nobody_is_troubled_when_it_could_not_be_kept(stage: Stage) -> None:
    (stage.folder / "file").touch()
    status, told = await stage.run(
        "login", stage.relay.origin, XDG_DATA_HOME=str(stage.folder / "file")
    )
    assert status == 1
    assert "cannot be locked: " in told
    assert stage.relay.forms_at("/authorize") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["http://relay.example.org"], "would send the sign-in unencrypted over the network"),
        (["https://relay.example.org/path"], "has more than scheme, host and port"),
        (["https://user:hunter2@relay.example.org"], "has a user name in it"),
        ([""], "is empty"),
    ],
)
def test_an_address_that_cannot_be_one(words: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["login", *words])
    assert result.exit_code == 1
    assert result.output.startswith("RELAY: ")
    assert said in result.output
    assert "hunter2" not in result.output


def test_help_helps() -> None:
    told = CliRunner().invoke(main, ["login", "--help"]).output
    assert "mcptunnel login --device relay.example.org" in told
    assert "--insecure" in told

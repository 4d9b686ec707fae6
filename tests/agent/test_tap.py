"""The command `twistd mcptunnel-agent`, in this process and in its own."""

import atexit
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mcptunnel.agent import tap
from mcptunnel.agent.credential import Refused
from mcptunnel.agent.service import AgentService
from mcptunnel.agent.sign_in.kept import KeptGrant
from mcptunnel.auth.keys import RANDOM_BYTES, mint
from mcptunnel.net import dial
from mcptunnel.net.process import ChildProcess, ExitStatus
from mcptunnel.net.upgrade import upgrade
from mcptunnel.wire.constants import ErrorCode
from tests.agent import in_reactor, the_reactor, until
from tests.agent.relay_end import RelayEnd
from tests.agent.sign_in import access, data_folder, grant, refresh
from tests.agent.sign_in.fake_relay import FakeRelay

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
CHECKOUT = Path(__file__).parents[2]
CONFIG = """
relay = "http://127.0.0.1:{port}"
name = "laptop"
key_file = "agent.key"
state_dir = "state"
[servers.web]
url = "http://127.0.0.1:1/mcp"
headers = {{ Authorization = "local secret" }}
"""


_, KEY = mint(bytes(RANDOM_BYTES))


@pytest.fixture
def here(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with a configuration and a key; the environment has neither."""
    for name in ("MCPTUNNEL_CONFIG", "MCPTUNNEL_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tap, "use_steady_clock", lambda _reactor: None)  # others' calls are in it
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.toml").write_text(CONFIG.format(port=free_port))
    (tmp_path / "agent.key").write_text(f"{KEY}\n")
    (tmp_path / "agent.key").chmod(0o600)
    return tmp_path


def options(*arguments: str) -> tap.Options:
    parsed = tap.Options()
    parsed.parseOptions(["--config", "agent.toml", *arguments])
    return parsed


def test_options_override_the_file(here: Path) -> None:
    config = options("--name", "desk", "--relay", "https://relay.example").config
    assert (config.name, config.relay) == ("desk", "https://relay.example")
    assert config.state_dir == here / "state"


@pytest.mark.usefixtures("here", "running_reactor")
def test_the_service_has_the_configured_servers() -> None:
    service = tap.makeService(options())
    assert isinstance(service, AgentService)
    assert list(service.servers) == ["web"]


@pytest.mark.usefixtures("here", "running_reactor")
def test_the_program_goes_by_a_clock_that_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    steady: list[object] = []
    monkeypatch.setattr(tap, "use_steady_clock", steady.append)
    tap.makeService(options())
    assert steady == [the_reactor()]


@pytest.mark.usefixtures("running_reactor")
def test_a_service_that_cannot_be_made_is_an_exit_message(here: Path) -> None:
    (here / "state").touch()
    with pytest.raises(SystemExit) as caught:
        tap.makeService(options())
    assert str(caught.value.code).startswith("state_dir: cannot use ")


@pytest.mark.usefixtures("here")
@in_reactor
async def test_the_key_travels_in_a_header_of_the_upgrade(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[tuple[str, object, float]] = []

    async def connect(url: str, *, headers: object, timeout_s: float, **_others: object) -> None:
        dialled.append((url, headers, timeout_s))
        await Deferred[None]()

    monkeypatch.setattr(dial, "connect", connect)
    service = tap.makeService(options())
    service.startService()
    await maybeDeferred(service.stopService)
    headers = {"Authorization": f"Bearer {KEY}"}
    assert dialled == [(f"http://127.0.0.1:{free_port}/tunnel", headers, 10.0)]


class FakeReactor:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def stop(self) -> None:
        self.calls.append("stop")

    def callWhenRunning(self, call: Callable[[], None]) -> None:
        self.calls.append("when running")
        call()


def test_a_bad_end_is_told_and_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    last: list[object] = []
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)  # pytest's
    monkeypatch.setattr(atexit, "register", lambda *call: last.append(call))
    reactor = FakeReactor()
    tap._end(reactor, Refused("The key was revoked."))
    assert capfd.readouterr().err == "mcptunnel-agent: The key was revoked.\n"
    assert last == [(os._exit, 1)]
    assert reactor.calls == ["when running", "stop"]


def twistd(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [*TWISTD, "-n", "--pidfile=", "mcptunnel-agent", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.usefixtures("here")
def test_help_names_the_options_and_takes_no_key() -> None:
    told = twistd("--help")
    assert told.returncode == 0
    assert "--check-config" in told.stdout
    assert "--key-file=" in told.stdout
    assert "--key=" not in told.stdout


@pytest.mark.usefixtures("here")
def test_check_config_shows_what_holds_without_secrets() -> None:
    told = twistd("--config", "agent.toml", "--name=desk", "--check-config")
    assert told.returncode == 0, told.stderr
    shown = tomllib.loads(told.stdout)
    assert shown["name"] == "desk"
    assert shown["servers"]["web"]["url"] == "http://127.0.0.1:1/mcp"
    assert "secret" not in told.stdout


def test_check_config_says_what_is_wrong(here: Path) -> None:
    (here / "agent.toml").write_text('relay = "http://127.0.0.1"\nkey_file = "none"\ncolour = 1')
    told = twistd("--config", "agent.toml", "--check-config")
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    for problem in ("agent.toml: colour", "key_file", "servers"):
        assert problem in told.stderr


class Door(Resource):
    """The relay's `/tunnel`: takes agents in, or refuses them with a status."""

    isLeaf = True

    def __init__(self, relay: RelayEnd, status: int) -> None:
        super().__init__()
        self.relay = relay
        self.status = status
        self.credentials: list[str | None] = []

    def render_GET(self, request: Any) -> int | bytes:
        self.credentials.append(request.getHeader("authorization"))
        if self.status == 101:
            upgrade(request, self.relay.taken_in(), reactor=the_reactor())
            return NOT_DONE_YET
        request.setResponseCode(self.status)
        request.setHeader(b"www-authenticate", b"Bearer")
        return b"no"


Open: TypeAlias = Callable[[int], Door]


@pytest.fixture
def door(running_reactor: Any, free_port: int) -> Iterator[Open]:
    """Return a function that listens where the configuration says the relay is."""
    listening: list[Any] = []

    def make(status: int) -> Door:
        made = Door(RelayEnd(running_reactor), status)
        factory = Site(made, timeout=None)
        factory.noisy = False
        listening.append(running_reactor.listenTCP(free_port, factory, interface="127.0.0.1"))
        return made

    yield make
    for port in listening:
        pytest_twisted.blockon(port.stopListening())


class Program:
    """A real agent process, and what it said."""

    def __init__(self) -> None:
        self.output: list[str] = []
        self.errors: list[str] = []
        self.status: ExitStatus | None = None
        command = [*TWISTD, "-n", "--pidfile=", "mcptunnel-agent", "--config=agent.toml"]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "HOME": str(Path.cwd())}
        env |= {"XDG_DATA_HOME": str(Path.cwd() / "data")}
        self.process = ChildProcess(the_reactor(), self, command=command, env=env)
        self.process.start()

    def line_received(self, line: bytes) -> None:
        self.output.append(line.decode())

    def stderr_received(self, line: str) -> None:
        self.errors.append(line)

    def write_paused(self) -> None: ...

    def write_resumed(self) -> None: ...

    def exited(self, status: ExitStatus) -> None:
        self.status = status

    async def end(self) -> ExitStatus:
        await until(lambda: self.status)
        assert self.status is not None
        return self.status


@pytest.mark.usefixtures("here")
@in_reactor
async def test_a_refused_key_ends_the_program_with_status_1(door: Open) -> None:
    opened = door(401)
    program = Program()
    status = await program.end()
    assert status.code == 1, program.output
    (told,) = [line for line in program.errors if line.startswith("mcptunnel-agent: ")]
    assert "The relay refused this agent's key (HTTP 401)" in told
    assert opened.credentials == [f"Bearer {KEY}"]
    assert KEY not in "\n".join([*program.output, *program.errors])


@in_reactor
async def test_a_mistyped_key_ends_the_program_with_status_1(here: Path) -> None:
    """It is told before anything is started."""
    (here / "agent.key").write_text("two\nlines\n")
    program = Program()
    assert (await program.end()).code == 1
    assert "is not a whole API key" in "\n".join(program.errors)


@pytest.mark.usefixtures("here")
@in_reactor
async def test_a_program_that_is_stopped_says_goodbye(door: Open) -> None:
    relay = door(101).relay
    program = Program()
    await until(lambda: relay.hellos)
    await until(lambda: relay.told)
    pid = program.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    assert (await program.end()).signal == signal.SIGTERM, "as twistd ends"
    await until(lambda: relay.losses)
    assert [notice.code for notice in relay.notices] == [ErrorCode.NO_ERROR, ErrorCode.SHUTDOWN]
    assert relay.losses[0].clean


@pytest.fixture
def signed_in(
    here: Path, free_port: int, running_reactor: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeRelay]:
    """Return a relay at which the user has signed in, who configured no key."""
    assert running_reactor is not None
    config = CONFIG.format(port=free_port).replace('key_file = "agent.key"\n', "")
    (here / "agent.toml").write_text(config)
    data_folder(monkeypatch, here / "data")
    relay = FakeRelay(free_port)
    relay.issued, relay.live = 1, refresh(1)
    KeptGrant(relay.origin).write(grant(relay.origin, received_s=time.time()))
    yield relay
    pytest_twisted.blockon(Deferred.fromCoroutine(relay.stop()))


def seen_by_all(pid: int) -> bytes:
    """Return the arguments and the environment of a process."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


@in_reactor
async def test_a_sign_in_opens_the_tunnel_and_shows_nowhere(signed_in: FakeRelay) -> None:
    """Not in arguments, nor in what the program writes."""
    program = Program()
    await until(lambda: signed_in.end.told)
    assert signed_in.bearers == [f"Bearer {access(1)}"]
    pid = program.process.pid
    assert pid is not None
    assert b"mcpt_" not in seen_by_all(pid)
    os.kill(pid, signal.SIGTERM)
    await program.end()
    await until(lambda: signed_in.end.losses)
    assert "mcpt_" not in "\n".join([*program.output, *program.errors])


@in_reactor
async def test_a_grant_that_is_revoked_ends_the_program_at_once(signed_in: FakeRelay) -> None:
    """Within a second of the relay's goodbye, with what to do, and status 1."""
    program = Program()
    await until(lambda: signed_in.end.told)
    signed_in.revoke()
    reactor = the_reactor()
    since_s = reactor.seconds()
    signed_in.end.tunnels[-1].close(ErrorCode.REVOKED, "access was revoked")
    await until(lambda: any("mcptunnel-agent: " in line for line in program.errors))
    assert reactor.seconds() - since_s < 1.0
    assert (await program.end()).code == 1
    (told,) = [line for line in program.errors if line.startswith("mcptunnel-agent: ")]
    assert told.endswith(f"Sign in again: mcptunnel login {signed_in.origin}")
    assert len(signed_in.forms_at("/token")) == 1


@in_reactor
async def test_a_token_that_the_relay_does_not_take_is_renewed_once(signed_in: FakeRelay) -> None:
    """Then it is no use to go on: the program says so."""
    signed_in.tunnel_status = 401
    program = Program()
    assert (await program.end()).code == 1
    assert signed_in.bearers == [f"Bearer {access(1)}", f"Bearer {access(2)}"]
    (told,) = [line for line in program.errors if line.startswith("mcptunnel-agent: ")]
    assert "The relay refused this agent's sign-in (HTTP 401). Sign in again: " in told


@in_reactor
async def test_a_relay_whose_tokens_fail_does_not_end_the_program(
    signed_in: FakeRelay,
) -> None:
    """The grant is old, and `/token` is broken; when that works again the agent connects."""
    KeptGrant(signed_in.origin).write(grant(signed_in.origin))
    signed_in.token_status = 502
    program = Program()
    await until(lambda: len(signed_in.forms_at("/token")) >= 2)
    assert program.status is None
    assert any(
        "cannot renew the sign-in: the relay answered 502" in line for line in program.output
    )
    assert signed_in.bearers == []
    signed_in.token_status, signed_in.live = 200, refresh(1)
    await until(lambda: signed_in.end.told)
    assert program.process.pid is not None
    os.kill(program.process.pid, signal.SIGTERM)
    await program.end()
    await until(lambda: signed_in.end.losses)


@in_reactor
async def test_without_key_and_sign_in_nothing_starts_and_no_browser_opens(
    signed_in: FakeRelay,
) -> None:
    KeptGrant(signed_in.origin).remove()
    program = Program()
    assert (await program.end()).code == 1
    (told,) = program.errors
    assert told == (
        f"agent.toml: key: is missing, and nobody is signed in at {signed_in.origin}. "
        f"Run: mcptunnel login {signed_in.origin}. "
        "Or give an API key: in key_file, key, or the variable MCPTUNNEL_KEY."
    )
    assert signed_in.forms == []

"""Both commands as a person types them: configurations, mistakes, help and versions."""

import json
import re
import socket
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import mcptunnel
from mcptunnel.auth.keys import RANDOM_BYTES, mint
from tests.programs.client import Client
from tests.programs.conftest import Stage
from tests.programs.process import CHECKOUT, STOP_TIMEOUT_S, eventually, finished
from tests.programs.programs import COMMAND, DEMO_SERVER, TWISTD, Estate

PROGRAMS = ("relay", "agent")
RELAY = 'listen = "tcp:8787:interface=127.0.0.1"\n'
RELAY_URL = 'public_url = "https://relay.example.org"\n'
AGENT = 'relay = "http://127.0.0.1:8787"\nname = "laptop"\n[servers.demo]\ncommand = ["demo"]\n'
_, UNKNOWN_KEY = mint(bytes(RANDOM_BYTES))


def run(
    program: str, *words: str, folder: Path, env: dict[str, str] | None = None
) -> "CompletedProcess[str]":
    """Run `twistd -n mcptunnel-PROGRAM` to its end."""
    return finished((*TWISTD, "-n", "--pidfile=", f"mcptunnel-{program}", *words), folder, env)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_tells_of_options_and_sources(program: str, tmp_path: Path) -> None:
    done = run(program, "--help", folder=tmp_path)
    assert done.returncode == 0
    for word in ("--config", "--check-config", "--state-dir", "MCPTUNNEL_CONFIG", "mcptunnel.toml"):
        assert word in done.stdout
    assert "--key=" not in done.stdout  # arguments are for all to see


@pytest.mark.parametrize("program", PROGRAMS)
def test_version(program: str, tmp_path: Path) -> None:
    done = run(program, "--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"mcptunnel {mcptunnel.__version__}\n")


def test_twistd_lists_both_commands(tmp_path: Path) -> None:
    done = finished((*TWISTD, "--help"), tmp_path)
    assert done.returncode == 0
    assert re.search(r"mcptunnel-relay +The public end", done.stdout)
    assert re.search(r"mcptunnel-agent +The end of a tunnel", done.stdout)


def test_a_taken_port_is_named(estate: Estate, tmp_path: Path, free_port: int) -> None:
    """With exit status 1 and without a traceback; it waits for no calls, and nothing stays behind."""
    with socket.create_server(("127.0.0.1", free_port)):
        (tmp_path / "relay.toml").write_text(f'listen = "tcp:{free_port}:interface=127.0.0.1"\n')
        words = ("-n", "--pidfile=", "mcptunnel-relay", "--config", "relay.toml")
        relay = estate.program("relay", (*TWISTD, *words), folder=tmp_path)
        relay.wait_for("Cannot listen on")
        # From then on Python alone has work, 0.2 s of a processor: it clears all of its memory.
        assert relay.exit_code(STOP_TIMEOUT_S) == 1
    said = relay.log
    assert str(free_port) in said.splitlines()[-1]
    assert "already" in said or "in use" in said or "taken" in said
    assert not list(tmp_path.rglob("*.sock"))


def test_a_daemon_that_cannot_start_tells_the_shell(tmp_path: Path, free_port: int) -> None:
    """Without -n: the shell gets its prompt back, and an error; the log has the whole sentence."""
    with socket.create_server(("127.0.0.1", free_port)):
        (tmp_path / "relay.toml").write_text(f'listen = "tcp:{free_port}:interface=127.0.0.1"\n')
        words = ("--logfile=log", "mcptunnel-relay", "--config", "relay.toml")
        done = finished((*TWISTD, *words), tmp_path)
    assert done.returncode == 1
    assert "Cannot listen on" in done.stderr
    # the shell is told before the daemon is gone
    pid_file = tmp_path / "twistd.pid"
    eventually(lambda: not pid_file.exists(), STOP_TIMEOUT_S, "the end of the daemon")
    assert (
        f"port {free_port} on 127.0.0.1 is taken. Stop the program"
        in (tmp_path / "log").read_text()
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_daemon_that_cannot_be_made_tells_the_shell(program: str, tmp_path: Path) -> None:
    """Before it is one, so on the terminal itself."""
    (tmp_path / "relay.toml").write_text('listen = "ssl:1:privateKey=missing.pem"\n' + RELAY_URL)
    (tmp_path / "agent.toml").write_text(
        f'key = "{UNKNOWN_KEY}"\nstate_dir = "agent.toml"\n{AGENT}'
    )
    words = ("--logfile=log", f"mcptunnel-{program}", "--config", f"{program}.toml")
    done = finished((*TWISTD, *words), tmp_path)
    assert done.returncode == 1
    assert ("missing.pem" if program == "relay" else "state_dir: cannot use ") in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "twistd.pid").exists()


def test_a_second_relay_on_the_same_state_is_refused(stage: Stage, free_port: int) -> None:
    """On another port: the control socket of the first stays what it is."""
    listen = f"tcp:{free_port}:interface=127.0.0.1"
    done = run("relay", "--config", "relay.toml", "--listen", listen, folder=stage.relay.folder)
    assert done.returncode == 1
    assert "another relay is running" in done.stdout + done.stderr
    key = stage.relay.key("henry", "mcp")  # through that socket
    assert Client(stage.relay.port, key).call("status").status == 200


def test_every_problem_of_a_configuration_is_told(tmp_path: Path) -> None:
    """One line each on stderr, with file, key and remedy; exit status 1."""
    (tmp_path / "agent.key").write_text(UNKNOWN_KEY)
    (tmp_path / "agent.key").chmod(0o644)
    (tmp_path / "agent.toml").write_text(
        'relay = "http://127.0.0.1:1"\nnmae = "x"\nkey_file = "./agent.key"\n'
        '[servers.a__b]\ncommand = ["x"]\n'
        '[servers.both]\ncommand = ["x"]\nurl = "http://127.0.0.1:9000/mcp"\n'
        '[servers.neither]\n[tunnel]\nping_after_s = "soon"\n'
    )
    done = run("agent", "--config", "agent.toml", folder=tmp_path)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    for key in ("nmae", "key_file", "a__b", "both", "neither", "tunnel.ping_after_s"):
        (line,) = (each for each in lines if key in each)
        assert line.startswith("agent.toml: ")
    assert "'name'" in next(line for line in lines if "nmae" in line)
    assert UNKNOWN_KEY not in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    checked = run("agent", "--config", "agent.toml", "--check-config", folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (1, done.stderr)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_configuration_says_where_it_was_looked_for(program: str, tmp_path: Path) -> None:
    done = run(program, folder=tmp_path)
    assert done.returncode == 1
    for word in ("--config", "MCPTUNNEL_CONFIG", "mcptunnel.toml"):
        assert word in done.stderr


def test_check_config_shows_what_holds_and_masks_the_key(tmp_path: Path) -> None:
    """Defaults included, options before the file, nothing made; exit status 0."""
    (tmp_path / "agent.toml").write_text(f'key = "{UNKNOWN_KEY}"\n{AGENT}')
    (tmp_path / "agent.toml").chmod(0o600)
    words = ("--config", "agent.toml", "--tunnel-ping-after-s", "7", "--check-config")
    done = run("agent", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'relay = "http://127.0.0.1:8787"' in done.stdout
    assert "[servers.demo]" in done.stdout
    assert "ping_after_s = 7\n" in done.stdout
    assert "dead_after_s = 45\n" in done.stdout
    assert re.search(r'^# key = "\W+"$', done.stdout, re.MULTILINE)
    assert UNKNOWN_KEY not in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["agent.toml"]


@pytest.mark.parametrize("way", ["text", "json text", "path", "directory"])
def test_a_configuration_without_an_option(way: str, tmp_path: Path) -> None:
    """MCPTUNNEL_CONFIG as text or as a path, or mcptunnel.toml where the command runs."""
    env: dict[str, str] = {}
    if way == "text":
        env["MCPTUNNEL_CONFIG"] = RELAY
    elif way == "json text":
        env["MCPTUNNEL_CONFIG"] = json.dumps({"listen": "tcp:8787:interface=127.0.0.1"})
    elif way == "path":
        (tmp_path / "some.toml").write_text(RELAY)
        env["MCPTUNNEL_CONFIG"] = str(tmp_path / "some.toml")
    else:
        (tmp_path / "mcptunnel.toml").write_text(RELAY)
    done = run("relay", "--check-config", folder=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert 'public_url = "http://127.0.0.1:8787"' in done.stdout
    assert f'state_dir = "{tmp_path}/state"' in done.stdout


def test_an_agent_with_the_file_of_a_desktop_application(stage: Stage, estate: Estate) -> None:
    """JSON with `mcpServers`, the rest by options, the key from the environment; and it works."""
    folder = estate.folder("desktop")
    folder.mkdir()
    program, *arguments = DEMO_SERVER
    server = {"command": program, "args": arguments, "env": {"PYTHONPATH": str(CHECKOUT)}}
    (folder / "desktop.json").write_text(json.dumps({"mcpServers": {"demo": server}}))
    options = {"config": "desktop.json", "relay": stage.relay.origin, "state-dir": "./state"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    agent = estate.program(
        "agent",
        (*TWISTD, "-n", "--pidfile=", "mcptunnel-agent", *words),
        folder=folder,
        env={"MCPTUNNEL_KEY": stage.relay.key("ida", "agent")},
    )
    agent.wait_for("connected to")
    client = Client(stage.relay.port, stage.relay.key("ida", "mcp"))
    assert "demo__add" in client.tools()
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    agent.stop()


def test_mistakes_of_the_keys_command(stage: Stage, tmp_path: Path) -> None:
    """One line on stderr, exit status not 0, nothing on stdout."""
    config = ("--config", str(stage.relay.config))
    for words, told in (
        (("revoke", *config, "abcdefghij23"), "There is no key abcdefghij23. See"),
        (("create", *config, "--user", "a", "--scope", "root"), "Invalid value for '--scope'"),
        (("list", "--config", "missing.toml"), "missing.toml"),
    ):
        done = finished((*COMMAND, "keys", *words), tmp_path)
        assert done.returncode in (1, 2)
        assert told in done.stderr
        assert not done.stdout
        assert "Traceback" not in done.stderr


def test_keys_list_shows_no_secret(stage: Stage, tmp_path: Path) -> None:
    words = ("keys", "list", "--config", str(stage.relay.config), "--json")
    done = finished((*COMMAND, *words), tmp_path)
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert {"id", "scope"} <= listed[0].keys()
    assert not [text for text in stage.relay.key_texts if text.rpartition("_")[2] in done.stdout]

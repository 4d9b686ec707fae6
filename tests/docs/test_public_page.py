"""The tutorial for a public relay: its files belong together, and its commands are real.

`tests/tutorial` runs them; that needs Caddy.
"""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from mcptunnel.cli.main import main
from mcptunnel.config.load import load_agent, load_relay
from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.relay.web.channel import DEADLINE_S
from tests.docs.pages import CHECKOUT, blocks
from tests.tutorial.files import FILES, HOST, RELAY_PORT, exec_start, setting, text_of

PAGE = CHECKOUT / "docs" / "tutorial" / "public.md"
UNITS = ("mcptunnel-relay.service", "mcptunnel-agent.service")
END_S = 10
"""What a program may need for its own end, beside `drain_s`."""

COMMANDS = [
    command for block in blocks(PAGE) if block.language == "console" for command in block.commands()
]


def test_the_page_shows_every_file_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"^```{literalinclude} files/(.+)$", text, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in FILES.iterdir())


@pytest.mark.parametrize("name", ["relay.toml", "agent.toml", *UNITS])
def test_each_file_says_where_it_belongs_and_the_page_puts_it_there(name: str) -> None:
    place = text_of(name).splitlines()[0].removeprefix("# ").partition(" on the ")[0]
    (command,) = (one for one in COMMANDS if one.startswith("install ") and f"/{name} " in one)
    target = command.split()[-1]
    assert place in (target, f"{target}{name}")


def test_the_name_is_put_into_every_file_that_has_one(tmp_path: Path) -> None:
    """As typed, from the copy on, twice: the second time finds what the first one left."""
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    until = next(n for n, one in enumerate(COMMANDS) if one.startswith("rm ")) + 1
    begin = next(n for n, one in enumerate(COMMANDS) if one.startswith("mkdir -p ~/my-relay"))
    for _ in range(2):
        for command in COMMANDS[begin:until]:
            typed = command.replace("YOUR.RELAY.NAME", "relay.test")
            subprocess.run(["sh", "-c", typed], cwd=CHECKOUT, env=home, check=True, timeout=10)
    copies = sorted((tmp_path / "my-relay").iterdir())
    assert [one.name for one in copies] == sorted(one.name for one in FILES.iterdir())
    for one in copies:
        lines = one.read_text(encoding="utf-8")
        assert lines == text_of(one.name).replace(HOST, "relay.test")


def test_the_configurations_fit_together(tmp_path: Path) -> None:
    """The relay is where Caddy looks for it, trusts it alone, and is called what the agent calls it."""
    relay = load_relay(FILES / "relay.toml", {}, tmp_path)
    agent = load_agent(FILES / "agent.toml", {}, tmp_path)
    assert relay.public_url == agent.relay == f"https://{HOST}"
    assert relay.listen == f"tcp:{RELAY_PORT}:interface=127.0.0.1"
    assert relay.trusted_proxies == ("127.0.0.1",)
    assert relay.auth.mode == "local"
    caddy = text_of("Caddyfile")
    assert re.search(
        rf"^{re.escape(HOST)} {{\n\treverse_proxy 127\.0\.0\.1:{RELAY_PORT} {{$",
        caddy,
        re.MULTILINE,
    )
    assert str(relay.state_dir) == f"/var/lib/{setting(UNITS[0], 'StateDirectory')}"


def test_caddy_uses_no_connection_that_the_relay_is_closing() -> None:
    (keep_s,) = re.findall(r"^\t\t\tkeepalive (\d+)s$", text_of("Caddyfile"), re.MULTILINE)
    assert int(keep_s) <= DEADLINE_S / 2


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_gives_open_calls_their_time(unit: str) -> None:
    """And tells the program alone, or the agent's servers would end before their calls."""
    assert int(setting(unit, "TimeoutStopSec")) >= TunnelConfig().drain_s + END_S
    assert setting(unit, "KillMode") == "mixed"
    words = exec_start(unit)
    assert words[1:3] == ["-n", "--pidfile="]
    assert words[-2] == "--config"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_the_units(unit: str, tmp_path: Path) -> None:
    """With a program that is there: of the rest nothing may be unknown."""
    text = text_of(unit).replace(exec_start(unit)[0], "/bin/true")
    (tmp_path / unit).write_text(text)
    scope = ["--user"] if unit == UNITS[1] else []
    done = subprocess.run(
        ["systemd-analyze", *scope, "--man=no", "verify", str(tmp_path / unit)],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_can_be_typed(command: str) -> None:
    """The shell takes it; ours are known, with their options, and are where the page installs them."""
    subprocess.run(["sh", "-n", "-c", command], check=True, timeout=10)
    words = shlex.split(command, comments=True)
    if words[0] == "runuser":
        words = words[words.index("--") + 1 :]
    program = Path(words[0])
    if program.name == "mcptunnel":
        assert str(program.parent) in (".", "~/.local/lib/mcptunnel/bin")
        _check_ours(words[1:])
    elif program.name in ("twistd", "pip"):
        assert str(program.parent) in ("/opt/mcptunnel/bin", "~/.local/lib/mcptunnel/bin")


def _check_ours(words: list[str]) -> None:
    command: click.Command = main
    context = click.Context(command, **main.context_settings)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    command.make_context("mcptunnel", words, parent=context)

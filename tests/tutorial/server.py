"""The rented server and the laptop: Caddy, relay and agent with the tutorial's files."""

import os
import shlex
import shutil
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.programs.client import TIMEOUT_S, Client, opened
from tests.programs.network import Network
from tests.programs.process import CHECKOUT, Program, finished
from tests.programs.programs import Agent, Estate, Relay
from tests.tutorial.authority import Authority
from tests.tutorial.files import HOST, RELAY_PORT, exec_start, substituted, text_of

SHIMS = {
    "python": "",
    "twistd": "-c 'from twisted.scripts.twistd import run; run()'",
    "mcptunnel": "-c 'from mcptunnel.cli.start import run; run()'",
}


def install(folder: Path) -> None:
    """Make the programs of an installed package in a folder."""
    folder.mkdir(parents=True)
    for name, words in SHIMS.items():
        shim = folder / name
        shim.write_text(
            f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(CHECKOUT))} "
            f'exec {shlex.quote(sys.executable)} {words} "$@"\n'
        )
        shim.chmod(0o755)


class TutorialRelay(Relay):
    """The relay of `relay.toml`, started as `mcptunnel-relay.service` does."""

    def __init__(self, folder: Path, port: int, origin: str) -> None:
        super().__init__(folder, port)
        self.origin = origin
        self.config.write_text(
            substituted(
                text_of("relay.toml"),
                (f"https://{HOST}", origin),
                (RELAY_PORT, str(port)),
                ("/var/lib/mcptunnel", str(self.state_dir)),
            )
        )
        install(folder / "bin")
        here = (
            ("/opt/mcptunnel/bin", str(folder / "bin")),
            ("/etc/mcptunnel/relay.toml", str(self.config)),
        )
        command = shlex.join(exec_start("mcptunnel-relay.service"))
        self.argv = shlex.split(substituted(command, *here))


class TutorialAgent(Agent):
    """The agent of `agent.toml` in a home directory, started as `mcptunnel-agent.service` does."""

    def __init__(self, home: Path, relay: Relay, env: Mapping[str, str]) -> None:
        super().__init__(home, relay, None, env=env)
        (home / "agent.toml").unlink()
        config = home / ".config" / "mcptunnel" / "agent.toml"
        config.parent.mkdir(parents=True)
        config.write_text(substituted(text_of("agent.toml"), (f"https://{HOST}", relay.origin)))
        install(home / ".local" / "lib" / "mcptunnel" / "bin")
        command = exec_start("mcptunnel-agent.service")
        self.argv = [word.replace("%h", str(home)) for word in command]


class RentedServer:
    """Caddy and the relay behind it. The world reaches it by `network`, or at `port` without that.

    `origin` is the public URL. Programs on other machines trust the authority by `env`.
    """

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.port, self.http_port, self.public_port, relay_port = (
            estate.free_port() for _ in range(4)
        )
        self.origin = f"https://localhost:{self.public_port}"
        self.authority = Authority(estate.folder("authority"), "localhost")
        self.env = {"SSL_CERT_FILE": str(self.authority.certificate), "BROWSER": "true"}
        self.tls = ssl.create_default_context(cafile=str(self.authority.certificate))
        self.relay = TutorialRelay(estate.folder("relay"), relay_port, self.origin)
        estate.relays.append(self.relay)
        self.network = Network(self.public_port, self.port, seed=1).start()
        estate.networks.append(self.network)
        self._folder = estate.folder("caddy")
        self._folder.mkdir()
        self.admin = f"unix/{self._folder}/admin.sock"
        self.caddyfile = self._folder / "Caddyfile"
        self.caddyfile.write_text(self._caddyfile())

    def _caddyfile(self) -> str:
        own = self.authority
        options = (
            f"admin {self.admin}",
            f"http_port {self.http_port}",
            f"https_port {self.port}",
            "default_bind 127.0.0.1",
        )
        site = f"localhost {{\n\ttls {own.host_certificate} {own.host_key}\n"
        return (
            "{\n\t"
            + "\n\t".join(options)
            + "\n}\n"
            + substituted(
                text_of("Caddyfile"),
                (f"\n{HOST} {{\n", f"\n{site}"),
                (f"127.0.0.1:{RELAY_PORT}", f"127.0.0.1:{self.relay.port}"),
            )
        )

    def start(self) -> None:
        self.relay.start()
        program = self.estate.program(
            "caddy",
            self.caddy("run"),
            env={"HOME": str(self._folder), "XDG_DATA_HOME": str(self._folder)},
        )
        program.wait_for("serving initial configuration")

    def caddy(self, command: str, *words: str) -> Sequence[str]:
        """Return a command of Caddy's about its file."""
        found = shutil.which("caddy")
        if found is None:
            pytest.fail("Caddy is not installed. Debian: apt install caddy")
        return (found, command, "--config", str(self.caddyfile), "--adapter", "caddyfile", *words)

    def reload(self) -> None:
        """Do what `systemctl reload caddy` does."""
        done = finished(self.caddy("reload", "--force", "--address", self.admin), self._folder)
        assert done.returncode == 0, done.stderr

    def run(self, *words: str) -> str:
        """Run `mcptunnel` on the server; return what it prints."""
        done = finished([str(self.relay.folder / "bin" / "mcptunnel"), *words], self.relay.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def client(self, token: str, *, version: str) -> Client:
        """Return a connected client, which comes by https, past the bad network."""
        return Client(self.port, token, version, tls=self.tls).connect()


class Laptop:
    """A home directory with the package, and what is started there."""

    def __init__(self, server: RentedServer) -> None:
        self.home = server.estate.folder("home")
        self._server = server
        self.env = {
            **server.env,
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / ".local" / "share"),
        }
        self.agent = TutorialAgent(self.home, server.relay, self.env)
        server.estate.agents.append(self.agent)

    def start(self, *words: str) -> Program:
        """Start `mcptunnel`."""
        command = self.home / ".local" / "lib" / "mcptunnel" / "bin" / "mcptunnel"
        path = {"PATH": f"{command.parent}:{os.environ['PATH']}"}
        return self._server.estate.program("mcptunnel", ("mcptunnel", *words), env=self.env | path)

    def fetch(self, url: str) -> None:
        """Do what a browser on this machine does when it is sent to one of its ports."""
        parts = urlsplit(url)
        connection = opened(parts.port or 80, TIMEOUT_S)
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()

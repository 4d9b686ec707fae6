"""What links cost that only stay: `python -m tests.benchmarks idle [--links N] [--tls]`.

A real relay with its default settings; at the other end one process plays all agents. Memory is what
the relay grew by, without what the kernel holds for sockets; the CPU time is that of its heartbeats.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcptunnel.auth.keys import Scope
from mcptunnel.cli.keyring import open_keyring
from mcptunnel.net.listen import raise_file_limit
from tests.benchmarks import meters
from tests.benchmarks.idle_links import IdleLinks
from tests.benchmarks.self_signed import self_signed
from tests.interop.processes import Process, free_port
from tests.programs.programs import TWISTD

DEVICES_OF_A_USER = 50
"""As many as a relay takes (`relay.devices.MAX_DEVICES`)."""

SPARE_FILES = 200
SETTLING_S = 3.0
START_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. `messages` are those that the relay sent in `seconds`."""

    links: int
    opening_s: float
    opening_cpu_ms: float
    rss_before_mb: float
    rss_after_mb: float
    seconds: float
    cpu_s: float
    messages: int

    @property
    def kib_per_link(self) -> float:
        return (self.rss_after_mb - self.rss_before_mb) * 1024 / self.links

    @property
    def cpu_percent(self) -> float:
        """Of one core."""
        return 100 * self.cpu_s / self.seconds

    def lines(self) -> list[str]:
        """Return the figures for a person."""
        each_us = 1e6 * self.cpu_s / max(self.messages, 1)
        before_mb, after_mb = self.rss_before_mb, self.rss_after_mb
        opening = f"{self.opening_s:.1f} s, {self.opening_cpu_ms:.2f} ms CPU of the relay each"
        memory = f"{before_mb:.0f} MiB, then {after_mb:.0f} MiB: {self.kib_per_link:.1f} KiB each"
        beats = f"{self.messages:,} messages of the relay, {each_us:.0f} us each"
        return [
            f"{self.links:,} links opened in {opening}",
            f"memory of the relay: {memory}",
            f"heartbeats, {self.seconds:.0f} s: {self.cpu_percent:.2f} % of a core, {beats}",
        ]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks idle", description="Measure links that only stay."
    )
    parser.add_argument("--links", type=int, default=10_000, metavar="N")
    parser.add_argument("--seconds", type=float, default=60.0, help="to watch heartbeats for (60)")
    parser.add_argument("--tls", action="store_true", help="the relay speaks TLS itself")
    parser.add_argument("--most-kib", type=float, metavar="KIB", help="fail if a link takes more")
    parser.add_argument("--most-cpu", type=float, metavar="PERCENT", help="fail if they take more")
    return parser.parse_args(argv)


@contextmanager
def relay(folder: Path, links: int, *, tls: bool) -> Iterator[tuple[Process, int, list[str]]]:
    """Run a relay with defaults; yield it, its port, and keys for so many links."""
    port = free_port()
    kind, files = "tcp", ""
    if tls:
        self_signed(folder / "relay.pem")
        kind, files = "ssl", ":privateKey=relay.pem:certKey=relay.pem"
    (folder / "relay.toml").write_text(
        f'listen = "{kind}:{port}:interface=127.0.0.1{files}"\nstate_dir = "./state"\n'
        f'public_url = "http{"s" * tls}://127.0.0.1:{port}"\n'
    )
    with open_keyring(folder / "state") as keyring:
        users = range(-(-links // DEVICES_OF_A_USER))
        keys = [
            keyring.create(user=f"user{number}", scope=Scope.AGENT, name="").text
            for number in users
        ]
    words = ("-n", "--pidfile=", "mcptunnel-relay", "--config", "relay.toml")
    log = folder / "relay.log"
    with Process("relay", (*TWISTD, *words), log=log, cwd=folder) as process:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while "control.sock" not in process.log_text():
            process.check_running()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"The relay did not start:\n{process.log_text()}")
            time.sleep(0.05)
        yield process, port, keys
        code = process.stop()
        if code not in (0, -15):
            raise RuntimeError(f"The relay ended with {code}:\n{process.log_text()}")


def measure(links: int, seconds: float, *, tls: bool) -> Figures:
    """Open the links, watch them, close them. Raises RuntimeError if one does not live."""
    with (
        tempfile.TemporaryDirectory(prefix="idle-") as name,
        relay(Path(name), links, tls=tls) as (process, port, keys),
        IdleLinks(port, tls=tls) as opened,
    ):
        time.sleep(SETTLING_S)
        before_mb, cpu_s, began_s = meters.rss_mb(process.pid), meters.cpu_s(process.pid), _now_s()
        for number in range(links):
            opened.prepare(keys[number // DEVICES_OF_A_USER], f"installation-{number:08}")
        opened.finish()
        opening_s, opening_cpu_s = _now_s() - began_s, meters.cpu_s(process.pid) - cpu_s
        opened.serve_for(SETTLING_S)
        after_mb, cpu_s, began_s = meters.rss_mb(process.pid), meters.cpu_s(process.pid), _now_s()
        messages = opened.serve_for(seconds)
        figures = Figures(
            links=links,
            opening_s=opening_s,
            opening_cpu_ms=1000 * opening_cpu_s / links,
            rss_before_mb=before_mb,
            rss_after_mb=after_mb,
            seconds=_now_s() - began_s,
            cpu_s=meters.cpu_s(process.pid) - cpu_s,
            messages=messages,
        )
        process.check_running()
    return figures


def _now_s() -> float:
    return time.monotonic()


def main(argv: Sequence[str]) -> int:
    """Measure as the arguments say; return the exit code."""
    options = parse(argv)
    files = raise_file_limit(options.links + SPARE_FILES)
    if files < options.links + SPARE_FILES:
        sys.stderr.write(f"Only {files} files may be open; `ulimit -n` is too low.\n")
        return 1
    try:
        figures = measure(options.links, options.seconds, tls=options.tls)
    except (RuntimeError, TimeoutError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join([*figures.lines(), ""]))
    failed = False
    for name, found, most in (
        ("KiB per link", figures.kib_per_link, options.most_kib),
        ("% of a core", figures.cpu_percent, options.most_cpu),
    ):
        if most is not None and found > most:
            sys.stderr.write(f"{found:.1f} {name} is more than {most:g}\n")
            failed = True
    return 1 if failed else 0

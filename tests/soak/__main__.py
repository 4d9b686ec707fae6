"""The soak test: `python -m tests.soak [--seconds N] [--seed N]`.

One relay, 200 agents in 4 processes, 2,000 streams that trickle, and between relay and agents a network
that breaks some connections every second. With resume nobody may notice: every exchange ends well, every
byte is checked, and memory stays flat. Prints how it goes; the exit code is not 0 if anything was wrong.
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.interop.processes import free_port
from tests.programs.programs import Estate
from tests.soak.cast import AGENT_PROCESSES, DEVICES, Cast
from tests.soak.load import Plan
from tests.soak.memory import ALLOCATOR
from tests.soak.watch import Watch

STREAMS = 2000
SECONDS = 480.0
DRAIN_S = 120.0
IDLE_S = 8.0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of load ({SECONDS:g})")
    parser.add_argument("--seed", type=int, help="for the same load and the same cuts again")
    parser.add_argument("--streams", type=int, default=STREAMS, help=f"at once ({STREAMS})")
    parser.add_argument("--devices", type=int, default=DEVICES, help=f"({DEVICES})")
    return parser.parse_args(argv)


def say(line: str) -> None:
    """Write a line for whoever watches."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def soak(estate: Estate, options: argparse.Namespace, seed: int) -> list[str]:
    """Start all, load, watch, let it rest, stop all; return what was wrong."""
    cast = Cast(estate, options.devices, seed)
    cast.start()
    say(f"{options.devices} agents in {AGENT_PROCESSES} processes are connected")
    plan = Plan(
        origin=cast.relay.origin,
        seed=seed,
        streams=options.streams,
        seconds=options.seconds,
        ramp_s=min(20.0, options.seconds / 5),
        places=cast.places(),
    )
    path = estate.folder("plan")
    plan.write(path)
    load = estate.program("load", (sys.executable, "-m", "tests.soak.load", str(path)))
    watch = Watch(cast, load, options.seconds, say)
    watch.until_over(options.seconds + DRAIN_S)
    time.sleep(IDLE_S)
    wrong = watch.judge()
    if load.exit_code(10) != 0:
        wrong.append(f"the load ended with an error\n{load.told()[-4000:]}")
    cast.stop()
    return wrong


def main(argv: Sequence[str]) -> int:
    """Soak as the arguments say; return the exit code."""
    options = parse(argv)
    seed = options.seed if options.seed is not None else secrets.randbelow(1_000_000)
    say(f"seed {seed}: {options.streams} streams, {options.seconds:g} s")
    started_s = time.monotonic()
    os.environ.update(ALLOCATOR)  # for the programs
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        estate = Estate(Path(folder), lambda count: [free_port() for _ in range(count)])
        try:
            wrong = soak(estate, options, seed)
        except AssertionError as error:
            wrong = [str(error)[-8000:]]
        finally:
            estate.clean_up()
    for line in wrong:
        say(f"WRONG: {line}")
    verdict = "failed" if wrong else "passed"
    say(f"the soak {verdict} in {time.monotonic() - started_s:.0f} s, seed {seed}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

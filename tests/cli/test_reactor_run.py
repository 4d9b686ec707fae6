"""Work in the reactor comes back as a value or an error; Ctrl-C lets it clean up. Each in a process."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import click, sys
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from mcptunnel.cli.reactor_run import run_in_reactor

async def value(reactor): return 5
async def later(reactor):
    await deferLater(reactor, 0.01)
    return "later"
async def error(reactor): raise ValueError("no")
async def waiting(reactor):
    try:
        print("waiting", flush=True)
        await Deferred()
    finally:
        await deferLater(reactor, 0.05)
        print("cleaned up", flush=True)

try:
    print(run_in_reactor(globals()[sys.argv[1]]))
except ValueError as caught:
    print("ValueError", caught)
except click.Abort:
    print("Abort")
"""


@pytest.mark.parametrize(
    ("work", "printed"), [("value", "5\n"), ("later", "later\n"), ("error", "ValueError no\n")]
)
def test_what_comes_of_it_comes_back(work: str, printed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, work],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (told.stdout, told.stderr) == (printed, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_it_clean_up(number: int) -> None:
    command = [sys.executable, "-c", PROGRAM, "waiting"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "waiting\n"
        os.kill(program.pid, number)
        assert program.communicate(timeout=60) == ("cleaned up\nAbort\n", "")

"""Runs one of the suite's client scenarios, with a tunnel between the client and the suite's server."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.conformance.suite import SUITE, TIMEOUT_S, Results, scores
from tests.interop import environments
from tests.interop.environments import ROOT

CLIENT_TIMEOUT_MS = 60_000


def check_client(scenario: str, revision: str, folder: Path, *, tunnelled: bool) -> Results:
    """Run one scenario, by the SDK's client, directly or through a tunnel of its own."""
    node = environments.node_packages()
    program = node.package_file(SUITE, "dist/index.js")
    words = [sys.executable, "-m", "tests.conformance.client", "tunnel" if tunnelled else "direct"]
    options = ["--scenario", scenario, "--spec-version", revision, "-o", str(folder)]
    argv = [str(node.node), str(program), "client", "--command", shlex.join(words), *options]
    done = subprocess.run(
        [*argv, "--timeout", str(CLIENT_TIMEOUT_MS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Results(scores(folder), done.returncode, done.stdout[-8000:] + done.stderr[-8000:])

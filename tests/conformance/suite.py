"""Runs the official suite (npm `@modelcontextprotocol/conformance`) against a URL, and reads its results."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.interop import environments

SUITE = "@modelcontextprotocol/conformance"
PRELOAD = Path(__file__).with_name("bearer.mjs")

TIMEOUT_S = 300.0

_FOLDER = re.compile(r"(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


@dataclass(frozen=True, slots=True)
class Score:
    """How many checks of one scenario came out how, and what was said of those that failed."""

    passed: int
    warned: int
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """The scores of one run by scenario; `said` is what the suite printed, `status` its exit status."""

    scores: Mapping[str, Score]
    status: int
    said: str

    @property
    def passed(self) -> int:
        return sum(score.passed for score in self.scores.values())

    def failures(self) -> dict[str, tuple[str, ...]]:
        """Return the scenarios with a check that failed, and the checks."""
        return {name: score.failures for name, score in self.scores.items() if score.failures}


def check_server(url: str, token: str, folder: Path, *words: str) -> Results:
    """Run scenarios against a server; `words` say which, as the suite's own options do."""
    node = environments.node_packages()
    origin = "/".join(url.split("/")[:3])
    env = {
        **os.environ,
        "NODE_OPTIONS": f"--import {PRELOAD}",
        "CONFORMANCE_TOKEN": token,
        "CONFORMANCE_ORIGIN": origin,
    }
    program = node.package_file(SUITE, "dist/index.js")
    argv = [str(node.node), str(program), "server", "--url", url, "-o", str(folder), *words]
    done = subprocess.run(
        argv, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return Results(
        scores(folder, "server-"), done.returncode, done.stdout[-8000:] + done.stderr[-2000:]
    )


def scores(folder: Path, prefix: str = "") -> dict[str, Score]:
    """Read the results of a run, whose folders' names begin with the prefix."""
    found: dict[str, Score] = {}
    for file in sorted(folder.glob("*/checks.json")):
        named = _FOLDER.fullmatch(file.parent.name.removeprefix(prefix))
        assert named is not None, file
        checks = json.loads(file.read_text())
        failed = [check for check in checks if check["status"] == "FAILURE"]
        found[named["scenario"]] = Score(
            sum(check["status"] == "SUCCESS" for check in checks),
            sum(check["status"] == "WARNING" for check in checks),
            tuple(f"{check['id']}: {check.get('errorMessage', '')[:300]}" for check in failed),
        )
    return found

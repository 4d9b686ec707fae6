"""The command: `python -m tests.benchmarks [options] [phases]`. It asserts nothing about time.

Only CPU time per call can be bounded, by `--most-cpu-ms`. `python -m tests.benchmarks idle` is another
one, with options of its own: links that only stay.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import idle, meters, report
from tests.benchmarks.bounds import exceeded, parse_bounds
from tests.benchmarks.load import LoadError
from tests.benchmarks.phases import PHASES, QUICK, Case, Measurement, Scale, cases, median
from tests.benchmarks.requests import VERSIONS, Era
from tests.benchmarks.stage import Stage, running

SETTLING_S = 2.0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure calls through relay and agent against direct calls, in the same run.",
    )
    parser.add_argument(
        "phases",
        nargs="*",
        metavar="phase",
        help=f"of {', '.join(PHASES)}; all (or idle, which see)",
    )
    parser.add_argument("--quick", action="store_true", help="under 40 s, for a build machine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--md", action="store_true", help="print Markdown")
    parser.add_argument("--era", choices=(*VERSIONS, "both"), default="legacy")
    parser.add_argument(
        "--servers",
        choices=("stdio", "http", "both", "none"),
        default="both",
        help="what the agent runs; none measures the direct way alone",
    )
    parser.add_argument(
        "--tunnel",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the section [tunnel], for relay and agent; may be repeated",
    )
    parser.add_argument("--legacy-servers", action="store_true", help="they do not know 2026-07-28")
    parser.add_argument("--repeat", type=int, metavar="N", help="runs of each case; medians count")
    parser.add_argument(
        "--most-cpu-ms",
        type=parse_bounds,
        default={},
        metavar="relay=MS,agent=MS",
        help="fail if a small call needs more CPU time, in the phase throughput",
    )
    options = parser.parse_args(argv)
    unknown = [phase for phase in options.phases if phase not in PHASES]
    if unknown:
        parser.error(f"no such phase: {', '.join(unknown)}; there are {', '.join(PHASES)}")
    return options


def measure(stage: Stage, todo: Sequence[Case], repeats: int, era: Era) -> list[Measurement]:
    """Run every case against every target, repeats interleaved; return the medians."""
    found: list[Measurement] = []
    for position, case in enumerate(todo, 1):
        targets = stage.bulk_targets if case.is_bulk else stage.targets
        runs: dict[str, list[Measurement]] = {target.name: [] for target in targets}
        for repeat in range(1, repeats + 1):
            for target in targets:
                of = f" {repeat}/{repeats}" if repeats > 1 else ""
                _tell(f"{era} {position}/{len(todo)}{of}: {case.phase}, {case.name}, {target.name}")
                runs[target.name].append(case.run(target, stage.pids[target.name]))
        found += [median(each) for each in runs.values()]
    return found


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what}")
    else:
        sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def _memory(
    stage: Stage, idle: Mapping[str, float], measurements: Sequence[Measurement]
) -> dict[str, dict[str, float]]:
    time.sleep(SETTLING_S)
    return {
        name: {
            "idle": idle[name],
            "peak": max(each.figures.get(f"peak_mb.{name}", 0.0) for each in measurements),
            "after": meters.rss_mb(pid),
        }
        for name, pid in stage.relay_and_agent.items()
    }


def run_era(era: Era, options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Measure in one era, print the tables, return the figures and what exceeds a bound."""
    scale = QUICK if options.quick else Scale()
    repeats = options.repeat or scale.repeats
    phases = options.phases or list(PHASES)
    forms = {"both": ["stdio", "http"], "none": []}.get(options.servers, [options.servers])
    _tell(f"{era}: starting")
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        running(
            Path(folder),
            era,
            forms,
            legacy_servers=options.legacy_servers,
            tunnel_options=options.tunnel,
        ) as stage,
    ):
        idle = {name: meters.rss_mb(pid) for name, pid in stage.relay_and_agent.items()}
        measurements = measure(stage, cases(phases, scale), repeats, era)
        memory = _memory(stage, idle, measurements)
    _tell("")
    title = f"({VERSIONS[era]})"
    tables = [
        report.phase_table(phase, measurements, title=title, markdown=options.md)
        for phase in phases
    ]
    if memory:
        tables.append(report.memory_table(memory, markdown=options.md))
    report.show(tables)
    figures = report.as_json(measurements, memory, {"era": era, "protocol": VERSIONS[era]})
    return figures, exceeded(options.most_cpu_ms, measurements)


def main(argv: Sequence[str]) -> int:
    """Measure as the arguments say; return the exit code."""
    if argv[:1] == ["idle"]:
        return idle.main(argv[1:])
    options = parse(argv)
    eras: Sequence[Era] = tuple(VERSIONS) if options.era == "both" else (options.era,)
    started_s = time.monotonic()
    try:
        found = [run_era(era, options) for era in eras]
    except (LoadError, RuntimeError, TimeoutError) as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    took_s = time.monotonic() - started_s
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    sys.stderr.write(f"{machine}; took {took_s:.0f} s\n")
    if options.json:
        runs = [figures for figures, _ in found]
        options.json.write_text(json.dumps({"machine": machine, "runs": runs}, indent=1) + "\n")
    too_much = [line for _, lines in found for line in lines]
    sys.stderr.write("".join(f"{line}\n" for line in too_much))
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

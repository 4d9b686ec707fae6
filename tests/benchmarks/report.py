"""Tables of measurements: for a terminal, as Markdown, as JSON."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.phases import Measurement
from tests.benchmarks.stage import DIRECT

CPU = ("relay", "agent", "server", "driver")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "latency": ("p50_ms", "p99_ms", "calls_per_s"),
    "throughput": ("calls_per_s", "p50_ms", "p99_ms"),
    "payload": ("p50_ms", "p99_ms", "mb_per_s"),
    "sse": ("events", "first_event_ms", "p50_ms", "events_per_s"),
    "hol": ("p50_ms", "p99_ms", "beside_mb_per_s"),
    "bulk": ("mb_per_s", "p50_ms"),
}
"""The figures of each phase's table; the first is also given as a ratio to the direct call."""

TITLES = {
    "calls_per_s": "calls/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "mb_per_s": "MB/s",
    "events": "events",
    "events_per_s": "events/s",
    "first_event_ms": "first event ms",
    "beside_mb_per_s": "other's MB/s",
}


def number(value: float | None) -> str:
    """Write a figure with about three digits."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}" if value < 1 else f"{value:.2f}"


def phase_table(
    phase: str, measurements: Sequence[Measurement], *, title: str, markdown: bool
) -> Table:
    """Make the table of one phase, targets of a case below each other."""
    table = _table(f"{phase} {title}".strip(), markdown=markdown)
    names = COLUMNS[phase]
    table.add_column("case")
    table.add_column("target")
    for heading in (*(TITLES[name] for name in names), "ratio"):
        table.add_column(heading, justify="right")
    processes = [name for name in CPU if any(f"cpu_ms.{name}" in m.figures for m in measurements)]
    for process in processes:
        table.add_column(f"{process} CPU ms", justify="right")
    table.add_column("errors")
    case = None
    for each in measurements:
        if each.phase != phase:
            continue
        direct = _direct(measurements, each)
        ratio_of = "p50_ms" if phase == "sse" else names[0]
        ratio = each.figures[ratio_of] / direct.figures[ratio_of] if direct else None
        table.add_row(
            each.case if each.case != case or markdown else "",
            each.target,
            *(number(each.figures.get(name)) for name in names),
            "" if each.target == DIRECT else number(ratio),
            *(number(each.figures.get(f"cpu_ms.{process}")) for process in processes),
            ", ".join(f"{count} {why}" for why, count in each.errors.items()),
        )
        case = each.case
    return table


def memory_table(memory: Mapping[str, Mapping[str, float]], *, markdown: bool) -> Table:
    """Make the table of resident memory: process -> when -> MiB."""
    table = _table("resident memory, MiB", markdown=markdown)
    for heading in ("process", "idle", "peak", "after"):
        table.add_column(heading, justify="left" if heading == "process" else "right")
    for name, figures in memory.items():
        table.add_row(name, *(number(figures[when]) for when in ("idle", "peak", "after")))
    return table


def _table(title: str, *, markdown: bool) -> Table:
    if markdown:
        return Table(title=f"**{title}**\n", title_justify="left", box=box.MARKDOWN)
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")


def _direct(measurements: Sequence[Measurement], like: Measurement) -> Measurement | None:
    for each in measurements:
        if (each.phase, each.case, each.target) == (like.phase, like.case, DIRECT):
            return each
    return None


def show(tables: Sequence[Table]) -> None:
    """Print tables on stdout; as wide as needed where that is no terminal."""
    if sys.stdout.isatty():
        console = Console(highlight=False)
        for table in tables:
            console.print(table)
        return
    plain = Console(file=StringIO(), highlight=False, width=250)
    with plain.capture() as captured:
        for table in tables:
            plain.print(table)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    sys.stdout.write("\n".join([*lines, ""]))


def as_json(
    measurements: Sequence[Measurement],
    memory: Mapping[str, Mapping[str, float]],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Return one run as JSON values."""
    return {
        **about,
        "measurements": [asdict(each) for each in measurements],
        "memory_mb": {name: dict(figures) for name, figures in memory.items()},
    }

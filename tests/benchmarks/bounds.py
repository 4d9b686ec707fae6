"""Bounds on the CPU time of a call: unlike time, it hardly depends on what else a machine does."""

import argparse
from collections.abc import Mapping, Sequence

from tests.benchmarks.phases import Measurement

PHASE = "throughput"


def parse_bounds(text: str) -> dict[str, float]:
    """Read `relay=0.6,agent=0.3`, milliseconds. Raises argparse.ArgumentTypeError."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name: float(value) for name, value in pairs}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not like relay=0.6,agent=0.3") from error


def exceeded(bounds: Mapping[str, float], measurements: Sequence[Measurement]) -> list[str]:
    """Say which process needs more for a small call than it may, through which target.

    What counts is the best of a target's cases: that is the most steady figure. A process without
    a figure is told as well; a bound that checks nothing would hide that.
    """
    told = []
    for process, most_ms in bounds.items():
        name = f"cpu_ms.{process}"
        best: dict[str, float] = {}
        for each in measurements:
            if each.phase == PHASE and name in each.figures:
                figure = each.figures[name]
                best[each.target] = min(figure, best.get(each.target, figure))
        if not best:
            told.append(f"{process}: nothing was measured in the phase {PHASE}")
        told += [
            f"{process}: {ms:.3f} ms CPU per call ({target}), more than {most_ms:g} ms"
            for target, ms in best.items()
            if ms > most_ms
        ]
    return told

"""What is measured. Each phase is a list of cases; each case is run against every target in turn."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks import load, meters
from tests.benchmarks.load import Lane
from tests.benchmarks.requests import Calls, Target

SMALL_BYTES = 100
EVENTS = 1000
MIB = 1024 * 1024
BULK_BYTES = 32 * MIB
BESIDE = 10


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a run takes."""

    repeats: int = 3
    warm_calls: int = 500
    latency_calls: int = 2000
    throughput_s: float = 3.0
    connections: Sequence[int] = (1, 16, 64, 256)
    payloads: Sequence[tuple[int, int]] = ((100, 400), (10_240, 400), (MIB, 30), (8 * MIB, 8))
    streams: int = 20
    beside_s: float = 3.0


QUICK = Scale(
    repeats=1,
    warm_calls=100,
    latency_calls=400,
    throughput_s=0.8,
    payloads=((100, 100), (10_240, 100), (MIB, 8), (8 * MIB, 2)),
    streams=3,
    beside_s=1.0,
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figures of one case against one target; a name that has no figure here is absent.

    Names: `calls_per_s`, `p50_ms`, `p99_ms`, `mb_per_s`, `events`, `events_per_s`,
    `first_event_ms`, `beside_mb_per_s`; `cpu_ms.PROCESS` is per call, `peak_mb.PROCESS` is memory.
    """

    phase: str
    case: str
    target: str
    figures: Mapping[str, float]
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a table. `measure` runs it once and returns figures and errors.

    `is_bulk` if it is for `Stage.bulk_targets`.
    """

    phase: str
    name: str
    measure: Callable[[Target, Mapping[str, int]], tuple[dict[str, float], Mapping[str, int]]]
    is_bulk: bool = False

    def run(self, target: Target, pids: Mapping[str, int]) -> Measurement:
        """Measure once, with the memory peak of each process."""
        for pid in pids.values():
            meters.reset_peak(pid)
        figures, errors = self.measure(target, pids)
        peaks = {f"peak_mb.{name}": meters.peak_mb(pid) for name, pid in pids.items()}
        return Measurement(self.phase, self.name, target.name, {**figures, **peaks}, errors)


def cases(phases: Sequence[str], scale: Scale) -> list[Case]:
    """Return the cases of these phases, in order."""
    return [case for phase in phases for case in PHASES[phase](scale)]


def _measured(
    target: Target, pids: Mapping[str, int], lanes: Sequence[Lane], warm: int, seconds: float | None
) -> tuple[dict[str, float], Mapping[str, int]]:
    """Open the lanes, warm up, measure; the figures are those of the first lane."""
    first = lanes[0]
    calls, first.calls_left = first.calls_left, warm
    for lane in lanes:
        lane.open()
    try:
        load.run([first])
        first.forget()
        first.calls_left = calls
        meter = meters.CpuMeter.start(pids)
        elapsed_s = load.run(lanes, seconds)
        made = sum(len(lane.latencies_ms) + lane.errors.total() for lane in lanes)
        cpu = meter.ms_per_call(made)
    finally:
        for lane in lanes:
            lane.close()
    if not first.latencies_ms:
        raise load.LoadError(f"{target.name}: no call succeeded: {dict(first.errors)}")
    figures = {
        "calls_per_s": len(first.latencies_ms) / elapsed_s,
        "p50_ms": percentile(first.latencies_ms, 50),
        "p99_ms": percentile(first.latencies_ms, 99),
        "mb_per_s": first.body_bytes / elapsed_s / 1e6,
        **{f"cpu_ms.{name}": value for name, value in cpu.items()},
    }
    if first.first_events_ms:
        figures["events"] = first.events / len(first.first_events_ms) - 1  # one is the result
        figures["events_per_s"] = first.events / elapsed_s
        figures["first_event_ms"] = percentile(first.first_events_ms, 50)
    if len(lanes) > 1:
        figures["beside_mb_per_s"] = sum(lane.body_bytes for lane in lanes[1:]) / elapsed_s / 1e6
    errors: dict[str, int] = {}
    for lane in lanes:
        for why, count in lane.errors.items():
            errors[why] = errors.get(why, 0) + count
    return figures, errors


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many per cent are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _latency(scale: Scale) -> list[Case]:
    def measure(
        target: Target, pids: Mapping[str, int]
    ) -> tuple[dict[str, float], Mapping[str, int]]:
        lane = Lane(target, Calls(target, "echo", {"size": SMALL_BYTES}))
        lane.calls_left = scale.latency_calls
        return _measured(target, pids, [lane], scale.warm_calls, None)

    return [Case("latency", "one after the other", measure)]


def _throughput(scale: Scale) -> list[Case]:
    def case(connections: int) -> Case:
        def measure(
            target: Target, pids: Mapping[str, int]
        ) -> tuple[dict[str, float], Mapping[str, int]]:
            lane = Lane(target, Calls(target, "echo", {"size": SMALL_BYTES}), connections)
            warm = max(scale.warm_calls, 2 * connections)
            return _measured(target, pids, [lane], warm, scale.throughput_s)

        return Case("throughput", f"{connections} connections", measure)

    return [case(connections) for connections in scale.connections]


def _payload(scale: Scale) -> list[Case]:
    def case(size: int, calls: int) -> Case:
        def measure(
            target: Target, pids: Mapping[str, int]
        ) -> tuple[dict[str, float], Mapping[str, int]]:
            lane = Lane(target, Calls(target, "echo", {"size": size}), calls_left=calls)
            return _measured(target, pids, [lane], 2, None)

        return Case("payload", _size(size), measure)

    return [case(size, calls) for size, calls in scale.payloads]


def _sse(scale: Scale) -> list[Case]:
    def measure(
        target: Target, pids: Mapping[str, int]
    ) -> tuple[dict[str, float], Mapping[str, int]]:
        calls = Calls(target, "progress", {"n": EVENTS}, progress=True)
        lane = Lane(target, calls, calls_left=scale.streams)
        return _measured(target, pids, [lane], 1, None)

    return [Case("sse", f"{EVENTS} progress events", measure)]


def _beside(scale: Scale) -> list[Case]:
    def measure(
        target: Target, pids: Mapping[str, int]
    ) -> tuple[dict[str, float], Mapping[str, int]]:
        small = Lane(target, Calls(target, "echo", {"size": SMALL_BYTES}))
        source = target.beside or target
        big = Lane(source, Calls(source, "echo", {"size": 8 * MIB}), BESIDE)
        return _measured(target, pids, [small, big], 20, scale.beside_s)

    return [Case("hol", f"beside {BESIDE} streams of {_size(8 * MIB)}", measure)]


def _bulk(scale: Scale) -> list[Case]:
    def case(connections: int) -> Case:
        def measure(
            target: Target, pids: Mapping[str, int]
        ) -> tuple[dict[str, float], Mapping[str, int]]:
            calls = Calls(target, "echo", {"size": BULK_BYTES})
            lane = Lane(target, calls, connections)
            return _measured(target, pids, [lane], connections, scale.beside_s)

        name = f"{connections} x {_size(BULK_BYTES)} at a time"
        return Case("bulk", name, measure, is_bulk=True)

    return [case(1), case(8)]


def _size(size: int) -> str:
    for unit, factor in (("MiB", MIB), ("KiB", 1024)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} B"


PHASES: Mapping[str, Callable[[Scale], list[Case]]] = {
    "latency": _latency,
    "throughput": _throughput,
    "payload": _payload,
    "sse": _sse,
    "hol": _beside,
    "bulk": _bulk,
}


def median(measurements: Sequence[Measurement]) -> Measurement:
    """Return the medians of repeats of one case; errors are added up."""
    first = measurements[0]
    names = [name for name in first.figures if all(name in each.figures for each in measurements)]
    figures = {
        name: statistics.median(each.figures[name] for each in measurements) for name in names
    }
    errors: dict[str, int] = {}
    for each in measurements:
        for why, count in each.errors.items():
            errors[why] = errors.get(why, 0) + count
    return Measurement(first.phase, first.case, first.target, figures, errors)

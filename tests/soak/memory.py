"""Whether memory stays flat: what processes hold late, against what they held early."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

EARLY = (0.33, 0.5)
LATE = (0.83, 1.0)
GROWTH_MIB = 12.0
GROWTH_SHARE = 0.05
"""A process may hold so much more late than early: both together. In 8 minutes half a KiB that is lost
with each exchange is more than that, in one minute 2 KiB."""

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "32768", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Has the C library give back what it holds free (mallopt(3)). With its defaults the holes between what
lives grow for a long time under this load, and a leak would hide among them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process held, so long after the load began."""

    at_s: float
    rss_mib: float


def allowed_mib(early_mib: float) -> float:
    """Return how much a process may hold late."""
    return early_mib * (1 + GROWTH_SHARE) + GROWTH_MIB


def verdict(
    name: str, samples: Sequence[Sample], seconds: float, idle_mib: float
) -> tuple[bool, str]:
    """Judge one process: return whether it stayed flat, and the figures.

    `samples` were taken under load, which went on for `seconds`; `idle_mib` is what it held once
    all was over. Both the late samples and that must be within bounds. Raises ValueError without samples.
    """
    early, late = (
        statistics.mean(
            [each.rss_mib for each in samples if low * seconds <= each.at_s <= high * seconds]
            or [samples[-1].rss_mib]
        )
        for low, high in (EARLY, LATE)
    )
    most = allowed_mib(early)
    flat = late <= most and idle_mib <= most
    figures = (
        f"{name}: {samples[0].rss_mib:.0f} MiB at first, {early:.0f} after a third, {late:.0f} at the end,"
        f" {idle_mib:.0f} idle; at most {most:.0f}"
    )
    return flat, figures if flat else f"{figures}: NOT FLAT"

"""A bound on CPU time is read, and what exceeds it is told."""

import argparse

import pytest

from tests.benchmarks.bounds import exceeded, parse_bounds
from tests.benchmarks.phases import Measurement

MEASUREMENTS = [
    Measurement("throughput", "1 connections", "tunnel, http", {"cpu_ms.relay": 0.9}),
    Measurement("throughput", "16 connections", "tunnel, http", {"cpu_ms.relay": 0.2}),
    Measurement("throughput", "1 connections", "tunnel, stdio", {"cpu_ms.relay": 0.5}),
    Measurement("payload", "8 MiB", "tunnel, http", {"cpu_ms.relay": 0.1}),
]


def test_bounds_are_read() -> None:
    assert parse_bounds("relay=0.6,agent=1") == {"relay": 0.6, "agent": 1.0}
    for text in ("", "relay", "relay=x", "relay=1=2"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_bounds(text)


def test_the_best_case_of_each_target_counts() -> None:
    assert exceeded({"relay": 0.5}, MEASUREMENTS) == []
    assert exceeded({"relay": 0.4}, MEASUREMENTS) == [
        "relay: 0.500 ms CPU per call (tunnel, stdio), more than 0.4 ms"
    ]


def test_a_bound_that_checks_nothing_is_told() -> None:
    assert exceeded({"agent": 1.0}, MEASUREMENTS) == [
        "agent: nothing was measured in the phase throughput"
    ]

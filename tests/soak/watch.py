"""Cuts, looks, and tells, while the load runs; judges at the end."""

import json
import random
import time
from collections.abc import Callable
from typing import Any

from tests.programs.network import WAYS
from tests.programs.process import Program
from tests.soak.cast import Cast
from tests.soak.cuts import Cuts
from tests.soak.memory import Sample, verdict

CUTS_A_SECOND = (1, 1, 2, 3, 5)
STORM_EVERY_S = 15
STORM = 50
"""Now and then many links break together, as when a network of many machines fails."""

ENOUGH = 0.8
"""While fewer devices have a link than this share, nothing more is cut: a machine that is too busy must
not look like a relay that forgets."""

TELL_EVERY_S = 5
SHOWN_FAILURES = 20
MIB = 1024 * 1024

# What a log must not hold: resume did not hold, or something broke.
_LOST = ("the relay did not resume the session", "an agent ends", "the tunnel is gone")
_BROKEN = ("Traceback", "internal error", "broke the protocol", "CRITICAL")


class Watch:
    """Looks after one run of `seconds` of load."""

    def __init__(
        self, cast: Cast, load: Program, seconds: float, say: Callable[[str], None]
    ) -> None:
        self._cast = cast
        self._load = load
        self._seconds = seconds
        self._say = say
        self._chance = random.Random(cast.seed)
        self._samples: dict[str, list[Sample]] = {name: [] for name in cast.watched}
        self._cuts = Cuts(cast.network, cast.seed)
        self._began_s = time.monotonic()

    def until_over(self, at_most_s: float) -> None:
        """Cut some links every second and tell how it goes, until the load is over."""
        for second in range(1, round(at_most_s) + 1):
            time.sleep(max(0.0, self._began_s + second - time.monotonic()))
            if "\nover {" in self._load.log or not self._load.is_running:
                return
            # The last exchanges are waited for in peace: they end as soon as they can.
            if second < self._seconds and self._cast.share_connected >= ENOUGH:
                count = STORM if second % STORM_EVERY_S == 0 else self._chance.choice(CUTS_A_SECOND)
                self._cuts.cut(count)
            if second % TELL_EVERY_S == 0:
                self._look()
        self._say(f"the load did not end in {at_most_s:g} s")

    def judge(self) -> list[str]:
        """Return what was wrong, and tell the figures."""
        wrong = self._wrong_with_load() + self._wrong_with_logs()
        took_s = min(self._seconds, time.monotonic() - self._began_s)
        for name, program in self._cast.watched.items():
            idle_mib = program.rss_bytes / MIB
            flat, figures = verdict(name, self._samples[name], took_s, idle_mib)
            self._say(figures)
            if not flat:
                wrong.append(figures)
        return wrong

    def _look(self) -> None:
        at_s = time.monotonic() - self._began_s
        for name, program in self._cast.watched.items():
            self._samples[name].append(Sample(at_s, program.rss_bytes / MIB))
        held = " ".join(f"{samples[-1].rss_mib:.0f}" for samples in self._samples.values())
        self._say(f"{at_s:4.0f} s  {self._figures()}  MiB {held}")

    def _figures(self) -> str:
        told = self._told()
        return (
            f"{told.get('open', 0)} open, {told.get('done', 0)} done,"
            f" {told.get('bytes', 0) / MIB:.1f} MiB, {self._cuts.count} cuts, {self._resumes} resumes,"
            f" {told.get('failed', 0)} failed, {told.get('mismatched', 0)} mismatched"
        )

    @property
    def _resumes(self) -> int:
        return sum(agents.log.count("] resumed\n") for agents in self._cast.agents)

    def _told(self) -> dict[str, Any]:
        """Return what the load told last."""
        for line in reversed(self._load.log.splitlines()):
            word, _, rest = line.partition(" ")
            if word in ("load", "over") and rest.startswith("{"):
                told: dict[str, Any] = json.loads(rest)
                return told
        return {}

    def _wrong_with_load(self) -> list[str]:
        told, wrong = self._told(), []
        ways = ", ".join(f"{self._cast.network.ends[way]} {way}" for way in WAYS)
        self._say(f"all together: {self._figures()} ({ways})")
        lines = self._load.log.splitlines()
        wrong += [line for line in lines if "failed: " in line or "another body: " in line][
            :SHOWN_FAILURES
        ]
        if "\nover {" not in self._load.log:
            wrong.append("the load did not come to its end")
        if told.get("failed") or told.get("mismatched"):
            wrong.append(f"{told['failed']} failed, {told['mismatched']} mismatched")
        if not told.get("done") or self._resumes < self._cuts.count / 2:
            wrong.append(f"too little happened to show anything: {self._figures()}")
        return wrong

    def _wrong_with_logs(self) -> list[str]:
        wrong = []
        for name, program in self._cast.watched.items():
            lines = program.log.splitlines()
            bad = [line for line in lines if any(text in line for text in (*_LOST, *_BROKEN))]
            wrong += [f"{name}: {line[:300]}" for line in bad[:SHOWN_FAILURES]]
        return wrong

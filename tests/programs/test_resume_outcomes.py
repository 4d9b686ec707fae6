"""Sessions lost for good, at any place of a conversation: what is told of each call is true."""

import threading
from functools import partial
from pathlib import Path

import pytest

from tests.programs import counting_server
from tests.programs.client import Client, Outcome
from tests.programs.network import Network
from tests.programs.process import eventually, is_gone
from tests.programs.programs import Agent, Estate, Relay
from tests.programs.test_resume import behind

HELD_S = {False: 0.3, True: 1.2}
"""Sessions are given up so soon; an agent is back within a second, if that is to be in time."""

SIZES = (10, 3000, 10, 40_000, 10)
"""Letters in each of the calls of a conversation; the large one is several frames."""

PLACES = (1, 300, 600, 900, 1500, 2500, 3700, 4100, 4500, 9000, 20_000, 36_000, 45_000, 46_000)
"""After so many bytes, both ways together, the link breaks."""

ALL_BYTES = 60_000
"""More than a conversation has: the link breaks after it."""

ENDLESS_BYTES = 1_000_000_000

LAST_BYTES = 200
"""About the last answer."""

GREETING_BYTES = 1000
"""About what a link carries before it is joined to the session."""


class Trial:
    """Calls while their link breaks for good."""

    def __init__(self, estate: Estate, file: Path, held_s: float) -> None:
        self.file = file
        brief = f"[tunnel]\nresume_window_s = {held_s:g}\n"
        servers = {"demo": counting_server.command(file)}
        found = behind(estate, 1, brief, brief, servers=servers)
        self.relay: Relay = found[0]
        self.network: Network = found[1]
        self.agent: Agent = found[2]
        self.client: Client = found[3]
        self.counts = dict.fromkeys(("answered", "unknown", "not_delivered"), 0)
        self.network.is_heard = False
        self._told: dict[str, Outcome] = {}

    def conversation(self, name: str) -> list[threading.Thread]:
        """Start the calls of a conversation."""

        def call(number: int, size: int) -> None:
            told = self.client.call("demo__note", id=f"{name}-{number}", text="x" * size)
            self._told[f"{name}-{number}"] = told

        calls = [threading.Thread(target=call, args=each, daemon=True) for each in enumerate(SIZES)]
        for each in calls:
            each.start()
        return calls

    def whole_bytes(self) -> int:
        """Return how much a conversation carries whose link holds, both ways together."""
        self.network.cut_after(ENDLESS_BYTES)
        self.check(self.conversation("whole"))
        self.counts = dict.fromkeys(self.counts, 0)
        return ENDLESS_BYTES - self.network.left_bytes

    def swallowed(self, name: str) -> list[threading.Thread]:
        """Start the calls of a conversation, of which nothing arrives, and wait until all were sent."""
        before = self.network.late_bytes
        self.network.stall()
        calls = self.conversation(name)
        eventually(lambda: self.network.late_bytes > before + sum(SIZES), 5, "all calls")
        return calls

    def check(self, calls: list[threading.Thread]) -> None:
        """Assert that every call ends, and that what is told of it is true."""
        for each in calls:
            each.join(5)
            assert not each.is_alive(), "a call has no end"
        told, self._told = self._told, {}
        assert len(told) == len(SIZES)
        ran = self.file.read_text().split() if self.file.exists() else []
        assert len(ran) == len(set(ran)), "a call ran twice"
        for name, outcome in told.items():
            if not outcome.is_error:
                assert name in ran
                self.counts["answered"] += 1
                continue
            assert outcome.outcome in ("unknown", "not_delivered")
            self.counts[outcome.outcome] += 1
            if outcome.outcome == "not_delivered":
                assert name not in ran, outcome.text
                assert "safe to try again" in outcome.text
            else:
                assert "may have run" in outcome.text

    def back(self) -> None:
        """Have the agent back, with a new session."""
        self.network.is_away = False
        eventually(lambda: not self.client.call("demo__add", a=1, b=2).is_error, 5, "the agent")

    @property
    def cut_count(self) -> int:
        return sum(self.network.ends.values())

    def is_cut_since(self, cut_count: int) -> bool:
        return self.cut_count > cut_count


@pytest.mark.parametrize("resumed", [False, True], ids=["first link", "resumed"])
def test_not_delivered_is_never_said_of_a_call_that_ran(
    estate: Estate, tmp_path: Path, *, resumed: bool
) -> None:
    """The network breaks for good after any number of bytes.

    On the first link; or on the second, over which all is sent that the first one has swallowed.
    """
    trial = Trial(estate, tmp_path / "ran", HELD_S[resumed])
    places = (*PLACES[::3], ALL_BYTES) if resumed else (*PLACES, trial.whole_bytes() - LAST_BYTES)
    for place in places:
        if resumed:
            calls = trial.swallowed(f"{place}")
            trial.network.budgets = [GREETING_BYTES + place]
            trial.network.cut("close")
            eventually(lambda: not trial.network.budgets, 5, "the second link")
            trial.network.is_away = True
        else:
            trial.network.is_away = True
            trial.network.cut_after(place)
            calls = trial.conversation(f"{place}")
        trial.check(calls)
        trial.network.cut("close")
        trial.back()
    assert trial.counts["answered"]
    assert trial.counts["unknown"]
    assert trial.counts["not_delivered"] or resumed
    assert ("resumed" in trial.agent.program.log) is resumed


def test_nor_of_a_call_of_an_agent_that_was_killed(estate: Estate, tmp_path: Path) -> None:
    """SIGKILL at any moment of the conversation; its server may read on for a while."""
    trial = Trial(estate, tmp_path / "ran", HELD_S[False])
    for place in PLACES[1::2]:
        servers = trial.agent.program.children()
        cut_count = trial.cut_count
        trial.network.cut_after(place)
        trial.network.is_away = True
        calls = trial.conversation(f"{place}")
        eventually(partial(trial.is_cut_since, cut_count), 5, "the cut")
        trial.agent.program.kill()
        for server in servers:
            eventually(partial(is_gone, server), 3, "the end of the server")
        trial.check(calls)
        trial.network.is_away = False
        trial.agent.start()
        trial.back()
    assert trial.counts["unknown"]
    assert trial.counts["not_delivered"]

"""Breaks some links of a network at a time, by chance."""

import random
import time

from tests.programs.network import Link, Network

YOUNG_S = 8.0
"""At this age a connection has long been greeted on, on a busy machine as well."""


class Cuts:
    """Cuts, as a seed says which and how. `count` is how many there were."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._chance = random.Random(seed)
        self._seen_s: dict[Link, float] = {}
        self.count = 0

    def cut(self, most: int) -> None:
        """End so many of the links that live, each in a way of its own.

        A young one is never silenced: who dials would wait longer than a relay holds its session.
        """
        now_s = time.monotonic()
        alive = [link for link in self._network._links if not link._ended]
        self._seen_s = {link: self._seen_s.get(link, now_s) for link in alive}
        for link in self._chance.sample(alive, min(most, len(alive))):
            way = self._network.way()
            is_young = now_s - self._seen_s[link] < YOUNG_S
            link.end("reset" if is_young and way == "silence" else way)
            self.count += 1

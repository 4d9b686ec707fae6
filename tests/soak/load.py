"""The clients: so many streams at once, each one exchange after the other until the time is over.

    python -m tests.soak.load PLAN

PLAN is a JSON file, see `Plan`. Every few seconds a line `load {...}` tells how it goes, `failed ...` what
went wrong; `over {...}` is the last one.
"""

import json
import random
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall, deferLater

from mcptunnel.net.http1 import Client
from tests.soak.exchanges import Exchanges, Failed, Mismatch, Place

TELL_EVERY_S = 2.5
AFTER_FAILURE_S = 1.0
KINDS = ("down", "up", "events", "call", "echo")
WEIGHTS = (35, 30, 20, 12, 3)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `streams` at once for `seconds`, begun over `ramp_s`."""

    origin: str
    seed: int
    streams: int
    seconds: float
    ramp_s: float
    places: tuple[Place, ...]

    def write(self, path: Path) -> None:
        """Write it, for its owner alone: there are keys in it."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        values = json.loads(path.read_text())
        places = tuple(Place(**place) for place in values.pop("places"))
        return cls(**values, places=places)


class Load:
    """All streams, and what became of them."""

    def __init__(self, reactor: Any, plan: Plan) -> None:
        self._reactor = reactor
        self._plan = plan
        self._client = Client(reactor, plan.origin, max_idle=plan.streams)
        self._exchanges = Exchanges(reactor, self._client)
        self._over = False
        self._counts: Counter[str] = Counter()
        self._open = 0
        self._began_s = reactor.seconds()

    async def run(self) -> None:
        """Run until every stream has made its last exchange."""
        self._reactor.callLater(self._plan.seconds, self._end)
        telling = LoopingCall(lambda: self._tell("load"))
        telling.clock = self._reactor
        telling.start(TELL_EVERY_S, now=False)
        streams = [
            Deferred.fromCoroutine(self._stream(number)) for number in range(self._plan.streams)
        ]
        await DeferredList(streams, fireOnOneErrback=True)
        telling.stop()
        self._tell("over")
        await self._client.close()

    def _end(self) -> None:
        self._over = True

    async def _stream(self, number: int) -> None:
        chance = random.Random(f"{self._plan.seed} {number}")
        place = self._plan.places[number % len(self._plan.places)]
        await deferLater(self._reactor, self._plan.ramp_s * number / self._plan.streams)
        while not self._over:
            (kind,) = chance.choices(KINDS, WEIGHTS)
            await self._exchange(kind, place, chance)

    async def _exchange(self, kind: str, place: Place, chance: random.Random) -> None:
        self._open += 1
        try:
            checked_bytes = await getattr(self._exchanges, kind)(place, chance)
            self._counts["bytes"] += checked_bytes
            self._counts["done"] += 1
        except (Failed, Mismatch) as error:
            is_mismatch = isinstance(error, Mismatch)
            self._counts["mismatched" if is_mismatch else "failed"] += 1
            told = "another body" if is_mismatch else "failed"
            at_s = self._reactor.seconds() - self._began_s
            text = f"{told}: {kind} of {place.device} after {at_s:.1f} s: {error}"
            print(text, flush=True)  # noqa: T201 - as below
            await deferLater(self._reactor, AFTER_FAILURE_S)
        finally:
            self._open -= 1

    def _tell(self, word: str) -> None:
        counts = {name: self._counts[name] for name in ("done", "failed", "mismatched", "bytes")}
        # This is what the orchestrator reads.
        print(word, json.dumps({**counts, "open": self._open}), flush=True)  # noqa: T201


def main() -> None:
    """Run the load that a file plans."""
    from twisted.internet import reactor as installed  # noqa: PLC0415 - a program's reactor

    reactor: Any = installed
    load = Load(reactor, Plan.read(Path(sys.argv[1])))
    broken: list[str] = []

    def start() -> None:
        running = Deferred.fromCoroutine(load.run())
        running.addErrback(lambda failure: broken.append(failure.getTraceback()))
        running.addCallback(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    if broken:
        sys.exit("\n".join(broken))


if __name__ == "__main__":
    main()

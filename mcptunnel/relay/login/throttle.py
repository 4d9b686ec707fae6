"""How often passwords and links may be tried (threat 13): by address, by name, and all together."""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from mcptunnel.auth.local_users import folded
from mcptunnel.auth.rate_limits import AddressLimits, Rate, RateLimits, address_key

MAX_KEYS: Final = 100_000
MAX_KNOWN: Final = 10_000

PAIR: Final = Rate(per_s=1 / 60, burst=5)
"""One name from one address: somebody who has forgotten something."""

ADDRESS: Final = Rate(per_s=1 / 10, burst=20)
"""One address: an office, or one who goes through many names."""

NAME: Final = Rate(per_s=1 / 60, burst=30)
"""One name from everywhere: many machines that try together. 1,500 in a day find no good password."""

ALL: Final = Rate(per_s=5, burst=100)

_ALL_KEY: Final = "all"


class SignInThrottle:
    """Counts what was tried. Of the times that `now_s` tells only differences matter."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._pairs = RateLimits(PAIR, max_keys=MAX_KEYS)
        self._addresses = AddressLimits(ADDRESS, max_keys=MAX_KEYS)
        self._names = RateLimits(NAME, max_keys=MAX_KEYS)
        self._all = RateLimits(ALL, max_keys=1)
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait_s(self, address: str, name: str = "") -> float:
        """Count an attempt; return 0.0, or for how many seconds it is too early.

        Without a name only the address counts. What is said never depends on whether there is such a user.
        What others try keeps nobody out who has signed in from the same address before.
        """
        now_s = self._now_s()
        waits = self._addresses.take(address, now_s)
        if not waits and name:
            pair = _pair(address, name)
            waits = self._pairs.take(pair, now_s)
            if pair in self._known:
                return waits
            waits = waits or self._names.take(_short(name), now_s)
        return waits or self._all.take(_ALL_KEY, now_s)

    def succeeded(self, address: str, name: str) -> None:
        """Forget the attempts of somebody who has signed in after them, and remember where that was."""
        pair = _pair(address, name)
        self._pairs.forgive(pair)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


def _pair(address: str, name: str) -> str:
    return f"{address_key(address)} {_short(name)}"


def _short(name: str) -> str:
    """Return something short for a name: strangers choose how long it is."""
    return sha256(folded(name).encode("utf-8", "replace")).hexdigest()[:32]

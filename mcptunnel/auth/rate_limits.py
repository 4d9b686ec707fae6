"""Token buckets by key (an address, a user): how often something may be tried."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

SITE_TIMES: Final = 8
"""A site with IPv6, a /48, may do so many times as much as one of its 65,536 lines."""

_V6_PREFIX_BITS: Final = 64
_V6_SITE_BITS: Final = 48
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`burst` at once, and `per_s` each second after that."""

    per_s: float
    burst: float


class RateLimits:
    """A bucket for each key, in a table of at most `max_keys`; the one unused for longest goes first.

    Whoever has more addresses than the table has room is for a second limit, with one key for all.
    """

    __slots__ = ("_levels", "_max_keys", "_rate")

    def __init__(self, rate: Rate, *, max_keys: int) -> None:
        self._rate = rate
        self._max_keys = max_keys
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str, now_s: float, cost: float = 1.0) -> float:
        """Take `cost` from a key's bucket and return 0.0, or take nothing and return the seconds to wait.

        `now_s` comes from a clock that does not go backwards; a step back counts as no time. ValueError
        for a cost above the burst, which no time would fill.
        """
        if cost > self._rate.burst:
            raise ValueError("The cost is more than the bucket holds")
        level = self._level(key, now_s)
        granted = level >= cost - _ROUNDING
        self._levels[key] = (max(0.0, level - cost) if granted else level, now_s)
        self._levels.move_to_end(key)
        while len(self._levels) > self._max_keys:
            self._levels.popitem(last=False)
        return 0.0 if granted else (cost - level) / self._rate.per_s

    def forgive(self, key: str) -> None:
        """Fill a key's bucket: what was tried has succeeded."""
        self._levels.pop(key, None)

    def _level(self, key: str, now_s: float) -> float:
        if key not in self._levels:
            return self._rate.burst
        level, then_s = self._levels[key]
        return min(self._rate.burst, level + max(0.0, now_s - then_s) * self._rate.per_s)


class AddressLimits:
    """A bucket for each peer's address, and of IPv6 one for its site: many get a whole /48 for nothing."""

    __slots__ = ("_addresses", "_sites")

    def __init__(self, rate: Rate, *, max_keys: int) -> None:
        self._addresses = RateLimits(rate, max_keys=max_keys)
        site = Rate(per_s=rate.per_s * SITE_TIMES, burst=rate.burst * SITE_TIMES)
        self._sites = RateLimits(site, max_keys=max_keys)

    def take(self, address: str, now_s: float, cost: float = 1.0) -> float:
        """Take from the buckets of an address, as `RateLimits.take` does."""
        waits = self._addresses.take(address_key(address), now_s, cost)
        site = site_key(address)
        return waits or (0.0 if site is None else self._sites.take(site, now_s, cost))


def address_key(address: str) -> str:
    """Return the key of a peer's address: of IPv6 the /64, since one line has as many addresses as it likes."""
    parsed = _parsed(address)
    return _network(parsed, _V6_PREFIX_BITS) if isinstance(parsed, IPv6Address) else str(parsed)


def site_key(address: str) -> str | None:
    """Return the key of the site that an address of IPv6 is in; None for all others."""
    parsed = _parsed(address)
    return _network(parsed, _V6_SITE_BITS) if isinstance(parsed, IPv6Address) else None


def _parsed(address: str) -> IPv4Address | IPv6Address | str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _network(address: IPv6Address, prefix_bits: int) -> str:
    rest_bits = 128 - prefix_bits
    return f"{IPv6Address(int(address) >> rest_bits << rest_bits)}/{prefix_bits}"

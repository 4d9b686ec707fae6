"""The names under which a user's clients see the tools, or the prompts, of all their servers.

A name is *bound* when it is exposed for the first time, and stays bound to that place: a client that
learned it (in a permission rule, a prompt, a habit) reaches the same thing or none, never another one.
So names are looked up in a table and never taken apart. Only `forget` ends that, when there are more
names than anybody can want.

What a place is called depends on the place alone, except where two places want one name: the first
to be exposed gets it. No order can be avoided there, since a name in use cannot move. The loser's
name ends in a hash of the loser's place, so it does not depend on who won or on how many want it.
Expose by device, server and tool, and the same set of tools gives the same names.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, Self, TypeAlias

JOINER: Final = "__"
RESERVED: Final = frozenset({"status", "restart"})
"""The hub's own tools."""

DEFAULT_MAX_LENGTH: Final = 64
MIN_MAX_LENGTH: Final = 32

Row: TypeAlias = tuple[str, str, str, str]
"""(name, device_key, server, item): one bound name, as a store keeps it."""

_HASH_LENGTH = 8
_SHORTEST_PART = 8
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A place: one tool or prompt of one server of one device, by their own names, or one URI of it."""

    device_key: str
    server: str
    item: str


class NameTable:
    """All names of one kind that were ever exposed to one user.

    Names have at most `max_length` characters of `[A-Za-z0-9_-]`: several clients refuse a whole
    list for one other name. Raises ValueError if `max_length` is under MIN_MAX_LENGTH.
    """

    __slots__ = ("_bound", "_max_length", "_reserved", "_targets")

    def __init__(
        self,
        *,
        max_length: int = DEFAULT_MAX_LENGTH,
        reserved: frozenset[str] = RESERVED,
    ) -> None:
        if max_length < MIN_MAX_LENGTH:
            raise ValueError(f"max_length must be at least {MIN_MAX_LENGTH}")
        self._max_length = max_length
        self._reserved = reserved
        self._targets: dict[str, Target] = {}
        self._bound: list[Row] = []

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Row],
        *,
        max_length: int = DEFAULT_MAX_LENGTH,
        reserved: frozenset[str] = RESERVED,
    ) -> Self:
        """Return a table with names that an earlier one bound, whatever its `max_length` was.

        A name that is now reserved is left out. Raises ValueError if a name stands for two places.
        """
        table = cls(max_length=max_length, reserved=reserved)
        for name, *place in rows:
            if name not in reserved and not table._bind(name, Target(*place)):
                raise ValueError(f"The name {name} stands for two places")
        table.take_bound()
        return table

    def take_bound(self) -> list[Row]:
        """Return the names that were bound since the last call, in that order: a store keeps them."""
        bound, self._bound = self._bound, []
        return [row for row in bound if row[0] in self._targets]

    def expose(
        self,
        device_key: str,
        device_label: str,
        server: str,
        item: str,
        *,
        with_device: bool,
        prefix: str | None = None,
    ) -> str:
        """Return the name of an item, bound from now on: the same for the same arguments, always.

        It is `server__item`, or `device__server__item` if `with_device`. `prefix` stands for the
        server's name; the empty one leaves the item's name alone, `with_device` or not.
        """
        if prefix == "":
            parts = [item]
        else:
            parts = [server if prefix is None else prefix, item]
            if with_device:
                parts.insert(0, device_label)
        target = Target(device_key, server, item)
        return next(name for name in self._candidates(parts, target) if self._bind(name, target))

    def __len__(self) -> int:
        return len(self._targets)

    def forget(
        self, count: int, *, listed: Container[str], is_there: Callable[[Target], bool]
    ) -> list[str]:
        """Forget names, the oldest first: at first those of places that are gone for good.

        None of those that are `listed` now, even if fewer than `count` are forgotten then. Returns
        which they are.
        """
        unlisted = [name for name in self._targets if name not in listed]
        unlisted.sort(key=lambda name: is_there(self._targets[name]))
        forgotten = unlisted[:count]
        for name in forgotten:
            del self._targets[name]
        return forgotten

    def forget_device(self, device_key: str) -> None:
        """Forget the names of all places of a device: others may have them."""
        for name in [name for name, at in self._targets.items() if at.device_key == device_key]:
            del self._targets[name]

    def resolve(self, name: str) -> Target | None:
        """Return the place of a name that was ever exposed."""
        return self._targets.get(name)

    def _bind(self, name: str, target: Target) -> bool:
        if name in self._reserved:
            return False
        known = self._targets.get(name)
        if known is None:
            self._targets[name] = target
            self._bound.append((name, target.device_key, target.server, target.item))
            return True
        return known == target

    def _candidates(self, parts: list[str], target: Target) -> Iterator[str]:
        clean = [_FOREIGN.sub("_", part) for part in parts]
        plain = JOINER.join(clean)
        if plain and len(plain) <= self._max_length:
            yield plain
        else:
            # By the text, not the place: a reinstalled device keeps its names.
            yield self._hashed(clean, parts)
        place = [target.device_key, target.server, target.item]
        yield self._hashed(clean, place)
        for attempt in count(1):  # somebody's tool is called like a hash of ours
            yield self._hashed(clean, [*place, str(attempt)])

    def _hashed(self, clean: list[str], identity: list[str]) -> str:
        room = self._max_length - _HASH_LENGTH - 1
        return f"{_shortened(clean, room)}_{digest(identity)}"


def _shortened(parts: list[str], room: int) -> str:
    """Join parts in `room` characters; those in front give way first, the tool says the most."""
    excess = sum(map(len, parts)) + len(JOINER) * (len(parts) - 1) - room
    kept: list[str] = []
    for part in parts[:-1]:
        cut = max(0, min(excess, len(part) - _SHORTEST_PART))
        kept.append(part[: len(part) - cut])
        excess -= cut
    return JOINER.join([*kept, parts[-1]])[:room]


def digest(identity: Sequence[str]) -> str:
    """Return a short stable hash of several texts, of `[a-z2-7]`."""
    # With lengths, so that ("a", "bc") and ("ab", "c") differ.
    text = "".join(f"{len(part)}:{part}" for part in identity)
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).digest()
    return base64.b32encode(digest)[:_HASH_LENGTH].decode().lower()

"""A server of a device, as far as the relay knows it."""

from dataclasses import dataclass, field
from typing import Final

from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.mcp.catalogue import Item
from mcptunnel.mcp.features import Features
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.refused_uris import RefusedUris
from mcptunnel.mcp.versions import Era

ABOUT: Final = "about"
"""The question what a server can do; the others are `Kind`s: what it lists."""

QUESTIONS: Final = (*Kind, ABOUT)


@dataclass(slots=True, eq=False)
class Known:
    """The last answer of a server to one question.

    `items` are by name, of `size_bytes` together; `fresh` says that nothing newer was announced since
    they were asked for. They came at `fetched_s` (never: infinity), and hold for `ttl_ms` as the server
    says; others have waited for them since `awaited_s`. `note` tells people what is wrong with them.
    """

    items: tuple[Item, ...] = ()
    size_bytes: int = 0
    fresh: bool = False
    fetched_s: float = float("inf")
    awaited_s: float = float("inf")
    ttl_ms: int = 0
    note: str = ""

    def left_ms(self, now_s: float) -> int:
        """Return for how many milliseconds more they hold."""
        if not self.ttl_ms:
            return 0
        return max(0, self.ttl_ms - round((now_s - self.fetched_s) * 1000))


@dataclass(slots=True, eq=False)
class RemoteServer:
    """A server of a device; the same object for as long as every announcement names it.

    `features` is None until it was asked for the first time; `refused` are URIs of which it does not
    tell, as far as that was tried.
    """

    info: ServerStatus
    features: Features | None = None
    known: dict[str, Known] = field(default_factory=lambda: {one: Known() for one in QUESTIONS})
    refused: RefusedUris = field(default_factory=RefusedUris)

    @property
    def tools(self) -> tuple[Item, ...]:
        return self.known[Kind.TOOL].items

    @property
    def note(self) -> str:
        """What is wrong with its lists, the tools first; "" if nothing is."""
        return next((known.note for known in self.known.values() if known.note), "")

    def has(self, kind: Kind) -> bool:
        """Whether it may list something of a kind. Tools are asked for whatever it says."""
        return kind is Kind.TOOL or (self.features is not None and kind in self.features.kinds)

    @property
    def is_doubtful(self) -> bool:
        """Whether it may tell of resources without saying so, as servers of the older era do.

        The agent tries it with each URI, and its acknowledgement has those that were taken.
        """
        features = self.features
        has_resources = features is not None and Kind.RESOURCE in features.kinds
        is_declared = features is not None and features.subscribe
        return has_resources and not is_declared and self.info.era == Era.LEGACY

    def may_tell(self, uri: str) -> bool:
        """Whether it tells of a resource; believed as long as nothing else is known."""
        if self.features is None or self.features.subscribe:
            return True
        return self.is_doubtful and uri not in self.refused

    def changed(self) -> None:
        """Note that all that is known may be of yesterday."""
        self.refused.clear()
        for known in self.known.values():
            known.fresh = False

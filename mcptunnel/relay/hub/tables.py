"""What every user's names and URIs mean: one table for tools, one for prompts, one for URIs."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.names import NameTable, Row, Target
from mcptunnel.mcp.uris import UriTable
from mcptunnel.model import Principal
from mcptunnel.relay.bearers import NamesChanged

MAX_NAMES: Final = 10_000
"""Names of one table of a user that are remembered, those of things that are gone included."""


class TableKind(StrEnum):
    """Which table; the values are kept in stores."""

    TOOL = "tool"
    PROMPT = "prompt"
    URI = "uri"


TABLE_OF: Final = {
    Kind.TOOL: TableKind.TOOL,
    Kind.PROMPT: TableKind.PROMPT,
    Kind.RESOURCE: TableKind.URI,
    Kind.TEMPLATE: TableKind.URI,
}


class _Table(Protocol):
    def __len__(self) -> int: ...

    def take_bound(self) -> list[Row]: ...

    def forget(
        self, count: int, *, listed: Container[str], is_there: Callable[[Target], bool]
    ) -> list[str]: ...

    def forget_device(self, device_key: str) -> None: ...


def _no_names() -> NameTable:
    return NameTable(reserved=frozenset())


@dataclass(slots=True)
class UserTables:
    """The tables of one user, and what was forgotten of each since the store was told."""

    tools: NameTable = field(default_factory=NameTable)
    prompts: NameTable = field(default_factory=_no_names)
    uris: UriTable = field(default_factory=UriTable)
    forgotten: dict[TableKind, list[str]] = field(default_factory=dict)

    def names(self, kind: Kind) -> NameTable:
        """Return the table of tools or prompts."""
        return self.tools if kind is Kind.TOOL else self.prompts

    def table(self, table_kind: TableKind) -> _Table:
        match table_kind:
            case TableKind.TOOL:
                return self.tools
            case TableKind.PROMPT:
                return self.prompts
            case TableKind.URI:
                return self.uris


class Tables:
    """The tables of all users. `names_changed` hears what a store is to keep or drop.

    `listed` tells of each kind what is listed now: that is never forgotten.
    """

    def __init__(self, names_changed: NamesChanged) -> None:
        self._names_changed = names_changed
        self._users: dict[Principal, UserTables] = {}
        self.listed: dict[Kind, Callable[[Principal], set[str]]] = {}

    def restore(self, principal: Principal, table_kind: str, rows: Iterable[Row]) -> None:
        """Take in the names that the store remembers of one table."""
        tables = self.of(principal)
        match TableKind(table_kind):
            case TableKind.TOOL:
                tables.tools = NameTable.from_rows(rows)
            case TableKind.PROMPT:
                tables.prompts = NameTable.from_rows(rows, reserved=frozenset())
            case TableKind.URI:
                tables.uris = UriTable.from_rows(rows)

    def of(self, principal: Principal) -> UserTables:
        """Return the tables of a user."""
        tables = self._users.get(principal)
        if tables is None:
            tables = self._users[principal] = UserTables()
        return tables

    def make_room(
        self, principal: Principal, kind: Kind, count: int, is_there: Callable[[Target], bool]
    ) -> None:
        """Forget old names when there are too many; a tenth more, so that this is rare."""
        tables, table_kind = self.of(principal), TABLE_OF[kind]
        table = tables.table(table_kind)
        excess = len(table) + count - MAX_NAMES
        if excess > 0:
            together = [names for of, names in self.listed.items() if TABLE_OF[of] is table_kind]
            listed = {name for names in together for name in names(principal)}
            found = table.forget(excess + MAX_NAMES // 10, listed=listed, is_there=is_there)
            tables.forgotten.setdefault(table_kind, []).extend(found)

    def forget_device(self, principal: Principal, installation_id: str) -> None:
        """Forget the names of a device that a store knows no more, either."""
        for table_kind in TableKind:
            self.of(principal).table(table_kind).forget_device(installation_id)

    def tell(self, principal: Principal) -> None:
        """Let the store know what was bound and forgotten."""
        tables = self.of(principal)
        forgotten, tables.forgotten = tables.forgotten, {}
        for table_kind in TableKind:
            bound = tables.table(table_kind).take_bound()
            gone = forgotten.get(table_kind, [])
            if bound or gone:
                self._names_changed(principal, table_kind.value, bound, gone)

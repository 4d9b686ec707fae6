"""Which device was the first to bear a server's name: the short address of a server leads there."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, TypeAlias

from mcptunnel.mcp.names import Row
from mcptunnel.model import Principal

BEARER: Final = "server"
"""How these names are told apart from those of the hub's tables; the value is kept in stores."""

MAX_BORNE_NAMES: Final = 4096
"""Names of servers of one user whose first bearer is known."""

NamesChanged: TypeAlias = Callable[[Principal, str, Sequence[Row], Collection[str]], None]
"""Hears whose names of which kind were bound (with their places), and which were forgotten."""


class Bearers:
    """The first bearers of all users' names, by installation id. `names_changed` hears what a store is to keep."""

    def __init__(self, names_changed: NamesChanged) -> None:
        self._names_changed = names_changed
        self._users: dict[Principal, dict[str, str]] = {}

    def restore(self, principal: Principal, rows: Iterable[Row]) -> None:
        """Take in what the store remembers of a user."""
        own = self._users.setdefault(principal, {})
        for name, installation_id, _server, _item in rows:
            if len(own) < MAX_BORNE_NAMES:
                own.setdefault(name, installation_id)

    def first(self, principal: Principal, server: str) -> str | None:
        """Return the installation that was the first to have a server of that name."""
        return self._users.get(principal, {}).get(server)

    def announced(
        self, principal: Principal, installation_id: str, servers: Collection[str]
    ) -> None:
        """Note that an installation has servers; of names that nobody had it is the first bearer."""
        own = self._users.setdefault(principal, {})
        new = [name for name in servers if name not in own][: MAX_BORNE_NAMES - len(own)]
        own.update(dict.fromkeys(new, installation_id))
        if new:
            rows = [(name, installation_id, name, "") for name in new]
            self._names_changed(principal, BEARER, rows, ())

    def inherits(self, principal: Principal, installation_id: str, server: str) -> None:
        """Let another installation have the name of one that is no longer known."""
        self._users[principal][server] = installation_id
        row = (server, installation_id, server, "")
        self._names_changed(principal, BEARER, [row], [server])

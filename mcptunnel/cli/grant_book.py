"""The grants as the commands see them: through a running relay, or in the store."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from mcptunnel.cli.books import RunningBook, StoredBook, control_of
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import Principal


class GrantBook(AbstractContextManager["GrantBook"], Protocol):
    """The grants of one relay. What is taken back is counted."""

    def list(self) -> Sequence[dict[str, Any]]: ...

    def take_back_grant(self, grant_id: str) -> int: ...

    def take_back_client(self, client_id: str, principal: Principal | None) -> int: ...


def open_grants(config: RelayConfig) -> GrantBook:
    """Return the grants of a relay: through it when it runs, else its store's.

    Raises `StoreError` or `ControlError`.
    """
    client = control_of(config)
    return RunningGrants(client) if client.is_live() else StoredGrants(config)


class RunningGrants(RunningBook):
    """The grants of a running relay."""

    def list(self) -> Sequence[dict[str, Any]]:
        (found,) = self.ask("GET", "/api/v1/grants", None, "grants")
        return cast("list[dict[str, Any]]", found)

    def take_back_grant(self, grant_id: str) -> int:
        return self._revoke({"grant": grant_id})

    def take_back_client(self, client_id: str, principal: Principal | None) -> int:
        order = {"client_id": client_id}
        if principal is not None:
            order |= {"issuer": principal.issuer, "user": principal.subject}
        return self._revoke(order)

    def _revoke(self, order: dict[str, str]) -> int:
        (ended,) = self.ask("POST", "/api/v1/grants/revoke", order, "ended")
        return cast("int", ended)


class StoredGrants(StoredBook):
    """The grants in the store of a relay that does not run."""

    def list(self) -> Sequence[dict[str, Any]]:
        from mcptunnel.relay.oauth.taking_back import (  # noqa: PLC0415 - late, as the database
            grant_to_json,
            list_grants,
        )

        found = self.database.read(lambda connection: list_grants(connection, time.time()))
        return [grant_to_json(used) for used in found]

    def take_back_grant(self, grant_id: str) -> int:
        from mcptunnel.relay.oauth.taking_back import take_back_grant  # noqa: PLC0415 - late

        now_s = time.time()
        return self.database.write(lambda connection: take_back_grant(connection, grant_id, now_s))

    def take_back_client(self, client_id: str, principal: Principal | None) -> int:
        from mcptunnel.relay.oauth.taking_back import take_back_client  # noqa: PLC0415 - late

        now_s = time.time()
        return self.database.write(
            lambda connection: take_back_client(connection, client_id, principal, now_s)
        )

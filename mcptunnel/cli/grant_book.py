"""The grants as the commands see them: through a running relay, or in the store."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, Self

from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import Principal

_SOCKET_NAME: Final = "control.sock"


class GrantBook(AbstractContextManager["GrantBook"], Protocol):
    """The grants of one relay. What is taken back is counted."""

    def list(self) -> Sequence[dict[str, Any]]: ...

    def take_back_grant(self, grant_id: str) -> int: ...

    def take_back_client(self, client_id: str, principal: Principal | None) -> int: ...


def open_grants(config: RelayConfig) -> GrantBook:
    """Return the grants of a relay: through it when it runs, else its store's.

    Raises `StoreError` or `ControlError`.
    """
    client = ControlClient(config.state_dir / _SOCKET_NAME)
    return RunningGrants(client) if client.is_live() else StoredGrants(config)


class RunningGrants:
    """The grants of a running relay, over its control socket."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def list(self) -> Sequence[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", "/api/v1/grants", None, "grants")
        return found

    def take_back_grant(self, grant_id: str) -> int:
        return self._revoke({"grant": grant_id})

    def take_back_client(self, client_id: str, principal: Principal | None) -> int:
        order = {"client_id": client_id}
        if principal is not None:
            order |= {"issuer": principal.issuer, "user": principal.subject}
        return self._revoke(order)

    def _revoke(self, order: dict[str, str]) -> int:
        ended: int = self._ask("POST", "/api/v1/grants/revoke", order, "ended")
        return ended

    def _ask(self, method: str, path: str, order: dict[str, str] | None, member: str) -> Any:
        try:
            return self._client.request(method, path, order)[member]
        except (KeyError, TypeError) as error:
            raise ControlError("the running relay is of another version") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        pass


class StoredGrants:
    """The grants in the store of a relay that does not run."""

    def __init__(self, config: RelayConfig) -> None:
        # The database's libraries cost a third of a second, which a running relay saves us.
        from mcptunnel.store.database import Database, location_of  # noqa: PLC0415

        self._database = Database(location_of(config.state_dir, config.store.url))

    def list(self) -> Sequence[dict[str, Any]]:
        from mcptunnel.relay.oauth.taking_back import grant_to_json  # noqa: PLC0415 - as above
        from mcptunnel.store.oauth.families import Families  # noqa: PLC0415

        found = self._database.read(lambda connection: Families(connection).list(time.time()))
        return [grant_to_json(family) for family in found]

    def take_back_grant(self, grant_id: str) -> int:
        from mcptunnel.relay.oauth.taking_back import take_back_grant  # noqa: PLC0415 - as above

        now_s = time.time()
        return self._database.write(lambda connection: take_back_grant(connection, grant_id, now_s))

    def take_back_client(self, client_id: str, principal: Principal | None) -> int:
        from mcptunnel.relay.oauth.taking_back import take_back_client  # noqa: PLC0415 - as above

        now_s = time.time()
        return self._database.write(
            lambda connection: take_back_client(connection, client_id, principal, now_s)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._database.close()

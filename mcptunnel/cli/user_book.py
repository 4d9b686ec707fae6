"""The users as the commands see them: through a running relay, or in the store."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol, Self

from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.config.auth import LOCAL
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import Principal

_SOCKET_NAME: Final = "control.sock"


class UserBook(AbstractContextManager["UserBook"], Protocol):
    """The users of one relay. Links and changes go by their names in `/api/v1/users`."""

    def list(self) -> Sequence[dict[str, Any]]: ...

    def make_link(self, which: str, name: str | None) -> tuple[str, float]: ...

    def change(self, how: str, principal: Principal) -> bool: ...


def open_users(config: RelayConfig) -> UserBook:
    """Return the users of a relay: through it when it runs, else its store's.

    Raises `StoreError` or `ControlError`.
    """
    client = ControlClient(config.state_dir / _SOCKET_NAME)
    return RunningUsers(client) if client.is_live() else StoredUsers(config)


class RunningUsers:
    """The users of a running relay, over its control socket."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def list(self) -> Sequence[dict[str, Any]]:
        with _understood():
            users: list[dict[str, Any]] = self._client.request("GET", "/api/v1/users")["users"]
            return users

    def make_link(self, which: str, name: str | None) -> tuple[str, float]:
        order = {} if name is None else {"user": name}
        with _understood():
            made = self._client.request("POST", f"/api/v1/users/{which}", order)
            return made["url"], made["expires_s"]

    def change(self, how: str, principal: Principal) -> bool:
        order = {"issuer": principal.issuer, "user": principal.subject}
        with _understood():
            is_changed: bool = self._client.request("POST", f"/api/v1/users/{how}", order)[
                "changed"
            ]
            return is_changed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        pass


class StoredUsers:
    """The users in the store of a relay that does not run."""

    def __init__(self, config: RelayConfig) -> None:
        # The database's libraries cost a third of a second, which a running relay saves us.
        from mcptunnel.store.database import Database, location_of  # noqa: PLC0415

        self._config = config
        self._database = Database(location_of(config.state_dir, config.store.url))

    def list(self) -> Sequence[dict[str, Any]]:
        from mcptunnel.relay.login.directory import user_to_json  # noqa: PLC0415 - as above
        from mcptunnel.store.people.users import Users  # noqa: PLC0415

        found = self._database.read(lambda connection: Users(connection).list())
        return [user_to_json(user) for user in found]

    def make_link(self, which: str, name: str | None) -> tuple[str, float]:
        from mcptunnel.relay.login.directory import LINKS, offering_of  # noqa: PLC0415 - as above
        from mcptunnel.relay.login.links import link_url  # noqa: PLC0415

        kind = LINKS[which]
        offering = offering_of(
            kind,
            name,
            is_local=self._config.auth.mode == LOCAL,
            random=os.urandom,
            now_s=time.time(),
        )
        expires_s = self._database.write(offering.offer)
        return link_url(self._config.public_url, kind, offering.token), expires_s

    def change(self, how: str, principal: Principal) -> bool:
        from mcptunnel.relay.login import changes  # noqa: PLC0415 - as above

        change: Callable[..., bool] = {
            "disable": changes.disable,
            "enable": changes.enable,
            "remove": changes.remove,
        }[how]
        now_s = time.time()
        return self._database.write(lambda connection: change(connection, principal, now_s=now_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._database.close()


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError) as error:
        raise ControlError("the running relay is of another version") from error

"""The users as the commands see them: through a running relay, or in the store."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from mcptunnel.cli.books import RunningBook, StoredBook, control_of
from mcptunnel.config.auth import LOCAL
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import Principal


class UserBook(AbstractContextManager["UserBook"], Protocol):
    """The users of one relay. Links and changes go by their names in `/api/v1/users`."""

    def list(self) -> Sequence[dict[str, Any]]: ...

    def make_link(self, which: str, name: str | None) -> tuple[str, float]: ...

    def change(self, how: str, principal: Principal) -> bool: ...


def open_users(config: RelayConfig) -> UserBook:
    """Return the users of a relay: through it when it runs, else its store's.

    Raises `StoreError` or `ControlError`.
    """
    client = control_of(config)
    return RunningUsers(client) if client.is_live() else StoredUsers(config)


class RunningUsers(RunningBook):
    """The users of a running relay."""

    def list(self) -> Sequence[dict[str, Any]]:
        (users,) = self.ask("GET", "/api/v1/users", None, "users")
        return cast("list[dict[str, Any]]", users)

    def make_link(self, which: str, name: str | None) -> tuple[str, float]:
        order = {} if name is None else {"user": name}
        url, expires_s = self.ask("POST", f"/api/v1/users/{which}", order, "url", "expires_s")
        return url, expires_s

    def change(self, how: str, principal: Principal) -> bool:
        order = {"issuer": principal.issuer, "user": principal.subject}
        (is_changed,) = self.ask("POST", f"/api/v1/users/{how}", order, "changed")
        return bool(is_changed)


class StoredUsers(StoredBook):
    """The users in the store of a relay that does not run."""

    def list(self) -> Sequence[dict[str, Any]]:
        from mcptunnel.relay.login.directory import user_to_json  # noqa: PLC0415 - late
        from mcptunnel.store.people.users import Users  # noqa: PLC0415

        found = self.database.read(lambda connection: Users(connection).list())
        return [user_to_json(user) for user in found]

    def make_link(self, which: str, name: str | None) -> tuple[str, float]:
        from mcptunnel.relay.login.directory import LINKS, offering_of  # noqa: PLC0415 - late, as the database
        from mcptunnel.relay.login.links import link_url  # noqa: PLC0415

        kind = LINKS[which]
        offering = offering_of(
            kind,
            name,
            is_local=self.config.auth.mode == LOCAL,
            random=os.urandom,
            now_s=time.time(),
        )
        expires_s = self.database.write(offering.offer)
        return link_url(self.config.public_url, kind, offering.token), expires_s

    def change(self, how: str, principal: Principal) -> bool:
        from mcptunnel.relay.login import changes  # noqa: PLC0415 - late, as the database

        change: Callable[..., bool] = {
            "disable": changes.disable,
            "enable": changes.enable,
            "remove": changes.remove,
        }[how]
        now_s = time.time()
        return self.database.write(lambda connection: change(connection, principal, now_s=now_s))

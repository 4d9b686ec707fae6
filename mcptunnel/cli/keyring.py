"""The API keys as the commands see them: through a running relay, or in the store."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import quote

from mcptunnel.auth.keys import (
    RANDOM_BYTES,
    IssuedKey,
    KeyId,
    KeyRecord,
    Scope,
    record_from_json,
)
from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.config.secret import Secret
from mcptunnel.model import LOCAL_ISSUER, Principal

_SOCKET_NAME = "control.sock"
_NOT_FOUND = 404


class KeyRing(AbstractContextManager["KeyRing"], Protocol):
    """The keys of one relay."""

    def create(self, *, user: str, scope: Scope, name: str) -> IssuedKey: ...

    def list(self) -> Sequence[KeyRecord]: ...

    def revoke(self, key_id: str) -> bool: ...


def open_keyring(
    state_dir: Path, store_url: Secret | None = None, issuer: str = LOCAL_ISSUER
) -> KeyRing:
    """Return the keys of the relay with `state_dir`: through it when it runs, else its store's.

    The store is a file there unless it has a URL. `issuer` is that of its users. Raises `StoreError`
    or `ControlError`.
    """
    client = ControlClient(state_dir / _SOCKET_NAME)
    if client.is_live():
        return RunningKeys(client)
    return StoredKeyRing(state_dir, store_url, issuer, client)


class RunningKeys:
    """The keys of a running relay, over its control socket."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def create(self, *, user: str, scope: Scope, name: str) -> IssuedKey:
        order = {"user": user, "scope": scope.value, "name": name}
        with _understood():
            members = self._client.request("POST", "/api/v1/keys", order)
            return IssuedKey(record=record_from_json(members), text=members["key"])

    def list(self) -> Sequence[KeyRecord]:
        with _understood():
            answer = self._client.request("GET", "/api/v1/keys")
            return [record_from_json(members) for members in answer["keys"]]

    def revoke(self, key_id: str) -> bool:
        try:
            self._client.request("DELETE", f"/api/v1/keys/{quote(key_id, safe='')}")
        except ControlError as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        pass


class StoredKeyRing:
    """The keys in the store of a relay that does not run, as far as `client` could tell."""

    def __init__(
        self, state_dir: Path, store_url: Secret | None, issuer: str, client: ControlClient
    ) -> None:
        # The database's libraries cost a third of a second, which a running relay saves us.
        from mcptunnel.store.audited_keys import end_key, make_key  # noqa: PLC0415
        from mcptunnel.store.database import Database, location_of  # noqa: PLC0415
        from mcptunnel.store.keys import Keys  # noqa: PLC0415

        self._database = Database(location_of(state_dir, store_url))
        self._keys = Keys
        self._make, self._end = make_key, end_key
        self._issuer = issuer
        self._client = client

    def create(self, *, user: str, scope: Scope, name: str) -> IssuedKey:
        return self._database.write(
            lambda connection: self._make(
                connection,
                Principal(self._issuer, user),
                scope,
                name,
                random=os.urandom(RANDOM_BYTES),
                now_s=time.time(),
            )
        )

    def list(self) -> Sequence[KeyRecord]:
        return self._database.read(lambda connection: self._keys(connection).list())

    def revoke(self, key_id: str) -> bool:
        done = self._database.write(
            lambda connection: self._end(connection, KeyId(key_id), time.time())
        )
        if self._client.is_live():  # it began meanwhile, and may have let the key in before
            RunningKeys(self._client).revoke(key_id)
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._database.close()


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise ControlError("the running relay is of another version") from error

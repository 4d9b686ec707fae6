"""What the commands know of a relay: through it when it runs, else from its store."""

from typing import Any, Final, Self

from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.config.relay import RelayConfig

SOCKET_NAME: Final = "control.sock"


def control_of(config: RelayConfig) -> ControlClient:
    """Return what speaks to the relay of a configuration, if it runs."""
    return ControlClient(config.state_dir / SOCKET_NAME)


class RunningBook:
    """Something that a running relay keeps, over its control socket."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def ask(
        self, method: str, path: str, order: dict[str, str] | None, *members: str
    ) -> tuple[Any, ...]:
        """Return members of an answer. Raises ControlError."""
        try:
            answer = self._client.request(method, path, order)
            return tuple(answer[member] for member in members)
        except (KeyError, TypeError) as error:
            raise ControlError("the running relay is of another version") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        pass


class StoredBook:
    """Something in the store of a relay that does not run. Raises `StoreError`."""

    def __init__(self, config: RelayConfig) -> None:
        # The database's libraries cost a third of a second, which a running relay saves us.
        from mcptunnel.store.database import Database, location_of  # noqa: PLC0415

        self.config = config
        self.database = Database(location_of(config.state_dir, config.store.url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.database.close()

"""Finding clients: those of the configuration, those that registered, those that have a document."""

from collections.abc import Mapping
from typing import Any, Protocol

from mcptunnel.auth.client_documents import is_document_id
from mcptunnel.auth.clients import Client
from mcptunnel.relay.oauth.records import registered_client
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.store.oauth.clients import Clients


class ClientDocuments(Protocol):
    """Where clients are whose id is the URL of their document."""

    async def find(self, client_id: str, *, asker: str) -> Client | None:
        """Return the client, or None if its document cannot be had or used.

        `asker` is the address of who names it.
        """


class KeySets(Protocol):
    """Where the keys of clients are that sign."""

    async def keys(self, client: Client, *, asker: str) -> Mapping[str, Any] | None:
        """Return a client's keys, or None if it has none that can be had."""

    async def newer_keys(self, client: Client, *, asker: str) -> Mapping[str, Any] | None:
        """Return a client's keys, asked for again; None if that was done just now."""


class PinnedDocuments:
    """The documents of the configuration alone: nothing is fetched."""

    def __init__(self, pinned: Mapping[str, Client]) -> None:
        self._pinned = pinned

    async def find(self, client_id: str, *, asker: str) -> Client | None:
        return self._pinned.get(client_id)


class OwnKeys:
    """The keys that are in clients' metadata themselves: nothing is fetched."""

    async def keys(self, client: Client, *, asker: str) -> Mapping[str, Any] | None:
        return client.jwks

    async def newer_keys(self, client: Client, *, asker: str) -> Mapping[str, Any] | None:
        return None


class ClientDirectory:
    """Answers who a client id is."""

    def __init__(self, around: Surroundings, documents: ClientDocuments) -> None:
        self._around = around
        self._documents = documents

    async def find(self, client_id: str, *, asker: str) -> Client | None:
        """Return a client, or None for one that is not known (any more).

        `asker` is the address of who names it: each may have so many documents fetched.
        """
        static = self._around.settings.clients.get(client_id)
        if static is not None:
            return static
        if is_document_id(client_id):
            if not self._around.settings.client_documents:
                return None
            return await self._documents.find(client_id, asker=asker)
        now_s = self._around.epoch_s()
        kept = await self._around.store.read(
            lambda connection: Clients(connection).find(client_id, now_s)
        )
        return None if kept is None else registered_client(kept)

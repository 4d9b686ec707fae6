"""Fetching what clients publish (threat 10): judged URLs, limits, and not too often."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from mcptunnel.auth.client_documents import document_fault
from mcptunnel.auth.fetch_urls import HostPolicy
from mcptunnel.auth.json_objects import NotAnObjectError, parse_object
from mcptunnel.auth.rate_limits import AddressLimits, Rate, RateLimits
from mcptunnel.auth.urls import split_url
from mcptunnel.errors import McpTunnelError
from mcptunnel.net.http import FetchError, Fetches, Limits
from mcptunnel.relay.oauth.throttling import BusyError

MAX_AT_ONCE: Final = 16
BUSY_S: Final = 1.0
PER_HOST: Final = Rate(per_s=0.5, burst=20)
PER_ASKER: Final = Rate(per_s=0.1, burst=10)
"""For one address that asks the relay; so it takes many to keep the others' clients from being looked up."""

OVERALL: Final = Rate(per_s=2, burst=40)
_MAX_HOSTS: Final = 10_000
_ALL: Final = "all"


class NotFetchedError(McpTunnelError):
    """A document that could not be had, or is none; for the log, not for who asked for it."""


class UnreachableError(NotFetchedError):
    """There may be a document, but its server cannot be asked now."""


class TooManyFetchesError(BusyError):
    """So much was asked for that a document was not looked for; it may be in `retry_after_s`."""

    def __init__(self, retry_after_s: float, *, is_fault_of_client: bool = False) -> None:
        super().__init__(
            "Too many clients are looked up at the moment",
            retry_after_s,
            is_fault_of_client=is_fault_of_client,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """What may be fetched for clients. `own_host` is the relay's, which never asks itself."""

    own_host: str
    hosts: HostPolicy = field(default_factory=HostPolicy)
    per_host: Rate = PER_HOST
    per_asker: Rate = PER_ASKER
    overall: Rate = OVERALL


class DocumentFetcher:
    """Fetches JSON objects from URLs that strangers name. Of `now_s` only differences matter."""

    def __init__(self, fetcher: Fetches, policy: FetchPolicy, now_s: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._policy = policy
        self._now_s = now_s
        self._hosts = RateLimits(policy.per_host, max_keys=_MAX_HOSTS)
        self._askers = AddressLimits(policy.per_asker, max_keys=_MAX_HOSTS)
        self._overall = RateLimits(policy.overall, max_keys=1)
        self._under_way = 0

    def fault(self, url: str) -> str | None:
        """Return why a URL is not fetched, as a sentence, or None."""
        return document_fault(url, self._policy.hosts, self._policy.own_host)

    async def fetch(
        self, url: str, limits: Limits, *, asker: str
    ) -> tuple[Mapping[str, Any], str | None]:
        """Return a JSON object and its Cache-Control; `asker` is the address for whom it is fetched.

        Raises NotFetchedError, TooManyFetchesError.
        """
        if (fault := self.fault(url)) is not None:
            raise NotFetchedError(fault)
        self._take(url, asker)
        self._under_way += 1
        try:
            got = await self._fetcher.get(url, limits)
        except FetchError as error:
            raise UnreachableError(error.detail) from error
        finally:
            self._under_way -= 1
        if got.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnreachableError(f"The answer was {got.status}")
        if got.status != HTTPStatus.OK:
            raise NotFetchedError(f"The answer was {got.status}")
        if not got.is_json:
            raise NotFetchedError("The answer is not of a JSON type")
        try:
            return parse_object(got.body, max_bytes=limits.max_bytes), got.cache_control
        except NotAnObjectError as error:
            raise NotFetchedError(str(error)) from None

    def _take(self, url: str, asker: str) -> None:
        """Count a fetch, or raise TooManyFetchesError."""
        if self._under_way >= MAX_AT_ONCE:
            raise TooManyFetchesError(BUSY_S)
        parts = split_url(url)
        host = (parts.host or "") if parts else ""
        now_s = self._now_s()
        if wait_s := self._askers.take(asker, now_s):
            raise TooManyFetchesError(wait_s, is_fault_of_client=True)
        wait_s = self._hosts.take(host, now_s) or self._overall.take(_ALL, now_s)
        if wait_s > 0:
            raise TooManyFetchesError(wait_s)

"""Signing in at an OpenID provider (threats 1, 9 and 28): what is asked there, and who comes back.

What is believed is decided in `auth.oidc`; tokens of the provider are not kept longer than a sign-in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mcptunnel.auth.json_objects import NotAnObjectError, parse_object
from mcptunnel.auth.oidc import sign_in
from mcptunnel.auth.oidc.discovery import Provider, token_auth_method
from mcptunnel.auth.oidc.errors import ProviderError, SignInError
from mcptunnel.auth.oidc.id_tokens import merge_userinfo, verify_id_token
from mcptunnel.auth.oidc.people import (
    DEFAULT_USER_CLAIM,
    AllowList,
    admit,
    principal_of,
    shown_name,
    verified_email,
    wanted_claims,
)
from mcptunnel.auth.oidc.sign_in import DEFAULT_SCOPES, RANDOM_BYTES, Attempt, RelyingParty
from mcptunnel.auth.oidc.token_endpoint import (
    MAX_ANSWER_BYTES,
    TokenAnswer,
    proof,
    read_token_answer,
)
from mcptunnel.auth.parameters import Parameters
from mcptunnel.net.http import FetchError, Fetches, Limits
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.login.provider_documents import TIMEOUT_S, ProviderDocuments

_LIMITS: Final = Limits(max_bytes=MAX_ANSWER_BYTES, timeout_s=TIMEOUT_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """What the operator says of the provider.

    No `client_secret` makes the relay a public client. `extra_parameters` go to the authorization
    endpoint. `ca_file` is for the fetcher that the provider is asked with.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    user_claim: str = DEFAULT_USER_CLAIM
    allowed: AllowList = field(default_factory=AllowList)
    extra_parameters: Mapping[str, str] = field(default_factory=dict)
    ca_file: Path | None = None


class OidcProvider:
    """One provider. It keeps nothing of a sign-in: the attempt is the caller's to keep, sealed, and once.

    `redirect_uri` is ours (`<public_url>/callback`). `epoch_s` is the time of day, `random` returns so
    many random bytes. The reactor's clock tells how old documents are.
    """

    _log = Logger()

    def __init__(
        self,
        settings: OidcSettings,
        *,
        redirect_uri: str,
        fetcher: Fetches,
        reactor: Any,
        random: Callable[[int], bytes],
        epoch_s: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._party = RelyingParty(
            client_id=settings.client_id, redirect_uri=redirect_uri, scopes=settings.scopes
        )
        self._fetcher = fetcher
        self._reactor = reactor
        self._random = random
        self._epoch_s = epoch_s
        self._documents = ProviderDocuments(settings.issuer, fetcher, reactor.seconds)
        self._looking: Deferred[None] | None = None

    def start(self) -> None:
        """Look whether the provider can be used, until it can; the log tells. Nobody has to wait for it."""
        self._looking = Deferred.fromCoroutine(self._look())

    def stop(self) -> None:
        """End what is under way; sign-ins fail then."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._documents.stop()

    async def begin(self, *, again: bool = False, login_hint: str = "") -> tuple[Attempt, str]:
        """Return a new sign-in and the URL to send the browser to. Raises ProviderError.

        With `again` the person has to prove who they are, even if the provider still knows.
        """
        provider = await self._documents.provider()
        attempt = sign_in.begin(
            provider, random=self._random(RANDOM_BYTES), now_s=self._epoch_s(), again=again
        )
        url = sign_in.sign_in_url(
            provider,
            self._party,
            attempt,
            login_hint=login_hint,
            extra=self._settings.extra_parameters,
        )
        return attempt, url

    async def finish(self, attempt: Attempt | None, parameters: Parameters) -> Person:
        """Return who signed in. `parameters` are those that the provider sent the browser back with.

        Raises SignInError, which may be shown to the person, and ProviderError, which is the operator's.
        """
        try:
            return await self._finish(attempt, parameters)
        except SignInError as error:
            because = f" ({error.__cause__})" if error.__cause__ else ""
            self._log.info("sign-in refused: {error}{because}", error=str(error), because=because)
            raise
        except ProviderError as error:
            self._log.warn("sign-in failed: {error}", error=str(error))
            raise

    async def _finish(self, attempt: Attempt | None, parameters: Parameters) -> Person:
        provider = await self._documents.provider()
        code = sign_in.callback_code(parameters, attempt, provider, now_s=self._epoch_s())
        if attempt is None:  # pragma: no cover - callback_code does not let that pass
            raise SignInError("This browser did not begin to sign in")
        answer = await self._redeem(provider, attempt, code)
        claims = await self._verified(provider, attempt, answer)
        claims = await self._completed(provider, claims, answer)
        principal = principal_of(claims, provider, self._settings.user_claim)
        admission = admit(claims, principal, self._settings.allowed, provider.quirks)
        if not admission.allowed:
            self._log.info("not admitted: {principal}", principal=str(principal))
            raise SignInError(admission.reason)
        return Person(
            principal, shown_name(claims, principal), verified_email(claims, provider.quirks)
        )

    async def _redeem(self, provider: Provider, attempt: Attempt, code: str) -> TokenAnswer:
        """Change the code for tokens."""
        secret = self._settings.client_secret
        method = token_auth_method(provider, has_secret=secret is not None)
        proved = proof(method, self._party.client_id, secret or "")
        form = {**sign_in.token_request(self._party, attempt, code), **proved.form}
        try:
            got = await self._fetcher.post(provider.token_endpoint, form, _LIMITS, proved.headers)
        except FetchError as error:
            raise ProviderError(f"The provider cannot be reached: {error.detail}") from error
        return read_token_answer(got.status, got.body)

    async def _verified(
        self, provider: Provider, attempt: Attempt, answer: TokenAnswer
    ) -> Mapping[str, Any]:
        """Return the claims of the ID token; if its key is unknown, newer keys are tried."""
        keys = await self._documents.keys()
        try:
            return self._verify(provider, attempt, answer, keys)
        except SignInError as error:
            newer = await self._documents.newer_keys() if error.stale_keys else None
            if newer is None:
                raise
        return self._verify(provider, attempt, answer, newer)

    def _verify(
        self, provider: Provider, attempt: Attempt, answer: TokenAnswer, keys: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return verify_id_token(
            answer.id_token,
            provider=provider,
            key_set=keys,
            client_id=self._party.client_id,
            attempt=attempt,
            access_token=answer.access_token,
            now_s=self._epoch_s(),
        )

    async def _completed(
        self, provider: Provider, claims: Mapping[str, Any], answer: TokenAnswer
    ) -> Mapping[str, Any]:
        """Return the claims with those of the userinfo endpoint, if any is missing that is wanted."""
        settings = self._settings
        wanted = wanted_claims(
            settings.user_claim, settings.scopes, settings.allowed, provider.quirks
        )
        url, token = provider.userinfo_endpoint, answer.access_token
        if wanted <= claims.keys() or url is None or token is None:
            return claims
        try:
            more = await self._userinfo(url, token)
        except ProviderError as error:  # what is missing will be told, if it matters
            self._log.warn("no userinfo: {error}", error=str(error))
            return claims
        return merge_userinfo(claims, more)

    async def _userinfo(self, url: str, token: str) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            got = await self._fetcher.get(url, _LIMITS, headers)
        except FetchError as error:
            raise ProviderError(error.detail) from error
        if got.status != HTTPStatus.OK or not got.is_json:
            raise ProviderError(f"the provider answered {got.status} {got.media_type}".rstrip())
        try:
            return parse_object(got.body, max_bytes=MAX_ANSWER_BYTES)
        except NotAnObjectError as error:
            raise ProviderError(str(error)) from None

    async def _look(self) -> None:
        told = ""
        while True:
            try:
                await self._documents.provider()
                await self._documents.keys()
            except CancelledError:
                return
            except ProviderError as error:
                if str(error) != told:
                    told = str(error)
                    self._log.warn("nobody can sign in for now: {error}", error=told)
            else:
                self._log.info("people sign in at {issuer}", issuer=self._settings.issuer)
                return
            try:
                await deferLater(self._reactor, max(1.0, self._documents.retry_in_s()))
            except CancelledError:
                return

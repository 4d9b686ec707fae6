"""The token endpoint: a code, a refresh token or a device code becomes tokens, in one transaction each."""

from dataclasses import dataclass, field
from typing import Final

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID, USER
from mcptunnel.auth.clients import Client
from mcptunnel.auth.codes import AuthorizationCode, CodeRefused, exchange
from mcptunnel.auth.device_grants import DeviceGrant, PollAccepted, poll
from mcptunnel.auth.grants import Family, FamilyId, begin_family
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.refreshing import Refreshed, RefreshRefused, refresh
from mcptunnel.auth.token_requests import (
    CodeRequest,
    DeviceCodeRequest,
    RefreshTokenRequest,
    TokenRequest,
    read_token_request,
)
from mcptunnel.model import Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.auditing import Event, audit
from mcptunnel.relay.oauth.issuing import (
    Given,
    NewTokens,
    Refused,
    begin,
    end,
    give,
    invalid_grant,
    may_come_in,
    new_tokens,
)
from mcptunnel.relay.oauth.records import known_code, known_family, known_grant, known_refresh
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.store.engine import Transaction
from mcptunnel.store.oauth.codes import AuthCodes, CodeTaken
from mcptunnel.store.oauth.device_codes import DeviceCodes
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.refresh import RefreshTokens, Rotated, Successor
from mcptunnel.store.people.users import Users

_TRIES: Final = 3
"""How often a decision is taken again because somebody else was quicker."""

CODE_USED_AGAIN: Final = "code used again"
TOKEN_USED_AGAIN: Final = "refresh token used again"  # noqa: S105 - a reason, no credential


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One request for tokens: made before the transaction, which may run several times."""

    client: Client
    address: str
    now_s: float
    tokens: NewTokens = field(repr=False)
    family_id: FamilyId
    """Of a family that begins with a device code."""


class TokenExchange:
    """Gives tokens to clients that proved themselves."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def answer(
        self, parameters: Parameters, client: Client, address: str
    ) -> dict[str, str | int]:
        """Return the members of a token answer. Raises OAuthError."""
        asked = read_token_request(parameters, client)
        attempt = _Attempt(
            client,
            address,
            self._around.epoch_s(),
            new_tokens(self._around),
            FamilyId(self._around.new_id()),
        )
        outcome = await self._around.store.write(
            lambda connection: self._decide(connection, asked, attempt)
        )
        if isinstance(outcome, Given):
            return outcome.answer
        if outcome.ended is not None:
            self._around.revoked(Revoked(grant_id=outcome.ended))
        raise outcome.error

    def _decide(
        self, connection: Transaction, asked: TokenRequest, attempt: _Attempt
    ) -> Given | Refused:
        if isinstance(asked, CodeRequest):
            return self._code(connection, asked, attempt)
        if isinstance(asked, RefreshTokenRequest):
            return self._refresh(connection, asked, attempt)
        return self._device_code(connection, asked, attempt)

    def _code(
        self, connection: Transaction, asked: CodeRequest, attempt: _Attempt
    ) -> Given | Refused:
        store, now_s = AuthCodes(connection), attempt.now_s
        for _ in range(_TRIES):
            kept = None if asked.code_hash is None else store.find(asked.code_hash)
            code = None if kept is None else known_code(kept)
            decision = exchange(
                code, asked.presented, issuer=self._around.settings.issuer, now_s=now_s
            )
            if isinstance(decision, CodeRefused):
                return self._code_refused(connection, decision, attempt)
            accepted = decision.code
            if not isinstance(store.take(accepted.hash, now_s), CodeTaken):
                continue
            if not may_come_in(connection, accepted.principal):
                break
            family = self._family(accepted.family, accepted, accepted.principal, attempt)
            return self._begin(connection, family, decision.resource, attempt)
        return Refused(invalid_grant("The code is not valid for this request"))

    def _code_refused(
        self, connection: Transaction, decision: CodeRefused, attempt: _Attempt
    ) -> Refused:
        ended = end(connection, decision.revoke, now_s=attempt.now_s, reason=CODE_USED_AGAIN)
        if ended is not None:
            self._tell_theft(connection, Event.CODE_REUSED, ended, attempt)
        return Refused(decision.error, ended)

    def _refresh(
        self, connection: Transaction, asked: RefreshTokenRequest, attempt: _Attempt
    ) -> Given | Refused:
        store, settings = RefreshTokens(connection), self._around.settings
        for _ in range(_TRIES):
            kept = None if asked.token_hash is None else store.find(asked.token_hash)
            if kept is None or asked.token_hash is None:
                token, family = None, None
            else:
                token, family = known_refresh(asked.token_hash, kept), known_family(kept.family)
            decision = refresh(
                token,
                family,
                attempt.client,
                asked.asked,
                issuer=settings.issuer,
                now_s=attempt.now_s,
                lifetimes=settings.lifetimes,
            )
            if isinstance(decision, RefreshRefused):
                return self._refresh_refused(connection, decision, attempt)
            if family is not None and self._rotated(store, decision, attempt):
                return give(connection, family, decision.issue, attempt.tokens, attempt.now_s)
        return Refused(invalid_grant("The refresh token is not valid"))

    def _rotated(self, store: RefreshTokens, decision: Refreshed, attempt: _Attempt) -> bool:
        """Keep what was decided; False if somebody was quicker."""
        now_s, lifetimes = attempt.now_s, self._around.settings.lifetimes
        expires_s = decision.issue.refresh_expires_s
        # A client that may not refresh any more gets no new one; what is kept here is nobody's.
        successor = Successor(
            token_hash=attempt.tokens.refresh.hash,
            expires_s=now_s if expires_s is None else expires_s,
        )
        if decision.before.rotated_s is None:
            return isinstance(store.rotate(decision.before.hash, successor, now_s), Rotated)
        reused = store.reuse(
            decision.before.hash,
            successor,
            rotated_since_s=now_s - lifetimes.grace_s,
            at_most=lifetimes.grace_uses,
            now_s=now_s,
        )
        return reused is not None

    def _refresh_refused(
        self, connection: Transaction, decision: RefreshRefused, attempt: _Attempt
    ) -> Refused:
        ended = end(connection, decision.revoke, now_s=attempt.now_s, reason=TOKEN_USED_AGAIN)
        if ended is not None:
            self._tell_theft(connection, Event.TOKEN_REUSED, ended, attempt)
        return Refused(decision.error, ended)

    def _device_code(
        self, connection: Transaction, asked: DeviceCodeRequest, attempt: _Attempt
    ) -> Given | Refused:
        store, now_s = DeviceCodes(connection), attempt.now_s
        code_hash = asked.device_code_hash
        kept = None if code_hash is None else store.poll(code_hash, now_s)
        grant = None if kept is None else known_grant(kept, attempt.family_id)
        decision = poll(grant, attempt.client.id, now_s)
        if not isinstance(decision, PollAccepted):
            slower = decision.grant
            if slower is not None and grant is not None:
                by_s = int(slower.interval_s - grant.interval_s)
                if by_s > 0:
                    store.slow_down(slower.hash, by_s)
            return Refused(decision.error)
        accepted = decision.grant
        if store.take(accepted.hash, now_s) is None or not may_come_in(
            connection, decision.principal
        ):
            return Refused(invalid_grant("The device code is not valid"))
        family = self._family(accepted.family, accepted, decision.principal, attempt)
        return self._begin(connection, family, accepted.resource, attempt)

    def _family(
        self,
        family_id: FamilyId,
        granted: AuthorizationCode | DeviceGrant,
        principal: Principal,
        attempt: _Attempt,
    ) -> Family:
        return begin_family(
            family_id,
            principal,
            attempt.client,
            resource=granted.resource,
            scopes=granted.scopes,
            now_s=attempt.now_s,
            lifetimes=self._around.settings.lifetimes,
        )

    def _begin(
        self, connection: Transaction, family: Family, resource: str, attempt: _Attempt
    ) -> Given:
        audit(
            connection,
            Event.GRANT_BEGUN,
            at_s=attempt.now_s,
            client=attempt.client,
            principal=family.principal,
            address=attempt.address,
            detail={"grant": family.id, "resource": family.resource},
        )
        given = begin(
            connection,
            family,
            attempt.client,
            resource=resource,
            tokens=attempt.tokens,
            lifetimes=self._around.settings.lifetimes,
        )
        user = Users(connection).find(family.principal)
        if user is None or attempt.client.id != AGENT_CLIENT_ID:
            return given
        return Given(given.answer | {USER: user.display_name})

    def _tell_theft(
        self, connection: Transaction, event: Event, family_id: FamilyId, attempt: _Attempt
    ) -> None:
        family = Families(connection).find(family_id)
        audit(
            connection,
            event,
            at_s=attempt.now_s,
            client=attempt.client,
            principal=None if family is None else family.principal,
            address=attempt.address,
            detail={"grant": family_id},
        )

"""`/authorize` and the consent: from a client's request to a code, across the sign-in (threats 1 to 6).

A request is kept in the store, bound to the browser session, and decided about anew from the same
parameters at every step. A code is made only when the request is taken: once, in that session.
"""

from dataclasses import dataclass
from typing import Final

from mcptunnel.auth.authorization import (
    AskConsent,
    ConsentRemembered,
    Decision,
    ErrorPage,
    ErrorRedirect,
    LogIn,
    SignedIn,
    decide,
    leave,
    named_client,
)
from mcptunnel.auth.authorization_request import AuthorizationRequest
from mcptunnel.auth.authorization_response import (
    code_location,
    denied_location,
)
from mcptunnel.auth.clients import is_client_id
from mcptunnel.auth.codes import new_code
from mcptunnel.auth.consent import consent_to
from mcptunnel.auth.errors import ErrorCode
from mcptunnel.auth.grants import FamilyId
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.tokens import RANDOM_BYTES, TokenKind, hash_token
from mcptunnel.model import Principal
from mcptunnel.relay.oauth.auditing import Event, audit
from mcptunnel.relay.oauth.clients import ClientDirectory
from mcptunnel.relay.oauth.issuing import may_come_in
from mcptunnel.relay.oauth.records import kept_code, kept_consent, known_consent
from mcptunnel.relay.oauth.settings import REQUEST_LIFETIME_S
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.store.engine import Transaction
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.oauth.codes import AuthCodes
from mcptunnel.store.oauth.consents import Consents
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.requests import AuthRequest, AuthRequests

_MEANT: Final = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "login_hint",
        "max_age",
        "prompt",
        "redirect_uri",
        "resource",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)
"""What is kept of a request that was found good; all else was ignored."""

_MAX_SHOWN_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sits at a browser, if anybody is signed in there; `signed_in_s` is since the epoch."""

    principal: Principal | None = None
    signed_in_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asked for, and when that was first seen."""

    parameters: Parameters
    started_s: float


class Authorizing:
    """Takes authorization requests to their end."""

    def __init__(self, around: Surroundings, directory: ClientDirectory) -> None:
        self._around = around
        self._directory = directory

    def asked_now(self, parameters: Parameters) -> Asked:
        """Return a request that has just come."""
        return Asked(parameters, self._around.epoch_s())

    async def decide(self, asked: Asked, visitor: Visitor, address: str) -> Decision:
        """Return what to do now with a request from an address. Raises BusyError."""
        client_id = named_client(asked.parameters)
        if isinstance(client_id, ErrorPage):
            return client_id
        client = await self._directory.find(client_id, asker=address)
        settings = self._around.settings
        return decide(
            asked.parameters,
            client,
            await self._signed_in(visitor, client_id),
            issuer=settings.issuer,
            origin_wide=settings.origin_wide,
            started_s=asked.started_s,
            now_s=self._around.epoch_s(),
        )

    async def note_refusal(
        self, asked: Asked, decision: ErrorPage | ErrorRedirect, visitor: Visitor, address: str
    ) -> None:
        """Write into the audit log that a client could not get a person's consent, and why.

        What strangers ask for without anybody being signed in is no event.
        """
        principal, now_s = visitor.principal, self._around.epoch_s()
        if principal is None:
            return
        reason = decision.message if isinstance(decision, ErrorPage) else decision.code.value
        client_id = asked.parameters.values.get("client_id", "")
        shown = client_id if is_client_id(client_id) else ""
        await self._around.store.write(
            lambda connection: audit(
                connection,
                Event.AUTHORIZATION_REFUSED,
                at_s=now_s,
                client=shown,
                principal=principal,
                address=address,
                detail={"reason": reason},
            )
        )

    async def keep(self, asked: Asked, session_id: str) -> str:
        """Keep a request for a browser session; return its id."""
        request_id = self._around.random(RANDOM_BYTES).hex()
        values = asked.parameters.values
        kept = AuthRequest(
            id_hash=hash_token(request_id),
            session_id=session_id,
            parameters={name: values[name] for name in _MEANT & values.keys()},
            created_s=asked.started_s,
            expires_s=asked.started_s + REQUEST_LIFETIME_S,
        )
        at_most = self._around.settings.max_requests
        await self._around.store.write(
            lambda connection: AuthRequests(connection).add(kept, at_most=at_most)
        )
        return request_id

    async def kept(self, request_id: str, session_id: str) -> Asked | None:
        """Return a request that was kept for a session, or None."""
        id_hash, now_s = hash_token(request_id), self._around.epoch_s()
        kept = await self._around.store.read(
            lambda connection: AuthRequests(connection).find(id_hash, session_id, now_s)
        )
        if kept is None:
            return None
        return Asked(Parameters(kept.parameters), kept.created_s)

    async def held(self, step: AskConsent) -> frozenset[str]:
        """Return the scopes that the client has of this person already, at the same endpoint."""
        request, principal, now_s = step.request, step.principal, self._around.epoch_s()
        families = await self._around.store.read(
            lambda connection: Families(connection).list(now_s, principal)
        )
        theirs = (
            one.scopes
            for one in families
            if (one.client_id, one.resource) == (request.client.id, request.resource)
        )
        return frozenset().union(*theirs)

    async def agree(
        self, step: AskConsent | ConsentRemembered, kept: tuple[str, str] | None, address: str
    ) -> str | None:
        """Make a code, and return where to send the browser with it.

        `kept` are the ids of the request, which this ends, and of its session; None for one that was
        never kept, because the person need not be asked. None is returned if somebody else has ended
        it before, or if the user is kept out by now.
        """
        if kept is None and not isinstance(step, ConsentRemembered):
            raise ValueError("Only what is remembered needs no consent")
        request, principal = step.request, step.principal
        now_s, code = self._around.epoch_s(), self._around.mint(TokenKind.CODE)
        made = new_code(
            code.hash,
            FamilyId(self._around.new_id()),
            request,
            principal,
            now_s=now_s,
            lifetimes=self._around.settings.lifetimes,
        )
        event = Event.CONSENT_GIVEN if isinstance(step, AskConsent) else Event.CONSENT_REMEMBERED

        def change(connection: Transaction) -> bool:
            if not _taken(connection, kept, now_s) or not may_come_in(connection, principal):
                return False
            AuthCodes(connection).add(kept_code(made, now_s))
            given = consent_to(request, principal)
            if given is not None and isinstance(step, AskConsent):
                Consents(connection).remember(kept_consent(given, now_s))
            Clients(connection).touch(request.client.id, now_s)
            self._audit(connection, event, step, address, now_s)
            return True

        done = await self._around.store.write(change)
        return code_location(self._around.settings.issuer, request, code.text) if done else None

    async def deny(
        self, step: AskConsent | ConsentRemembered, kept: tuple[str, str], address: str
    ) -> str | None:
        """End a request with a no; return where to send the browser, or None as `agree` does."""
        now_s = self._around.epoch_s()

        def change(connection: Transaction) -> bool:
            if not _taken(connection, kept, now_s):
                return False
            self._audit(connection, Event.CONSENT_DENIED, step, address, now_s)
            return True

        done = await self._around.store.write(change)
        return denied_location(self._around.settings.issuer, step.request) if done else None

    def left(self, step: LogIn | AskConsent | ConsentRemembered, code: ErrorCode) -> ErrorRedirect:
        """Return how to tell the client of a person who did not sign in."""
        return leave(step, code, issuer=self._around.settings.issuer)

    async def _signed_in(self, visitor: Visitor, client_id: str) -> SignedIn | None:
        principal = visitor.principal
        if principal is None:
            return None
        consents = await self._around.store.read(
            lambda connection: Consents(connection).list(principal, client_id=client_id)
        )
        return SignedIn(
            principal=principal,
            signed_in_s=visitor.signed_in_s,
            consents=[known_consent(one) for one in consents],
        )

    def _audit(
        self,
        connection: Transaction,
        event: Event,
        step: AskConsent | ConsentRemembered,
        address: str,
        now_s: float,
    ) -> None:
        request: AuthorizationRequest = step.request
        audit(
            connection,
            event,
            at_s=now_s,
            client=request.client,
            principal=step.principal,
            address=address,
            detail={
                "resource": request.resource,
                "scopes": " ".join(request.scopes),
                "redirect_uri": request.redirect_uri.partition("?")[0][:_MAX_SHOWN_CHARS],
            },
        )


def _taken(connection: Transaction, kept: tuple[str, str] | None, now_s: float) -> bool:
    if kept is None:
        return True
    request_id, session_id = kept
    return AuthRequests(connection).take(hash_token(request_id), session_id, now_s) is not None

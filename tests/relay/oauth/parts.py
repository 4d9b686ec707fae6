"""The parts of an authorization server, on a store in memory and a test clock."""

import hashlib
from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock

from mcptunnel.auth.clients import Client, ClientKind
from mcptunnel.auth.grants import FamilyId, Lifetimes, begin_family
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.pkce import challenge_of
from mcptunnel.auth.tokens import TokenKind
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.issuing import NewTokens, begin, new_tokens
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.relay.oauth.surroundings import Minted, Surroundings
from mcptunnel.store.audit import AuditLog
from mcptunnel.store.database import Database
from mcptunnel.store.engine import Store
from mcptunnel.store.oauth.codes import AuthCode, AuthCodes
from mcptunnel.store.people.users import Users

ISSUER = Issuer("https://relay.example")
ALICE = Principal(LOCAL_ISSUER, "alice")
CALLBACK = "https://app.example/callback"
VERIFIER = "v" * 43
APP = Client(id="app", kind=ClientKind.STATIC, name="App", redirect_uris=(CALLBACK,))
START_S = 1_800_000_000.0


class Chance:
    """Other bytes each time."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, count: int) -> bytes:
        self._count += 1
        return hashlib.sha512(str(self._count).encode()).digest()[:count]


class Parts:
    """What the parts share, and what a test looks at."""

    def __init__(
        self, store: Store, database: Database, settings: OAuthSettings | None = None
    ) -> None:
        self.clock = Clock()
        self.clock.advance(START_S)
        self.database = database
        self.revoked: list[Revoked] = []
        known = settings or OAuthSettings(issuer=ISSUER)
        self.around = Surroundings(
            store=store,
            settings=replace(known, clients={**known.clients, APP.id: APP}),
            epoch_s=self.clock.seconds,
            random=Chance(),
            secret=lambda: b"s" * 32,
            revoked=self.revoked.append,
        )
        self.sign_in(ALICE)

    @property
    def now_s(self) -> float:
        return float(self.clock.seconds())

    def sign_in(self, principal: Principal) -> None:
        """Let a user be known."""
        self.database.write(
            lambda connection: Users(connection).seen(
                principal, display_name="A", email=None, now_s=START_S
            )
        )

    def code(self, family_id: str = "family") -> Minted:
        """Return a code that alice has agreed to."""
        minted = self.around.mint(TokenKind.CODE)
        kept = AuthCode(
            code_hash=minted.hash,
            principal=ALICE,
            client_id=APP.id,
            redirect_uri=CALLBACK,
            challenge=challenge_of(VERIFIER),
            resource=ISSUER,
            scopes=frozenset({"mcp"}),
            family_id=family_id,
            created_s=self.now_s,
            expires_s=self.now_s + 60,
        )
        self.database.write(lambda connection: AuthCodes(connection).add(kept))
        return minted

    def grant(
        self, family_id: str = "family", client: Client = APP, resource: str = ISSUER
    ) -> NewTokens:
        """Return the tokens of a new grant of alice's."""
        tokens = new_tokens(self.around)
        family = begin_family(
            FamilyId(family_id),
            ALICE,
            client,
            resource=resource,
            scopes=("mcp",),
            now_s=self.now_s,
            lifetimes=Lifetimes(),
        )
        self.database.write(
            lambda connection: begin(
                connection,
                family,
                client,
                resource=resource,
                tokens=tokens,
                lifetimes=Lifetimes(),
            )
        )
        return tokens

    def events(self) -> list[Any]:
        """Return the audit log, oldest first."""
        page = self.database.read(lambda connection: AuditLog(connection).page(limit=1000))
        return [logged.event for logged in reversed(page)]


def form(**values: str) -> Parameters:
    return Parameters(values)


def code_form(code: str, **more: str) -> Parameters:
    return form(
        grant_type="authorization_code",
        code=code,
        code_verifier=VERIFIER,
        redirect_uri=CALLBACK,
        **more,
    )


def refresh_form(token: str, **more: str) -> Parameters:
    return form(grant_type="refresh_token", refresh_token=token, **more)

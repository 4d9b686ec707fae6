"""Codes and refresh tokens against a store with conditional updates, in any order of races and times.

Each presentation reads a record first and writes it later, as two nodes do with one database; in between
anything may happen. What the machine holds: a code begins at most one family; nothing is given out of a
family that ended; a token that is presented after its grace ends its family; no more is given than the
grace allows; nothing widens; nothing outlives the family.
"""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from mcptunnel.auth import codes, refreshing
from mcptunnel.auth.access import is_live
from mcptunnel.auth.grants import (
    AccessToken,
    Family,
    FamilyId,
    Issue,
    Lifetimes,
    RefreshToken,
    begin_family,
    issue,
    revoked,
)
from tests.auth.requests import ALICE, VERIFIER, WEB, R, client, request

_LIFETIMES = Lifetimes(access_s=50.0, refresh_idle_s=300.0, family_s=1000.0, grace_uses=3)
_F = FamilyId("f")
_ASKED = codes.CodeExchange(client_id="c", redirect_uri=WEB, verifier=VERIFIER)


class Grants(RuleBasedStateMachine):
    """One code and everything that comes from it."""

    reading_code = Bundle("reading_code")
    held = Bundle("held")
    reading_token = Bundle("reading_token")

    @initialize()
    def agree(self) -> None:
        self.now_s = 0.0
        asked = request(scopes=("mcp", "offline_access"), resource=R)
        self.code = codes.new_code(b"h", _F, asked, ALICE, now_s=0.0, lifetimes=_LIFETIMES)
        self.family: Family | None = None
        self.tokens: dict[bytes, RefreshToken] = {}
        self.access: list[AccessToken] = []
        self.begun = 0
        self.given: dict[bytes, int] = {}

    @rule(seconds=st.sampled_from([0.5, 10.0, 59.0, 61.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(target=reading_code, presented=st.sampled_from([_ASKED, replace(_ASKED, client_id="d")]))
    def read_code(self, presented: codes.CodeExchange) -> tuple[codes.AuthorizationCode, object]:
        return self.code, presented

    @rule(target=held, reading=consumes(reading_code))
    def write_code(self, reading: tuple[codes.AuthorizationCode, codes.CodeExchange]) -> object:
        seen, presented = reading
        decision = codes.exchange(seen, presented, issuer=R, now_s=self.now_s)
        if isinstance(decision, codes.CodeAccepted) and self.code.used_s is not None:
            decision = codes.exchange(self.code, presented, issuer=R, now_s=self.now_s)
        if isinstance(decision, codes.CodeRefused):
            assert decision.revoke is None or self.code.used_s is not None
            self._revoke(decision.revoke)
            return multiple()
        assert presented is _ASKED
        self.code, self.begun = decision.code, self.begun + 1
        self.family = begin_family(
            _F,
            ALICE,
            client(),
            resource=R,
            scopes=self.code.scopes,
            now_s=self.now_s,
            lifetimes=_LIFETIMES,
        )
        made = issue(
            self.family,
            client(),
            resource=decision.resource,
            scopes=self.family.scopes,
            now_s=self.now_s,
            lifetimes=_LIFETIMES,
        )
        return self._made(made)

    @rule(
        target=reading_token,
        key=held,
        scope=st.sampled_from([None, "mcp", "mcp agent"]),
        resource=st.sampled_from([None, f"{R}/mcp", "https://other.example"]),
    )
    def read_token(self, key: bytes, scope: str | None, resource: str | None) -> object:
        return key, self.tokens[key], refreshing.RefreshRequest(scope, resource)

    @rule(target=held, reading=consumes(reading_token))
    def write_token(self, reading: tuple[bytes, RefreshToken, refreshing.RefreshRequest]) -> object:
        key, seen, asked = reading
        decision = self._refresh(seen, asked)
        if isinstance(decision, refreshing.Refreshed) and self.tokens[key] != decision.before:
            decision = self._refresh(self.tokens[key], asked)  # somebody was quicker
        stored = self.tokens[key]
        if isinstance(decision, refreshing.RefreshRefused):
            late = stored.rotated_s is not None and self.now_s - stored.rotated_s > 60.0
            assert decision.revoke is None or late
            self._revoke(decision.revoke)
            return multiple()
        assert self.family is not None
        assert self.family.is_live(self.now_s)
        assert stored.rotated_s is None or self.now_s - stored.rotated_s <= 60.0
        self.tokens[key] = decision.token
        self.given[key] += 1
        return self._made(decision.issue)

    @precondition(lambda self: self.family is not None)
    @rule(key=held)
    def a_thief_comes_late(self, key: bytes) -> None:
        stored = self.tokens[key]
        if stored.rotated_s is None or self.now_s - stored.rotated_s <= 60.0:
            return
        decision = self._refresh(stored, refreshing.RefreshRequest())
        assert isinstance(decision, refreshing.RefreshRefused)
        self._revoke(decision.revoke)
        assert self.family is not None
        assert not self.family.is_live(self.now_s)

    @invariant()
    def a_code_begins_one_family(self) -> None:
        assert self.begun <= 1

    @invariant()
    def a_token_gives_once_and_its_grace(self) -> None:
        assert all(times <= 1 + _LIFETIMES.grace_uses for times in self.given.values())

    @invariant()
    def nothing_lives_on_in_a_family_that_ended(self) -> None:
        if self.family is not None and not self.family.is_live(self.now_s):
            assert not any(is_live(token, self.family, self.now_s) for token in self.access)

    def _refresh(
        self, token: RefreshToken, asked: refreshing.RefreshRequest
    ) -> refreshing.Refreshed | refreshing.RefreshRefused:
        return refreshing.refresh(
            token, self.family, client(), asked, issuer=R, now_s=self.now_s, lifetimes=_LIFETIMES
        )

    def _made(self, made: Issue) -> bytes:
        assert self.family is not None
        assert set(made.scopes) <= {"mcp", "offline_access"}
        assert made.resource in (R, f"{R}/mcp")
        assert made.access_expires_s <= self.family.expires_s
        assert made.refresh_expires_s is not None
        assert made.refresh_expires_s <= self.family.expires_s
        key = b"%d" % len(self.tokens)
        self.tokens[key] = RefreshToken(hash=key, family=_F, expires_s=made.refresh_expires_s)
        self.given[key] = 0
        self.access.append(
            AccessToken(
                hash=key,
                family=_F,
                resource=made.resource,
                scopes=made.scopes,
                expires_s=made.access_expires_s,
            )
        )
        return key

    def _revoke(self, family: FamilyId | None) -> None:
        if family is not None and self.family is not None:
            self.family = revoked(self.family, self.now_s)


Grants.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestGrants = Grants.TestCase

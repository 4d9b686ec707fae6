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
    rule,
)

from mcptunnel.auth import codes, refreshing
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

_LIFETIMES = Lifetimes(access_s=100.0, refresh_idle_s=300.0, family_s=400.0, grace_uses=3)
_F = FamilyId("f")
Reading = tuple[bytes, RefreshToken, refreshing.RefreshRequest]
_ASKED = codes.CodeExchange(client_id="c", redirect_uri=WEB, verifier=VERIFIER)
_WRONG = (replace(_ASKED, client_id="d"), replace(_ASKED, verifier="w" * 43))


class Grants(RuleBasedStateMachine):
    """One code, exchanged by whoever of its readers is first, and everything that comes from it."""

    held = Bundle("held")
    reading_token = Bundle("reading_token")

    @initialize(target=held, readers=st.sampled_from([1, 1, 1, 2, 3]))
    def agree(self, readers: int) -> object:
        """Somebody agrees, and the code is read by everyone before anyone writes."""
        self.now_s = 0.0
        asked = request(scopes=("mcp", "offline_access"), resource=R)
        self.code = codes.new_code(b"h", _F, asked, ALICE, now_s=0.0, lifetimes=_LIFETIMES)
        self.family: Family | None = None
        self.tokens: dict[bytes, RefreshToken] = {}
        self.access: list[AccessToken] = []
        self.begun = 0
        self.given: dict[bytes, int] = {}
        seen = self.code
        made = [self.write_code(seen) for _ in range(readers)]
        assert made[1:] == [None] * (readers - 1)
        assert readers == 1 or not self._live().is_live(self.now_s)
        return made[0]

    @rule(often=st.integers(0, 20))
    def replay_the_code(self, often: int) -> None:
        if often == 0:  # seldom: it ends everything
            assert self.write_code(self.code) is None
            assert not self._live().is_live(self.now_s)

    @rule(presented=st.sampled_from(_WRONG))
    def present_the_code_wrongly(self, presented: codes.CodeExchange) -> None:
        decision = codes.exchange(self.code, presented, issuer=R, now_s=self.now_s)
        assert isinstance(decision, codes.CodeRefused)
        assert decision.revoke is None

    def write_code(self, seen: codes.AuthorizationCode) -> bytes | None:
        decision = codes.exchange(seen, _ASKED, issuer=R, now_s=self.now_s)
        if isinstance(decision, codes.CodeAccepted) and self.code.used_s is not None:
            decision = codes.exchange(self.code, _ASKED, issuer=R, now_s=self.now_s)
        if isinstance(decision, codes.CodeRefused):
            self._revoke(decision.revoke)
            return None
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

    @rule(seconds=st.sampled_from([0.5, 30.0, 59.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(
        target=reading_token,
        key=held,
        scope=st.sampled_from([None, "mcp", "mcp agent"]),
        resource=st.sampled_from([None, f"{R}/mcp", "https://other.example"]),
    )
    def read_token(self, key: bytes, scope: str | None, resource: str | None) -> object:
        return key, self.tokens[key], refreshing.RefreshRequest(scope, resource)

    @rule(target=held, reading=consumes(reading_token))
    def write_token(self, reading: Reading) -> object:
        made = self.write_now(reading)
        return multiple() if made is None else made

    def write_now(self, reading: Reading) -> bytes | None:
        key, seen, asked = reading
        decision = self._refresh(seen, asked)
        if isinstance(decision, refreshing.Refreshed) and self.tokens[key] != decision.before:
            decision = self._refresh(self.tokens[key], asked)  # somebody was quicker
        stored = self.tokens[key]
        if isinstance(decision, refreshing.RefreshRefused):
            late = stored.rotated_s is not None and self.now_s - stored.rotated_s > 60.0
            assert decision.revoke is None or late
            self._revoke(decision.revoke)
            return None
        assert self._live().is_live(self.now_s)
        assert stored.rotated_s is None or self.now_s - stored.rotated_s <= 60.0
        self.tokens[key] = decision.token
        self.given[key] += 1
        return self._made(decision.issue)

    @rule(target=held, key=held, times=st.integers(1, 6))
    def refresh_in_parallel(self, key: bytes, times: int) -> object:
        """Many calls with one token, none of them between reading and writing of another."""
        asked = refreshing.RefreshRequest()
        made = [self.write_now((key, self.tokens[key], asked)) for _ in range(times)]
        return multiple(*(one for one in made if one is not None))

    @rule(key=held)
    def a_thief_comes_late(self, key: bytes) -> None:
        """A token that was used, and is presented after its grace, ends everything."""
        if self.tokens[key].rotated_s is None:
            self.write_now((key, self.tokens[key], refreshing.RefreshRequest()))
        self.now_s += 60.5
        if self.tokens[key].rotated_s is not None:
            assert self.write_now((key, self.tokens[key], refreshing.RefreshRequest())) is None
            assert not self._live().is_live(self.now_s)

    @invariant()
    def a_code_begins_one_family(self) -> None:
        assert self.begun <= 1

    @invariant()
    def a_token_gives_once_and_its_grace(self) -> None:
        assert all(times <= 1 + _LIFETIMES.grace_uses for times in self.given.values())

    @invariant()
    def no_token_outlives_its_family(self) -> None:
        for token in self.access:
            assert token.family == self._live().id
            assert token.expires_s <= self._live().expires_s

    def _live(self) -> Family:
        assert self.family is not None
        return self.family

    def _refresh(
        self, token: RefreshToken, asked: refreshing.RefreshRequest
    ) -> refreshing.Refreshed | refreshing.RefreshRefused:
        return refreshing.refresh(
            token, self.family, client(), asked, issuer=R, now_s=self.now_s, lifetimes=_LIFETIMES
        )

    def _made(self, made: Issue) -> bytes:
        family = self._live()
        assert set(made.scopes) <= {"mcp", "offline_access"}
        assert made.resource in (R, f"{R}/mcp")
        assert made.access_expires_s <= family.expires_s
        assert made.refresh_expires_s is not None
        assert made.refresh_expires_s <= family.expires_s
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


Grants.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestGrants = Grants.TestCase

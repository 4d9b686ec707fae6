"""Codes, families and tokens against a model in dictionaries, in any order of events."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.codes import AuthCodes, CodeTaken, CodeUsed
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.refresh import (
    AlreadyRotated,
    NotRotated,
    RefreshTokens,
    Rotated,
    Successor,
)
from mcptunnel.store.schema import metadata
from tests.store.samples import ALICE, BOB, access_token, auth_code, digest, family

_LIFE_S, _TOKEN_S, _ACCESS_S, _GRACE_S, _REUSES = 300.0, 100.0, 20.0, 5.0, 2
_numbers = st.integers(0, 7)


class Grants(RuleBasedStateMachine):
    """The token endpoint's transactions, as they are made of the store's operations."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = create_engine("sqlite://", poolclass=StaticPool)
        self.connection: Connection = self.engine.connect()
        metadata.create_all(self.connection)
        self.now_s = 1.0
        self.codes: dict[str, dict[str, Any]] = {}
        self.families: dict[str, dict[str, Any]] = {}
        self.refresh: dict[str, dict[str, Any]] = {}
        self.access: dict[str, tuple[str, float]] = {}

    def teardown(self) -> None:
        self.connection.close()
        self.engine.dispose()

    def _lives(self, name: str) -> bool:
        family = self.families[name]
        return not family["revoked"] and self.now_s < family["expires_s"]

    def _pick(self, known: dict[str, Any], number: int) -> str:
        return list(known)[number % len(known)] if known else "nothing"

    def _issue(self, name: str) -> Successor:
        """Note the next refresh token in the model, and issue an access token with it."""
        secret = f"rt{len(self.refresh)}"
        expires_s = self.now_s + _TOKEN_S
        self.refresh[secret] = {
            "family": name,
            "expires_s": expires_s,
            "rotated_s": None,
            "reuses": 0,
        }
        self._issue_access(name)
        return Successor(token_hash=digest(secret), expires_s=expires_s)

    def _issue_access(self, name: str) -> None:
        secret, expires_s = f"at{len(self.access)}", self.now_s + _ACCESS_S
        AccessTokens(self.connection).add(access_token(secret, name, expires_s=expires_s))
        self.access[secret] = (name, expires_s)

    @rule(seconds=st.sampled_from([0.5, 4.0, 20.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(principal=st.sampled_from([ALICE, BOB]))
    def consent(self, principal: Any) -> None:
        number = len(self.codes)
        AuthCodes(self.connection).add(auth_code(f"ac{number}", f"f{number}", principal))
        self.codes[f"ac{number}"] = {"family": f"f{number}", "used": False, "of": principal}

    @rule(number=_numbers)
    def exchange(self, number: int) -> None:
        secret = self._pick(self.codes, number)
        code = self.codes.get(secret)
        got = AuthCodes(self.connection).take(digest(secret), self.now_s)
        if code is not None and code["used"]:
            assert isinstance(got, CodeUsed)
            revoked = Families(self.connection).revoke(
                got.code.family_id, now_s=self.now_s, reason="replay"
            )
            assert (revoked is None) == self.families[code["family"]]["revoked"]
            self.families[code["family"]]["revoked"] = True
        elif code is None or self.now_s >= 61.0:
            assert got is None
        else:
            assert isinstance(got, CodeTaken)
            name, expires_s = got.code.family_id, self.now_s + _LIFE_S
            assert (name, got.code.principal) == (code["family"], code["of"])
            code["used"] = True
            self.families[name] = {"revoked": False, "expires_s": expires_s, "of": code["of"]}
            Families(self.connection).add(family(name, code["of"], expires_s=expires_s))
            RefreshTokens(self.connection).add(name, self._issue(name), self.now_s)

    @rule(number=_numbers)
    def rotate(self, number: int) -> None:
        secret = self._pick(self.refresh, number)
        token = self.refresh.get(secret)
        successor = Successor(token_hash=digest(f"new {len(self.refresh)}"), expires_s=0.0)
        good = token is not None and self._lives(token["family"])
        good = good and token is not None and self.now_s < token["expires_s"]
        if good and token is not None and token["rotated_s"] is None:
            successor = self._issue(token["family"])
        got = RefreshTokens(self.connection).rotate(digest(secret), successor, self.now_s)
        if token is None:
            assert got is NotRotated.UNKNOWN
        elif self.families[token["family"]]["revoked"]:
            assert got is NotRotated.REVOKED
        elif not good:
            assert got is NotRotated.EXPIRED
        elif token["rotated_s"] is None:
            assert isinstance(got, Rotated)
            token["rotated_s"] = self.now_s
        else:
            assert isinstance(got, AlreadyRotated)
            assert (got.rotated_s, got.reuses) == (token["rotated_s"], token["reuses"])
            assert got.family.id == token["family"]

    @rule(number=_numbers)
    def reuse(self, number: int) -> None:
        secret = self._pick(self.refresh, number)
        token = self.refresh.get(secret)
        since_s = self.now_s - _GRACE_S
        good = (
            token is not None
            and self._lives(token["family"])
            and self.now_s < token["expires_s"]
            and token["rotated_s"] is not None
            and token["rotated_s"] >= since_s
            and token["reuses"] < _REUSES
        )
        successor = Successor(token_hash=digest(f"no {len(self.refresh)}"), expires_s=0.0)
        if good and token is not None:
            successor = self._issue(token["family"])
            token["reuses"] += 1
        got = RefreshTokens(self.connection).reuse(
            digest(secret),
            successor,
            rotated_since_s=since_s,
            at_most=_REUSES,
            now_s=self.now_s,
        )
        assert (got is not None) == good

    @rule(principal=st.sampled_from([ALICE, BOB]))
    def sign_out(self, principal: Any) -> None:
        told = Families(self.connection).revoke_all(
            principal=principal, now_s=self.now_s, reason="gone"
        )
        ended = [
            name
            for name, one in self.families.items()
            if one["of"] == principal and not one["revoked"]
        ]
        assert [one.id for one in told] == sorted(ended)
        for name in ended:
            self.families[name]["revoked"] = True

    @invariant()
    def just_the_living_are_found(self) -> None:
        tokens = AccessTokens(self.connection)
        for secret, (name, expires_s) in self.access.items():
            found = tokens.find(digest(secret), self.now_s)
            assert (found is not None) == (self._lives(name) and self.now_s < expires_s)
            assert found is None or found.principal == self.families[name]["of"]
        living = {one.id for one in Families(self.connection).list(self.now_s)}
        assert living == {name for name in self.families if self._lives(name)}


TestGrants = Grants.TestCase
TestGrants.settings = settings(max_examples=40, stateful_step_count=30)

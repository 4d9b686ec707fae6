"""A code that is typed elsewhere (RFC 8628), with a relay in memory and a clock of the test's."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.sign_in.answers import DeviceCodes, NoSignInError, read_metadata
from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer
from mcptunnel.agent.sign_in.by_code import sign_in_by_code
from mcptunnel.agent.sign_in.grant import Tokens
from mcptunnel.agent.sign_in.in_browser import SignInFailedError
from mcptunnel.net.http import FetchError
from tests.agent import done, error_of
from tests.agent.sign_in import (
    RELAY,
    FakeFetches,
    answered,
    metadata,
    refusal,
    token_answer,
    tokens,
)
from tests.agent.sign_in.test_answers import TestDeviceCodes, raw

BEGUN = answered(TestDeviceCodes.WHOLE)
PENDING = refusal("authorization_pending")
GIVEN = answered(token_answer(2))


class Bench:
    """A sign-in by code, and when the relay was asked for tokens."""

    def __init__(self, *answers: Any) -> None:
        self.clock = Clock()
        self.fetches = FakeFetches(*answers)
        self.shown: list[DeviceCodes] = []
        server = read_metadata(RELAY, 200, raw(metadata()))
        self.signing_in: Deferred[Tokens] = Deferred.fromCoroutine(
            sign_in_by_code(
                self.clock,
                AuthorizationServer(RELAY, self.fetches),
                server,
                device_name="laptop",
                host_name="laptop.lan",
                show=self.shown.append,
            )
        )

    def polls_s(self, until_s: float) -> list[float]:
        """Pass time up to a moment; return when the relay was asked for tokens."""
        polls: list[float] = []
        while self.clock.seconds() < until_s and not done(self.signing_in):
            known = len(self.fetches.asked)
            self.clock.advance(0.5)
            if len(self.fetches.asked) > known:
                polls.append(self.clock.seconds())
        return polls

    def failure(self) -> str:
        failed = error_of(self.signing_in)
        assert isinstance(failed, SignInFailedError)
        return str(failed)

    def result(self) -> Tokens:
        got: list[Tokens] = []
        self.signing_in.addCallback(got.append)
        return got[0]


def test_a_person_types_the_code() -> None:
    """It is shown, and the relay is asked every five seconds, not before."""
    bench = Bench(BEGUN, PENDING, PENDING, GIVEN)
    assert [codes.user_code for codes in bench.shown] == ["BCDF-GHJK"]
    assert bench.polls_s(60) == [5, 10, 15]
    assert bench.result() == tokens(2)


def test_it_slows_down_when_told_and_stays_slow() -> None:
    bench = Bench(BEGUN, PENDING, refusal("slow_down"), PENDING, refusal("slow_down"), GIVEN)
    assert bench.polls_s(100) == [5, 10, 20, 30, 45]
    assert bench.result() == tokens(2)


def test_a_relay_that_is_away_is_asked_more_rarely_and_not_given_up() -> None:
    """Down, overloaded, restarted: the person's decision still counts (RFC 8628, 3.5)."""
    down, busy = FetchError("no"), answered(b"", 429, retry_after_s=100.0)
    bench = Bench(BEGUN, down, answered(b"", 503), busy, PENDING, GIVEN)
    assert bench.polls_s(600) == [5, 15, 35, 135, 235]
    assert bench.result() == tokens(2)


def test_who_wants_to_be_left_alone_for_longer_than_the_code_lives_is_asked_all_the_same() -> None:
    """A page for maintenance says an hour; what the person decides in the meantime would be lost."""
    bench = Bench(BEGUN, answered(b"", 503, retry_after_s=3600.0), GIVEN)
    assert bench.polls_s(600) == [5, 15]
    assert bench.result() == tokens(2)


def test_when_nobody_decides_it_ends_with_the_code() -> None:
    """By our own clock, too, if the relay does not say it."""
    bench = Bench(BEGUN, PENDING)
    assert bench.polls_s(700)[-1] < 600
    assert bench.failure() == "Nobody typed the code in time"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusal("expired_token"), "Nobody typed the code in time"),
        (refusal("access_denied"), "You did not allow it"),
        (refusal("invalid_grant", "Used up."), "The relay refused: Used up"),
    ],
)
def test_a_verdict_ends_it(answer: Any, said: str) -> None:
    bench = Bench(BEGUN, PENDING, answer)
    assert bench.polls_s(60) == [5, 10]
    assert bench.failure() == said


def test_ctrl_c_ends_it() -> None:
    bench = Bench(BEGUN, PENDING)
    bench.signing_in.cancel()
    assert isinstance(error_of(bench.signing_in), CancelledError)
    assert not bench.clock.getDelayedCalls()


def test_a_relay_that_gives_no_codes() -> None:
    refused = Bench(refusal("unauthorized_client", "No codes here"))
    assert refused.failure() == "The relay refused: No codes here"
    assert not refused.shown


def test_a_relay_without_that_page() -> None:
    clock, fetches = Clock(), FakeFetches(BEGUN)
    members = metadata()
    del members["device_authorization_endpoint"]
    failed = Deferred.fromCoroutine(
        sign_in_by_code(
            clock,
            AuthorizationServer(RELAY, fetches),
            read_metadata(RELAY, 200, raw(members)),
            device_name="laptop",
            host_name="laptop.lan",
            show=lambda _codes: None,
        )
    )
    assert isinstance(error_of(failed), NoSignInError)
    assert fetches.asked == []

"""An agent's sign-in over the hours: good before every attempt, given up only for a verdict."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.credential import NotRenewedError, Refused
from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer
from mcptunnel.agent.sign_in.bearer import LOOK_EVERY_S, NEW_S, STOP_WAIT_S, SignedIn
from mcptunnel.agent.sign_in.kept import KeptGrant, KeptGrantError
from mcptunnel.agent.sign_in.renewal import Renewal
from mcptunnel.net.errors import UpgradeRefused
from mcptunnel.net.http import Fetched, FetchError
from mcptunnel.wire.constants import ErrorCode
from tests.agent import done, error_of
from tests.agent.sign_in import (
    RELAY,
    FakeFetches,
    access,
    answered,
    grant,
    refresh,
    refusal,
    token_answer,
)
from tests.conftest import Log

AGAIN = f"Sign in again: mcptunnel login {RELAY}"


class Bench:
    """A signed-in agent; its grant is good for an hour from the start on."""

    def __init__(self, folder: Path, *answers: Any) -> None:
        self.clock = Clock()
        self.kept = KeptGrant(RELAY, folder)
        self.kept.write(grant())
        self.fetches = FakeFetches(*answers)
        self.refusals: list[Refused] = []
        self.disk_fails = False
        renewal = Renewal(
            self.clock,
            self.kept,
            AuthorizationServer(RELAY, self.fetches),
            epoch_s=self.clock.seconds,
            in_thread=self._in_thread,
        )
        self.signed_in = SignedIn(
            self.clock, RELAY, renewal, self.fetches, epoch_s=self.clock.seconds
        )

    async def _in_thread(self, work: Callable[[], None]) -> None:
        if self.disk_fails:
            raise KeptGrantError("the disk is full", "Make room.")
        work()

    def start(self) -> "Bench":
        self.signed_in.start(self.refusals.append)
        return self

    def asking(self) -> "Deferred[str]":
        return Deferred.fromCoroutine(self.signed_in.bearer())

    def bearer(self) -> str:
        got: list[str] = []
        asking = self.asking()
        asking.addCallback(got.append)
        assert got, error_of(asking)
        return got[0]

    def wait(self, seconds: float, step_s: float = 30.0) -> None:
        self.clock.pump([step_s] * int(seconds / step_s))

    def stop(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self.signed_in.stop())


def test_a_good_token_is_used_without_asking_the_relay(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.bearer() == access(1)
    bench.clock.advance(3299)
    assert bench.bearer() == access(1)


def test_it_is_renewed_ahead_of_its_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.clock.advance(3300)
    assert bench.bearer() == access(2)
    assert bench.kept.read() == grant(number=2, received_s=3300)


def test_what_another_program_renewed_is_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.clock.advance(4000)
    bench.kept.write(grant(number=8, received_s=3999))
    assert bench.bearer() == access(8)


def test_while_the_relay_cannot_be_asked_a_token_is_used_to_its_end(
    tmp_path: Path, log: Log
) -> None:
    bench = Bench(tmp_path, FetchError("relay.test:443: no answer in time"))
    bench.clock.advance(3599)
    assert bench.bearer() == access(1)
    bench.clock.advance(1)
    failed = error_of(bench.asking())
    assert isinstance(failed, NotRenewedError)
    assert str(failed) == "relay.test:443: no answer in time"
    assert "cannot renew the sign-in: relay.test:443: no answer in time. Trying again." in log


def test_callers_share_one_renewal_and_its_end_is_not_theirs(tmp_path: Path) -> None:
    """Who goes away, such as an attempt that is cancelled, does not lose the answer."""
    answer: Deferred[Fetched] = Deferred()
    bench = Bench(tmp_path, answer)
    bench.clock.advance(4000)
    gone, waiting = bench.asking(), bench.asking()
    gone.cancel()
    error_of(gone)
    assert len(bench.fetches.asked) == 1
    answer.callback(answered(token_answer(2)))
    assert done(waiting)
    assert bench.kept.read() == grant(number=2, received_s=4000)


def test_a_link_that_is_up_for_days_keeps_the_grant_alive(tmp_path: Path) -> None:
    """Nobody dials; the relay forgets refresh tokens that nobody uses."""
    bench = Bench(tmp_path)
    bench.fetches.answers = [answered(token_answer(number)) for number in range(2, 90)]
    bench.start()
    bench.wait(86_400)
    assert 24 <= len(bench.fetches.asked) <= 28
    assert len({form["refresh_token"] for _, form in bench.fetches.asked}) == len(
        bench.fetches.asked
    )
    bench.stop()


def test_a_relay_that_is_down_for_an_hour_is_not_given_up(tmp_path: Path, log: Log) -> None:
    """Nobody is bothered, one line is logged, and when it is back all is well."""
    bench = Bench(tmp_path, FetchError("relay.test:443: nothing listens there")).start()
    bench.wait(3600 + 3600)
    assert bench.refusals == []
    assert isinstance(error_of(bench.asking()), NotRenewedError)
    assert len(log.levels("cannot renew the sign-in")) == 1
    bench.fetches.answers = [answered(b"", 503), answered(token_answer(2))]
    bench.wait(2 * LOOK_EVERY_S)
    assert bench.bearer() == access(2)
    assert bench.refusals == []
    bench.stop()


def test_a_grant_that_is_over_is_told_while_the_link_is_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, refusal("invalid_grant")).start()
    bench.wait(3600)
    (told,) = bench.refusals
    assert str(told).endswith(AGAIN)
    bench.stop()
    assert not bench.clock.getDelayedCalls()


def test_a_file_that_cannot_be_read_now_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    """The program has too many open files for a while, or the user's home is away."""
    bench = Bench(tmp_path).start()
    bench.bearer()

    def fails(*_arguments: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as trouble:
        trouble.setattr(os, "open", fails)
        assert isinstance(error_of(bench.asking()), NotRenewedError)
        assert bench.signed_in.refuse()
        bench.wait(180)
    assert bench.refusals == []
    assert log.count("Too many open files") == 1
    assert bench.bearer() == access(1)


def test_what_could_not_be_kept_is_written_soon(tmp_path: Path) -> None:
    """Within a minute, while the relay still takes the old token."""
    bench = Bench(tmp_path, answered(token_answer(2))).start()
    bench.disk_fails = True
    bench.clock.advance(4000)
    assert bench.bearer() == access(2)
    assert bench.kept.read() == grant()
    bench.disk_fails = False
    bench.wait(60)
    assert bench.kept.read() == grant(number=2, received_s=4000)


class TestRefused:
    """The relay refused the last token: is there another?"""

    def test_an_old_token_is_renewed(self, tmp_path: Path) -> None:
        """The relay's clock, or another node of it, may know better than ours."""
        bench = Bench(tmp_path, answered(token_answer(2)))
        assert bench.bearer() == access(1)
        assert bench.signed_in.refuse()
        assert bench.bearer() == access(2)

    def test_a_token_that_is_new_is_not(self, tmp_path: Path) -> None:
        """So nothing goes in circles."""
        bench = Bench(tmp_path, answered(token_answer(2)), answered(token_answer(3)))
        bench.bearer()
        bench.signed_in.refuse()
        bench.bearer()
        bench.clock.advance(NEW_S - 1)
        assert not bench.signed_in.refuse()
        bench.clock.advance(1)
        assert bench.signed_in.refuse()
        assert bench.bearer() == access(3)

    def test_a_refused_token_is_not_used_while_the_relay_cannot_be_asked(
        self, tmp_path: Path
    ) -> None:
        bench = Bench(tmp_path, answered(b"", 503), answered(token_answer(2)))
        bench.bearer()
        assert bench.signed_in.refuse()
        assert isinstance(error_of(bench.asking()), NotRenewedError)
        assert bench.bearer() == access(2)

    def test_a_revoked_grant_is_over(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, refusal("invalid_grant"))
        bench.bearer()
        assert bench.signed_in.refuse()
        failed = error_of(bench.asking())
        assert isinstance(failed, Refused)
        assert str(failed).endswith(AGAIN)

    def test_a_new_sign_in_is_found(self, tmp_path: Path) -> None:
        """A person signed in again, which ended the old grant, while the agent ran."""
        bench = Bench(tmp_path)
        bench.bearer()
        bench.kept.write(grant(number=9))
        assert bench.signed_in.refuse()
        assert bench.bearer() == access(9)
        assert bench.fetches.asked == []

    def test_a_removed_sign_in_is_told(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path)
        bench.bearer()
        bench.kept.remove()
        assert bench.signed_in.refuse()
        assert "Nobody is signed in any more" in str(error_of(bench.asking()))

    def test_without_an_attempt_there_is_nothing_to_refuse(self, tmp_path: Path) -> None:
        assert not Bench(tmp_path).signed_in.refuse()

    def test_what_is_told(self, tmp_path: Path) -> None:
        signed_in = Bench(tmp_path).signed_in
        refused = signed_in.refused_words(UpgradeRefused(403, None, "no agents today"))
        assert refused == (
            f"The relay refused this agent's sign-in (HTTP 403): no agents today. {AGAIN}"
        )
        revoked = signed_in.ended_words(ErrorCode.REVOKED)
        assert revoked == f"The sign-in of this agent was revoked. {AGAIN}"
        assert signed_in.ended_words(ErrorCode.UNAUTHORIZED).endswith(AGAIN)
        of_device = signed_in.ended_words(ErrorCode.DEVICE_REVOKED)
        assert of_device == f"This device was revoked at the relay. {AGAIN}"


class TestStop:
    def test_a_renewal_that_goes_on_comes_to_its_end(self, tmp_path: Path) -> None:
        """Its answer would be lost otherwise, and, a minute later, the grant with it."""
        answer: Deferred[Fetched] = Deferred()
        bench = Bench(tmp_path, answer).start()
        bench.clock.advance(4000)
        stopping = bench.stop()
        assert not done(stopping)
        answer.callback(answered(token_answer(2)))
        bench.clock.advance(0.1)
        assert done(stopping)
        assert bench.fetches.is_stopped
        assert bench.kept.read() == grant(number=2, received_s=4000)
        assert not bench.clock.getDelayedCalls()

    def test_but_not_for_long(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, Deferred())
        bench.clock.advance(4000)
        asking = bench.asking()
        stopping = bench.stop()
        bench.clock.pump([0.1] * int(10 * STOP_WAIT_S + 1))
        assert done(stopping)
        error_of(asking)
        assert bench.kept.lock().try_acquire()
        assert not bench.clock.getDelayedCalls()

    def test_before_anything(self, tmp_path: Path) -> None:
        assert done(Bench(tmp_path).stop())


def test_the_file_has_the_newest_refresh_token(tmp_path: Path) -> None:
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.clock.advance(3400)
    bench.bearer()
    assert refresh(2).encode() in bench.kept.path.read_bytes()

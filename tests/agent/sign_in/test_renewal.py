"""Renewing a sign-in: once for all programs that share it, and without ever losing it."""

import json
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import Site

from mcptunnel.agent.credential import NotRenewedError, Refused
from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer
from mcptunnel.agent.sign_in.grant import Grant
from mcptunnel.agent.sign_in.kept import KeptGrant, KeptGrantError
from mcptunnel.agent.sign_in.renewal import LOCK_WAIT_S, Renewal, acquire
from mcptunnel.auth.agent_client import AGENT_CLIENT
from mcptunnel.auth.grants import Family, FamilyId, Lifetimes, RefreshToken
from mcptunnel.auth.issuer import parse_issuer
from mcptunnel.auth.refreshing import Refreshed, RefreshRefused, RefreshRequest
from mcptunnel.auth.refreshing import refresh as decide
from mcptunnel.model import Principal
from mcptunnel.net.http import Fetched, FetchError
from tests.agent import done, error_of, in_reactor, the_reactor, until
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
from tests.programs.process import environment


class Bench:
    """A grant in a file that is renewed by a relay in memory, in a clock of the test's."""

    def __init__(self, folder: Path, *answers: Any) -> None:
        self.clock = Clock()
        self.kept = KeptGrant(RELAY, folder)
        self.kept.write(grant())
        self.fetches = FakeFetches(*answers)
        self.renewal = self.another()
        self.disk_fails = False

    def another(self) -> Renewal:
        """Return what another program has."""
        return Renewal(
            self.clock,
            KeptGrant(RELAY, self.kept.folder),
            AuthorizationServer(RELAY, self.fetches),
            epoch_s=self.clock.seconds,
            in_thread=self._in_thread,
        )

    async def _in_thread(self, work: Callable[[], None]) -> None:
        if self.disk_fails:
            raise KeptGrantError("the disk is full", "Make room.")
        work()

    def renew(self, old: Grant | None = None, renewal: Renewal | None = None) -> "Deferred[Grant]":
        """Renew what is as good as `old`, by default the first grant."""
        bad = old or grant()
        renewing = (renewal or self.renewal).renew(lambda one: one.access_token != bad.access_token)
        return Deferred.fromCoroutine(renewing)


def result(deferred: "Deferred[Grant]") -> Grant:
    got: list[Grant] = []

    def took(one: Grant) -> Grant:
        got.append(one)
        return one

    deferred.addCallback(took)
    assert got
    return got[0]


def work(coroutine: Coroutine[Any, Any, None]) -> None:
    """Let a coroutine come to its end, which it does at once."""
    assert done(Deferred.fromCoroutine(coroutine))


def test_a_grant_is_renewed_and_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.clock.advance(77)
    assert result(bench.renew()) == grant(number=2, received_s=77)
    assert bench.kept.read() == grant(number=2, received_s=77)
    assert [form["refresh_token"] for _, form in bench.fetches.asked] == [refresh(1)]
    assert bench.kept.lock().try_acquire(), "it is free again"


def test_of_two_programs_one_asks(tmp_path: Path) -> None:
    """The other waits for the lock, and finds what the first one got."""
    answer: Deferred[Fetched] = Deferred()
    bench = Bench(tmp_path, answer)
    first = bench.renew()
    second = bench.renew(renewal=bench.another())
    bench.clock.advance(1)
    assert not done(second)
    answer.callback(answered(token_answer(2)))
    assert result(first).access_token.reveal() == access(2)
    bench.clock.advance(1)
    assert result(second) == result(first)
    assert len(bench.fetches.asked) == 1


def test_a_program_that_never_lets_go_is_not_waited_for_without_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, answered(token_answer(2)))
    lock = bench.kept.lock()
    assert lock.try_acquire()
    renewing = bench.renew()
    bench.clock.pump([1.0] * int(LOCK_WAIT_S + 1))
    assert isinstance(error_of(renewing), NotRenewedError)
    lock.release()
    assert bench.fetches.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        FetchError("relay.test:443: nothing listens there, the connection was refused"),
        FetchError("no answer within 20 s"),
        answered(b"", 500),
        answered(b"<html>", 502),
        answered(b"", 503, retry_after_s=9.0),
        answered({"error": "invalid_grant"}, 429, retry_after_s=9.0),
        answered(b"<html>Accept our terms</html>"),
    ],
)
def test_a_relay_that_cannot_be_asked_changes_nothing(tmp_path: Path, answer: Any) -> None:
    """Down, slow, overloaded, behind a captive portal: not now is not never."""
    bench = Bench(tmp_path, answer)
    failed = error_of(bench.renew())
    assert isinstance(failed, NotRenewedError)
    wanted_s = getattr(answer, "retry_after_s", None)
    assert failed.retry_after_s == wanted_s
    assert bench.kept.read() == grant()
    assert bench.kept.lock().try_acquire()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            refusal("invalid_grant", "x"),
            "The sign-in of this agent is over: it was revoked, or too",
        ),
        (
            refusal("invalid_client", "Who?"),
            "The relay does not renew the sign-in of this agent: Who",
        ),
    ],
)
def test_a_grant_that_is_over_says_what_to_do(tmp_path: Path, answer: Any, said: str) -> None:
    bench = Bench(tmp_path, answer)
    failed = error_of(bench.renew())
    assert isinstance(failed, Refused)
    assert said in str(failed)
    assert str(failed).endswith(f"Sign in again: mcptunnel login {RELAY}")
    assert "mcpt_" not in str(failed)
    assert bench.kept.lock().try_acquire()


def test_after_a_refusal_the_file_is_read_once_more(tmp_path: Path) -> None:
    """Where locks do not hold, as on some network file systems, another program was quicker."""
    bench = Bench(tmp_path)

    def quicker(_form: Mapping[str, str]) -> Fetched:
        bench.kept.write(grant(number=5))
        return refusal("invalid_grant")

    bench.fetches.answers = [quicker]
    assert result(bench.renew()) == grant(number=5)
    assert len(bench.fetches.asked) == 1


def test_a_sign_in_that_was_removed_is_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.kept.remove()
    failed = error_of(bench.renew())
    assert isinstance(failed, Refused)
    assert str(failed).startswith("Nobody is signed in any more. Sign in again: ")
    assert bench.fetches.asked == []


def test_a_sign_in_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.kept.path.chmod(0o644)
    failed = error_of(bench.renew())
    assert isinstance(failed, Refused)
    assert "can be read by others. Run: chmod 600" in str(failed)


def test_without_room_on_the_disk_the_new_tokens_are_used_all_the_same(
    tmp_path: Path, log: Log
) -> None:
    """They are lost with the process alone; the next renewal keeps what it gets."""
    bench = Bench(tmp_path, answered(token_answer(2)), answered(token_answer(3)))
    bench.disk_fails = True
    assert result(bench.renew()) == grant(number=2)
    assert bench.renewal.read() == grant(number=2)
    assert bench.kept.read() == grant()
    assert "the renewed sign-in cannot be kept: the disk is full. Make room." in log
    bench.disk_fails = False
    assert result(bench.renew(grant(number=2))) == grant(number=3)
    assert bench.kept.read() == grant(number=3)
    assert [form["refresh_token"] for _, form in bench.fetches.asked] == [refresh(1), refresh(2)]
    assert "mcpt_" not in log


def test_what_could_not_be_kept_is_written_when_there_is_room(tmp_path: Path, log: Log) -> None:
    """Long before the next renewal: what is in memory alone is lost with the program."""
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.disk_fails = True
    bench.renew()
    work(bench.renewal.keep())
    assert bench.kept.read() == grant()
    bench.disk_fails = False
    busy = bench.kept.lock()
    assert busy.try_acquire()
    work(bench.renewal.keep())
    assert bench.kept.read() == grant()
    busy.release()
    work(bench.renewal.keep())
    assert bench.kept.read() == grant(number=2)
    assert bench.renewal.read() == grant(number=2)
    assert log.count("cannot be kept") == 1
    assert bench.kept.lock().try_acquire()


def test_a_new_sign_in_is_not_written_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.disk_fails = True
    bench.renew()
    bench.disk_fails = False
    bench.kept.write(grant(number=7))
    work(bench.renewal.keep())
    assert bench.kept.read() == grant(number=7)


def test_a_disk_that_fails_altogether_does_not_lose_the_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither written nor read: they are used, and kept when it is well again."""
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.disk_fails = True
    read, reads = bench.kept.read, [0]

    def fails_later(_kept: KeptGrant, *, private: bool = True) -> Grant | None:
        reads[0] += 1
        if reads[0] > 1:
            raise KeptGrantError("x", "y", is_passing=True)
        return read(private=private)

    monkeypatch.setattr(KeptGrant, "read", fails_later)
    assert result(bench.renew()) == grant(number=2)
    assert isinstance(error_of(bench.renew(grant(number=2))), NotRenewedError)
    monkeypatch.undo()
    assert bench.renewal.read() == grant(number=2)


def test_a_new_sign_in_goes_before_what_could_not_be_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, answered(token_answer(2)))
    bench.disk_fails = True
    bench.renew()
    bench.kept.write(grant(number=7))
    assert bench.renewal.read() == grant(number=7)


def test_a_folder_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "folder", answered(token_answer(2)))
    bench.kept.path.with_suffix(".lock").mkdir()
    failed = error_of(bench.renew())
    assert isinstance(failed, NotRenewedError)
    assert "cannot be locked: Is a directory" in str(failed)


def test_a_lock_is_taken_when_it_is_free(tmp_path: Path) -> None:
    clock, kept = Clock(), KeptGrant(RELAY, tmp_path)
    held, wanted = kept.lock(), kept.lock()
    assert held.try_acquire()
    taking = Deferred.fromCoroutine(acquire(clock, wanted, wait_s=5))
    clock.advance(1)
    assert not done(taking)
    held.release()
    clock.advance(1)
    assert done(taking)
    wanted.release()


class RealFamily:
    """A relay's decisions about refresh tokens, which are those of the real one (`auth.refreshing`)."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.family = Family(
            id=FamilyId("f"),
            principal=Principal("local", "ada"),
            client_id=AGENT_CLIENT.id,
            resource=f"{RELAY}/tunnel",
            scopes=("agent", "offline_access"),
            created_s=0.0,
            expires_s=1e9,
        )
        self.tokens = {1: self._token(1)}
        self.newest = 1

    def _token(self, number: int) -> RefreshToken:
        return RefreshToken(hash=bytes([number]), family=self.family.id, expires_s=1e9)

    def __call__(self, form: Mapping[str, str]) -> Fetched:
        number = next(one for one in self.tokens if refresh(one) == form["refresh_token"])
        told = decide(
            self.tokens[number],
            self.family,
            AGENT_CLIENT,
            RefreshRequest(resource=form["resource"]),
            issuer=parse_issuer(RELAY),
            now_s=self.clock.seconds(),
            lifetimes=Lifetimes(),
        )
        if isinstance(told, RefreshRefused):
            return refusal(told.error.code.value)
        assert isinstance(told, Refreshed)
        self.tokens[number] = told.token
        self.newest += 1
        self.tokens[self.newest] = self._token(self.newest)
        return answered(token_answer(self.newest))


def test_a_crash_between_answer_and_file_is_made_good_by_the_relays_grace(tmp_path: Path) -> None:
    """The old token, presented again within a minute, still gives new ones."""
    bench = Bench(tmp_path)
    relay = RealFamily(bench.clock)
    bench.fetches.answers = [relay]
    bench.disk_fails = True  # what is not written when a process dies
    assert result(bench.renew()) == grant(number=2)
    bench.disk_fails = False
    bench.clock.advance(59)
    assert result(bench.renew(renewal=bench.another())) == grant(number=3, received_s=59)
    assert bench.kept.read() == grant(number=3, received_s=59)
    bench.clock.advance(3600)
    assert result(bench.renew(grant(number=3))).access_token.reveal() == access(4)


def test_a_crash_that_nobody_comes_back_from_in_time_ends_in_a_message(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.fetches.answers = [RealFamily(bench.clock)]
    bench.disk_fails = True
    bench.renew()
    bench.clock.advance(61)
    failed = error_of(bench.renew(renewal=bench.another()))
    assert isinstance(failed, Refused)
    assert "mcptunnel login" in str(failed)


class TokenEndpoint(Resource):
    """`/token` of a relay without any grace: a refresh token that comes twice ends everything."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.presented: list[str] = []

    def render_POST(self, request: Any) -> bytes:
        presented = request.args[b"refresh_token"][0].decode()
        repeated = presented in self.presented
        self.presented.append(presented)
        request.setHeader(b"content-type", b"application/json")
        if repeated:
            request.setResponseCode(400)
            return json.dumps({"error": "invalid_grant"}).encode()
        return json.dumps(token_answer(1 + len(self.presented))).encode()


PROGRAM = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from mcptunnel.agent.sign_in.signed_in import signed_in

async def work():
    credential = signed_in(reactor, sys.argv[1])
    sys.stdin.read(1)
    try:
        bearer = await credential.bearer()
        print(bearer[-8:])
    finally:
        await credential.stop()
        reactor.stop()

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(work()).addErrback(lambda f: f.printTraceback()))
reactor.run()
"""


def start_at_once(count: int, relay: str, folder: Path) -> "list[subprocess.Popen[str]]":
    """Start programs, and let them renew when all are there."""
    command = [sys.executable, "-c", PROGRAM, relay]
    env = environment({"XDG_DATA_HOME": str(folder)})
    pipe = subprocess.PIPE
    programs = [
        subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(count)
    ]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("!")
        program.stdin.flush()
    return programs


@in_reactor
async def test_many_processes_renew_one_file_once(tmp_path: Path, free_port: int) -> None:
    """Real ones, at the same moment, with a relay that forgives nothing."""
    endpoint = TokenEndpoint()
    site = Site(endpoint, timeout=None)
    site.noisy = False
    listening = the_reactor().listenTCP(free_port, site, interface="127.0.0.1")
    relay = f"http://127.0.0.1:{free_port}"
    kept = KeptGrant(relay, tmp_path / "mcptunnel" / "sign-ins")
    kept.write(grant(relay))  # of 1970
    programs = start_at_once(4, relay, tmp_path)
    await until(lambda: all(program.poll() is not None for program in programs))
    told = [program.communicate() for program in programs]
    await listening.stopListening()
    assert endpoint.presented == [refresh(1)], told
    assert told == [(f"{access(2)[-8:]}\n", "")] * 4
    renewed = kept.read()
    assert renewed is not None
    assert renewed.access_token.reveal() == access(2)

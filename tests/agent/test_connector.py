"""The connector, with a relay in memory and a clock of the test's."""

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater

from mcptunnel.agent.connector import Connector, Dial
from mcptunnel.agent.credential import ApiKey, Credential, Refused
from mcptunnel.config.secret import Secret
from mcptunnel.model import ResponseHead
from mcptunnel.net.backoff import Backoff
from mcptunnel.net.errors import ConnectFailed, UpgradeRefused
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.link import Link, LinkReceiver
from mcptunnel.net.link_end import CLOSE_PROTOCOL_ERROR, LinkEnd
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Hello, Welcome
from mcptunnel.wire.settings import Settings
from tests.agent import done, error_of
from tests.agent.relay_end import RelayEnd
from tests.conftest import Log
from tests.net.tunnels import GONE


class Owner:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.exchanges: list[Exchange] = []

    def hello(self) -> Hello:
        return Hello("installation", "laptop", "1.0")

    def connected(self, tunnel: Tunnel, welcome: Welcome) -> None:
        self.events.append(f"connected as {welcome.device_name}")

    def disconnected(self) -> None:
        self.events.append("disconnected")

    def exchange_opened(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)


class Bench:
    """A connector that waits as long as it may, a relay, and when it was dialled."""

    def __init__(self, credential: Credential | None = None) -> None:
        self.clock = Clock()
        self.relay = RelayEnd(self.clock)
        self.owner = Owner()
        self.dial: Dial = self.relay.dial
        self.dialled_s: list[float] = []
        self.connector = Connector(
            self.clock,
            self.owner,
            dial=self._dial,
            backoff=Backoff(lambda: 1.0),
            settings=Settings(),
            relay="https://relay.test",
            credential=credential or ApiKey(Secret("mcpt_ak_x"), "key_file"),
        )
        self.running = Deferred[None]()

    async def _dial(self, receiver: LinkReceiver, timeout_s: float) -> Link:
        self.dialled_s.append(self.clock.seconds())
        return await self.dial(receiver, timeout_s)

    def run(self) -> "Bench":
        self.running = Deferred.fromCoroutine(self.connector.run())
        self.relay.settle()
        return self

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.relay.settle()

    def waits_s(self) -> float:
        """Pass the time until the next attempt, and return how long that was."""
        known, since_s = len(self.dialled_s), self.clock.seconds()
        while len(self.dialled_s) == known:
            self.wait(0.5)
        return self.clock.seconds() - since_s

    def refusal(self) -> str:
        refused = error_of(self.running)
        assert isinstance(refused, Refused)
        return str(refused)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def failing(*errors: Exception) -> Dial:
    """Return a dialling that fails, in the end always with the last error."""
    left = list(errors)

    async def dial(_receiver: LinkReceiver, _timeout_s: float) -> Link:
        raise left.pop(0) if len(left) > 1 else left[0]

    return dial


def test_it_introduces_itself_and_is_connected_when_welcomed(bench: Bench) -> None:
    bench.run()
    (hello,) = bench.relay.hellos
    assert (hello.installation_id, hello.device_name) == ("installation", "laptop")
    assert bench.owner.events == ["connected as laptop"]
    assert bench.connector.tunnel is not None
    bench.relay.send("files", b"x")
    assert bench.owner.exchanges[0].request.target == "files"


def test_a_link_that_breaks_is_made_again_within_a_second_and_the_tunnel_lives(
    bench: Bench, log: Log
) -> None:
    """The relay is shown the newest token and how much came; nobody above hears of it."""
    tunnel = bench.run().connector.tunnel
    bench.relay.send("files", b"x")
    for token in ("token 1", "token 2"):
        bench.relay.pairs[-1].cut()
        bench.relay.settle()
        assert bench.waits_s() == 1.0
        assert bench.relay.hellos[-1].resume_token == token
        assert bench.relay.hellos[-1].last_received == 3
    assert bench.connector.tunnel is tunnel
    assert bench.owner.events == ["connected as laptop"]
    assert "resumed" in log


def test_a_dial_into_nothing_leaves_time_for_another(bench: Bench) -> None:
    """A relay holds the session of a closed link for 10 s; without a session there is no hurry."""
    timeouts_s: list[float] = []

    async def silent(_receiver: LinkReceiver, timeout_s: float) -> Link:
        timeouts_s.append(timeout_s)
        await deferLater(bench.clock, timeout_s)
        raise ConnectFailed(f"no connection within {timeout_s:g} s")

    bench.run()
    closed_s = bench.clock.seconds()
    bench.relay.pairs[0].cut()
    bench.relay.settle()
    bench.dial = silent
    bench.waits_s()
    bench.dial = bench.relay.dial
    bench.waits_s()
    assert bench.clock.seconds() - closed_s < bench.relay.settings.closed_link_window_s - 2
    assert bench.relay.hellos[-1].resume_token == "token 1"
    assert bench.owner.events == ["connected as laptop"]
    bench.relay.tunnels[0].close(ErrorCode.SHUTDOWN, "goes")
    bench.relay.settle()
    assert bench.connector.tunnel is None
    bench.dial = silent
    bench.waits_s()
    assert timeouts_s == [5.0, 10.0]


def test_while_a_session_waits_the_relay_is_tried_every_few_seconds(bench: Bench) -> None:
    """Calls wait for it; a network that is back after a while is noticed within seconds."""
    bench.run()
    bench.relay.pairs[0].cut()
    bench.relay.settle()
    bench.dial = failing(ConnectFailed("no route"))
    waited_s = [bench.waits_s() for _ in range(6)]
    assert waited_s == [1.0, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_a_relay_that_does_not_resume_begins_anew(bench: Bench) -> None:
    """The old tunnel is lost before the new one begins, and its token is of no use any more."""
    bench.relay.resumes = False
    tunnel = bench.run().connector.tunnel
    bench.relay.pairs[0].cut()
    bench.waits_s()
    assert bench.owner.events == ["connected as laptop", "disconnected", "connected as laptop"]
    assert bench.connector.tunnel is not tunnel
    assert len(bench.relay.tunnels) == 2
    assert not done(bench.running)
    bench.relay.pairs[-1].cut()
    bench.waits_s()
    assert bench.relay.hellos[-1].resume_token == "token 2"


def test_a_tunnel_without_a_link_is_lost_when_its_time_is_over(bench: Bench) -> None:
    """Attempts go on, without a token."""
    bench.run()
    bench.dial = failing(ConnectFailed("relay:443: nothing listens there"))
    bench.relay.pairs[0].cut()
    bench.relay.settle()
    for _ in range(59):
        bench.wait(1.0)
    assert bench.owner.events == ["connected as laptop"]
    bench.wait(1.0)
    assert bench.owner.events == ["connected as laptop", "disconnected"]
    assert bench.connector.tunnel is None
    bench.dial = bench.relay.dial
    bench.waits_s()
    assert bench.relay.hellos[-1].resume_token == ""
    assert bench.owner.events[-1] == "connected as laptop"


def test_a_session_that_ended_during_the_greeting_is_not_taken_up(bench: Bench) -> None:
    """The relay's half of it ends as well, and the next link begins a new one."""
    bench.run()
    bench.relay.pairs[0].cut()
    relay_hello = bench.relay.peer_hello

    def peer_hello(end: LinkEnd, hello: Hello) -> None:
        tunnel = bench.connector.tunnel
        if tunnel is not None:
            tunnel.lose(GONE)
        relay_hello(end, hello)

    bench.relay.peer_hello = peer_hello  # type: ignore[method-assign]  # the time runs out right then
    bench.waits_s()
    assert bench.owner.events == ["connected as laptop", "disconnected"]
    assert bench.relay.losses[-1].code == CLOSE_PROTOCOL_ERROR
    bench.waits_s()
    assert bench.owner.events[-1] == "connected as laptop"
    assert bench.connector.tunnel is not None
    assert len(bench.relay.tunnels) == 2


def test_numbers_that_cannot_be_true_end_the_tunnel_and_not_the_agent(bench: Bench) -> None:
    bench.run()
    bench.relay.tunnels[0].session._acks.received_count = 100
    bench.relay.pairs[0].cut()
    bench.waits_s()
    assert bench.owner.events == ["connected as laptop", "disconnected"]
    bench.waits_s()
    assert bench.owner.events[-1] == "connected as laptop"


def test_a_relay_that_never_greets_is_given_up(bench: Bench) -> None:
    bench.relay.refuse = lambda _end: None
    bench.run()
    assert bench.owner.events == []
    bench.relay.refuse = None
    assert bench.waits_s() > 45.0
    assert bench.owner.events == ["connected as laptop"]


def test_stopping_while_the_relay_has_not_greeted_closes_the_link(bench: Bench) -> None:
    bench.relay.refuse = lambda _end: None
    bench.run().running.cancel()
    bench.relay.settle()
    assert isinstance(error_of(bench.running), CancelledError)
    assert bench.relay.losses
    assert not bench.clock.getDelayedCalls()


def test_a_final_refusal_ends_a_tunnel_that_waits(bench: Bench) -> None:
    bench.run().relay.refuse = lambda end: end.refuse(ErrorCode.REVOKED, "so it is")
    bench.relay.pairs[0].cut()
    bench.waits_s()
    assert "was revoked" in bench.refusal()
    assert bench.owner.events == ["connected as laptop", "disconnected"]
    assert bench.connector.tunnel is None


def test_it_never_gives_up_and_waits_longer_up_to_half_a_minute(bench: Bench, log: Log) -> None:
    bench.dial = failing(ConnectFailed("relay:443: nothing listens there"))
    bench.run()
    waits_s = [bench.waits_s() for _ in range(60)]
    assert waits_s[:6] == [1, 2, 4, 8, 16, 30]
    assert set(waits_s[6:]) == {30}
    told = "cannot reach the relay: relay:443: nothing listens there."
    assert log.lines == [f"{told} Trying again, less and less often."]
    bench.dial = bench.relay.dial
    bench.waits_s()
    assert bench.owner.events == ["connected as laptop"]
    bench.relay.pairs[-1].cut()
    assert bench.waits_s() == 1.0


def test_a_failure_is_told_again_when_its_reason_changes_or_after_a_success(
    bench: Bench, log: Log
) -> None:
    refused, closed = ConnectFailed("refused"), ConnectFailed("closed")
    bench.dial = failing(refused, refused, closed, closed)
    bench.run()
    for _ in range(5):
        bench.waits_s()
    assert [log.count(text) for text in (": refused.", ": closed.")] == [1, 1]
    bench.dial = bench.relay.dial
    bench.waits_s()
    bench.dial = failing(closed)
    bench.relay.pairs[-1].cut()
    bench.waits_s()
    assert log.count(": closed.") == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_it_with_why_and_what_to_do(bench: Bench, status: int) -> None:
    body = '{"error": {"code": 1, "message": "This key has the scope \'mcp\'"}}'
    bench.dial = failing(UpgradeRefused(status, body_text=body, wants_bearer=True))
    said = bench.run().refusal()
    assert f"(HTTP {status}): This key has the scope 'mcp'. Check key_file; make" in said
    assert " --user NAME --scope agent -o agent.key`" in said


def test_other_refusals_are_tried_again_when_the_relay_said(bench: Bench, log: Log) -> None:
    bench.dial = failing(UpgradeRefused(503, retry_after_s=120.0, body_text="closed"))
    bench.run()
    assert bench.waits_s() == 121
    assert "the relay refused: the server answered 503 Service Unavailable: closed." in log


@pytest.mark.parametrize("status", [401, 403])
def test_a_firewall_that_refuses_ends_nothing(bench: Bench, log: Log, status: int) -> None:
    """What stands before a relay that is down may forbid everything; no key was refused with that."""
    bench.dial = failing(UpgradeRefused(status, body_text="<h1>Attention required</h1>"))
    bench.run()
    assert bench.waits_s() > 0
    assert f"the relay refused: the server answered {status}" in log


def test_another_web_server_is_told_in_one_line(bench: Bench, log: Log) -> None:
    bench.dial = failing(UpgradeRefused(404, body_text="<!DOCTYPE html><h1>Not here</h1>"))
    bench.run()
    bench.waits_s()
    (told,) = log.lines
    assert told == (
        "https://relay.test is no mcptunnel relay (404 for /tunnel). Check `relay`."
        " Trying again, less and less often."
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (ErrorCode.UNAUTHORIZED, "does not accept this key any more"),
        (ErrorCode.REVOKED, "was revoked"),
        (ErrorCode.DEVICE_REVOKED, "This device was revoked at the relay"),
        (ErrorCode.REPLACED, "state_dir of its own"),
        (ErrorCode.UNSUPPORTED_VERSION, "Install the same release"),
    ],
)
def test_some_goodbyes_are_final(bench: Bench, log: Log, code: ErrorCode, said: str) -> None:
    """They are told once, by the error, with what the relay adds."""
    bench.run().relay.tunnels[0].close(code, "so \x1b[31mit is")
    bench.relay.settle()
    told = bench.refusal()
    assert said in told
    adds = code in (ErrorCode.UNAUTHORIZED, ErrorCode.UNSUPPORTED_VERSION)
    assert told.endswith("(The relay said: so  [31mit is)") is adds
    assert not log.lines


def test_a_final_goodbye_without_words(bench: Bench) -> None:
    bench.relay.refuse = lambda end: end.refuse(ErrorCode.REVOKED)
    assert bench.run().refusal().endswith("give it in key_file.")


def test_a_stopping_relay_is_dialled_again_soon_after_it_said(bench: Bench, log: Log) -> None:
    bench.run().relay.tunnels[0].close(ErrorCode.SHUTDOWN, "back\r\x1b[1msoon", 5.0)
    bench.relay.settle()
    assert "the relay is going away: SHUTDOWN back  [1msoon" in log
    assert bench.waits_s() == 6.0
    assert bench.owner.events[-1] == "connected as laptop"


def test_a_relay_that_closes_with_an_error_each_time_is_dialled_more_rarely(
    bench: Bench,
) -> None:
    bench.run()
    waits_s = []
    for _ in range(4):
        bench.relay.tunnels[-1].close(ErrorCode.INTERNAL_ERROR, "oh")
        bench.relay.settle()
        waits_s.append(bench.waits_s())
    assert waits_s == [1, 2, 4, 8]
    bench.wait(40.0)
    bench.wait(40.0)
    bench.relay.tunnels[-1].close(ErrorCode.INTERNAL_ERROR, "oh")
    bench.relay.settle()
    assert bench.waits_s() == 1, "after a minute of being up that is forgotten"


def test_an_error_close_without_a_goodbye_counts_as_well(bench: Bench) -> None:
    bench.run()
    waits_s = []
    for _ in range(3):
        bench.relay.pairs[-1].right.close(1011, "internal error")
        bench.relay.settle()
        waits_s.append(bench.waits_s())
    assert waits_s == [1, 2, 4]


def test_a_relay_that_breaks_the_protocol_each_time_is_dialled_more_rarely(bench: Bench) -> None:
    bench.run()
    waits_s = []
    for _ in range(3):
        bench.relay.pairs[-1].right.send_message(b"\xc1")
        bench.relay.settle()
        waits_s.append(bench.waits_s())
    assert waits_s == [1, 2, 4]


def test_a_silent_relay_is_given_up(bench: Bench) -> None:
    bench.run()
    for end in (bench.relay.pairs[0].left, bench.relay.pairs[0].right):
        end.hold()
    bench.wait(30.0)
    bench.wait(16.0)
    assert bench.waits_s() <= 1.0
    assert bench.relay.hellos[-1].resume_token == "token 1"
    assert bench.owner.events == ["connected as laptop"]


def test_a_link_that_is_lost_before_dialling_returned_is_no_end(bench: Bench) -> None:
    async def dial(receiver: LinkReceiver, timeout_s: float) -> Link:
        link = await bench.relay.dial(receiver, timeout_s)
        bench.relay.pairs[-1].cut()
        return link

    bench.dial = dial
    bench.run()
    assert not done(bench.running)
    bench.waits_s()
    bench.waits_s()


def test_anything_else_that_goes_wrong_is_not_hidden(bench: Bench) -> None:
    bench.dial = failing(ValueError("a URL must not carry a credential"))
    bench.run()
    assert isinstance(error_of(bench.running), ValueError)


def test_cancelling_ends_it_in_a_tunnel(bench: Bench) -> None:
    bench.run().running.cancel()
    assert isinstance(error_of(bench.running), CancelledError)
    assert bench.connector.tunnel is None


def test_cancelling_ends_it_between_attempts(bench: Bench) -> None:
    bench.dial = failing(ConnectFailed("gone"))
    bench.run().running.cancel()
    assert isinstance(error_of(bench.running), CancelledError)
    assert not bench.clock.getDelayedCalls()


def test_calls_that_run_on_at_a_stopping_relay_get_their_next_link_at_once(bench: Bench) -> None:
    """Not after the time that the relay gave: that is for the next session."""
    bench.run()
    told = bench.relay.send("files", b"x")
    bench.relay.tunnels[0].go_away(ErrorCode.NO_ERROR, "the relay is stopping", 20.0)
    bench.relay.settle()
    bench.relay.pairs[0].cut()
    bench.relay.settle()
    assert bench.waits_s() == 1.0
    assert bench.relay.hellos[-1].resume_token == "token 1"
    (exchange,) = bench.owner.exchanges
    exchange.send_head(ResponseHead(200))
    exchange.end()
    bench.relay.settle()
    assert told.is_whole
    bench.relay.tunnels[0].close(ErrorCode.SHUTDOWN, "the relay is stopping", 20.0)
    bench.relay.settle()
    assert bench.waits_s() == 21.0
    assert bench.owner.events[-1] == "connected as laptop"


def test_without_calls_a_stopping_relay_is_dialled_after_the_time_given(bench: Bench) -> None:
    bench.run().relay.tunnels[0].go_away(ErrorCode.NO_ERROR, "the relay is stopping", 20.0)
    bench.relay.settle()
    bench.wait(0.2)
    bench.relay.pairs[0].cut()
    bench.relay.settle()
    assert bench.waits_s() == 21.0


def test_who_leaves_resumes_and_begins_nothing_new(bench: Bench) -> None:
    """When the relay does not resume, it is over."""
    bench.run()
    bench.relay.send("files", b"x")
    bench.connector.leave()
    bench.relay.pairs[0].cut()
    bench.waits_s()
    assert bench.relay.hellos[-1].resume_token
    assert bench.owner.events == ["connected as laptop"]
    bench.relay.resumes = False
    bench.relay.pairs[-1].cut()
    bench.waits_s()
    assert bench.owner.events == ["connected as laptop", "disconnected"]
    assert bench.connector.tunnel is None
    bench.wait(1)
    assert [notice.code for notice in bench.relay.notices] == [ErrorCode.SHUTDOWN]
    assert done(bench.running)
    assert not bench.relay.tunnels[-1].is_suspended  # the agent is not expected back
    bench.relay.tunnels[0].lose(GONE)
    assert not bench.clock.getDelayedCalls()

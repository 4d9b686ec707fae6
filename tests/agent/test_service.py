"""The whole agent, with a relay and a child process of the test's making."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent import service
from mcptunnel.agent.connector import Dial
from mcptunnel.agent.credential import ApiKey, Credential, Refused
from mcptunnel.agent.servers import stdio
from mcptunnel.agent.servers.http import HttpServer
from mcptunnel.agent.servers.interfaces import STOP_GRACE_S, URGENT_GRACE_S, LocalServer
from mcptunnel.agent.service import ANNOUNCE_BURST, AgentService
from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.config.secret import Secret
from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.model import ExchangeKind, Outcome
from mcptunnel.net.errors import ConnectFailed, UpgradeRefused
from mcptunnel.net.link import Link, LinkReceiver
from mcptunnel.net.stopping import POLL_S, StopOrder
from mcptunnel.wire.constants import ErrorCode
from tests.agent import done
from tests.agent.relay_end import RelayEnd
from tests.agent.servers import Workshop
from tests.conftest import Log
from tests.net.tunnels import GONE

CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "read", "_meta": {"progressToken": "t"}},
}
FILES = ServerConfig(name="files", kind="stdio", command=("server",))


class Bench:
    def __init__(self, state_dir: Path, workshop: Workshop) -> None:
        self.clock = Clock()
        self.relay = RelayEnd(self.clock)
        self.workshop = workshop
        self.state_dir = state_dir
        self.refusals: list[Refused] = []
        self.order = StopOrder()
        self.service = self.made()

    def made(
        self, *, dial: Dial | None = None, credential: Credential | None = None, **options: Any
    ) -> AgentService:
        config = AgentConfig(
            relay="http://127.0.0.1:1",
            name="laptop",
            state_dir=self.state_dir,
            key=Secret("mcpt_ak_secret"),
            **{
                "servers": (FILES,),
                "tunnel": TunnelConfig(drain_s=0),
                **options,
            },
        )
        return AgentService(
            self.clock,
            config,
            dial=dial or self.relay.dial,
            credential=credential or ApiKey(Secret("mcpt_ak_secret"), "key_file"),
            random=lambda: 1.0,
            refused=self.refusals.append,
            order=self.order,
        )

    def start(self, **options: Any) -> "Bench":
        if options:
            self.service = self.made(**options)
        self.service.startService()
        self.relay.settle()
        return self

    def stop(self) -> "Deferred[None]":
        stopping = Deferred.fromCoroutine(self.service.stopService())
        for process in self.workshop.processes:
            if process.stopping and not process.is_gone:
                process.exit(0)
        self.clock.advance(POLL_S)
        self.relay.settle()
        return stopping


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    workshop = Workshop()
    monkeypatch.setattr(stdio, "ChildProcess", workshop)
    return Bench(tmp_path / "state", workshop)


def failing(error: Exception) -> Callable[[LinkReceiver, float], Any]:
    async def dial(_receiver: LinkReceiver, _timeout_s: float) -> Link:
        raise error

    return dial


def test_it_introduces_its_installation_and_limits(bench: Bench, log: Log) -> None:
    bench.relay.notice = "your name is taken"
    bench.start(tunnel=TunnelConfig(window_bytes=65_536, max_streams=5))
    (hello,) = bench.relay.hellos
    assert hello.device_name == "laptop"
    assert hello.installation_id == (bench.state_dir / "installation-id").read_text().strip()
    assert (hello.limits.window_bytes, hello.limits.max_streams) == (65_536, 5)
    assert "connected to http://127.0.0.1:1 as laptop" in log
    assert "your name is taken" in log
    assert "mcpt_ak_secret" not in log


def test_the_relays_notice_cannot_forge_lines_of_the_log(bench: Bench, log: Log) -> None:
    bench.relay.notice = "\x1b[2Jhello\rFORGED\nline " + "x" * 900
    bench.start()
    (notice,) = [line for line in log.lines if "hello" in line]
    assert notice.startswith("[2Jhello FORGED line xxx")
    assert len(notice) == 500


@pytest.mark.parametrize("native", [True, False])
def test_slow_masking_is_told_once(
    bench: Bench, log: Log, monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    monkeypatch.setattr(service, "MASKS_NATIVELY", native)
    bench.start()
    assert log.count("Autobahn lacks its compiled part") == (not native)


def test_a_call_goes_to_its_server_and_back(bench: Bench) -> None:
    process = bench.start().workshop.last.be_modern()
    told = bench.relay.send("files", CALL)
    process.answer("tools/call", {"content": []})
    bench.relay.settle()
    assert told.json == {"jsonrpc": "2.0", "id": 1, "result": {"content": []}}
    assert told.is_whole


@pytest.mark.parametrize("target", ["other", "@agent ", "FILES"])
def test_a_server_that_is_not_configured_is_refused_for_certain(bench: Bench, target: str) -> None:
    told = bench.start().relay.send(target, CALL)
    assert told.failure is not None
    assert told.failure.outcome is Outcome.NOT_DELIVERED
    assert told.failure.text == f"No server is called {target!r}."


def test_a_crash_in_a_call_is_an_unknown_outcome_and_a_call_after_it_is_answered(
    bench: Bench,
) -> None:
    process = bench.start().workshop.last.be_modern()
    told = bench.relay.send("files", CALL)
    process.exit(70)
    bench.relay.settle()
    assert told.failure is not None
    assert "'files' exited (exit code 70) while it was answering" in told.failure.text
    assert told.failure.outcome is Outcome.UNKNOWN
    told = bench.relay.send("files", CALL)
    bench.clock.advance(0.1)
    bench.workshop.last.be_modern().answer("tools/call", {"content": []})
    bench.relay.settle()
    assert told.json["result"] == {"content": []}


def test_a_caller_that_gives_up_is_told_to_the_server(bench: Bench) -> None:
    process = bench.start().workshop.last.be_modern()
    told = bench.relay.send("files", CALL)
    assert told.exchange is not None
    told.exchange.reset(ErrorCode.CANCEL, "the client closed the stream")
    bench.relay.settle()
    (cancelled,) = process.asked("notifications/cancelled")
    assert cancelled["params"]["reason"] == "the client closed the stream"


def test_the_loss_of_the_tunnel_cancels_what_runs(bench: Bench) -> None:
    process = bench.start().workshop.last.be_modern()
    bench.relay.send("files", CALL)
    bench.relay.resumes = False
    bench.relay.pairs[0].cut("the laptop was closed")
    bench.relay.settle()
    assert not process.asked("notifications/cancelled")
    bench.clock.advance(1)
    bench.relay.settle()
    assert len(process.asked("notifications/cancelled")) == 1


def test_the_changes_of_a_start_make_few_announcements(bench: Bench) -> None:
    bench.start().workshop.last.be_modern()
    bench.clock.advance(0.02)
    bench.relay.told[0].accept()
    bench.relay.settle()
    first, second = bench.relay.told
    assert first.json["servers"][0]["state"] == "starting"
    assert second.json["servers"][0]["state"] == "ready"


def test_the_relay_can_restart_a_server(bench: Bench) -> None:
    process = bench.start().workshop.last.be_modern()
    told = bench.relay.send(
        "@agent", {"server": "files"}, path="/restart", kind=ExchangeKind.CONTROL
    )
    assert told.json == {"message": "restarting files"}
    process.exit(0)
    assert bench.workshop.last is not process


def test_a_server_that_never_rests_is_announced_once_a_second(bench: Bench) -> None:
    """After a burst for the changes of a start; the newest state is told in the end."""
    bench.start()
    (server,) = bench.service.servers.values()
    for step in range(1000):
        cast("Any", server)._first._set(detail=str(step))
        bench.clock.advance(0.01)
        bench.relay.told[-1].accept()
        bench.relay.settle()
    assert ANNOUNCE_BURST < len(bench.relay.told) <= 1 + ANNOUNCE_BURST + 10
    bench.clock.advance(1)
    bench.relay.settle()
    assert bench.relay.told[-1].json["servers"][0]["detail"] == "999"


def test_after_a_loss_everything_is_announced_again(bench: Bench) -> None:
    bench.start().relay.pairs[0].cut()
    bench.relay.settle()
    bench.clock.advance(1.0)
    bench.relay.settle()
    assert len(bench.relay.hellos) == 2
    assert bench.relay.told[-1].json["servers"][0]["name"] == "files"


def test_a_stop_says_goodbye_and_leaves_nothing(bench: Bench) -> None:
    process = bench.start().workshop.last.be_modern()
    told = bench.relay.send("files", CALL)
    assert done(bench.stop())
    assert process.is_gone
    assert told.failure is not None
    assert {notice.text for notice in bench.relay.notices} == {"the agent is stopping"}
    codes = [notice.code for notice in bench.relay.notices]
    assert codes == [ErrorCode.NO_ERROR, ErrorCode.SHUTDOWN]
    assert not bench.clock.getDelayedCalls()
    assert not bench.refusals


def test_a_stop_right_after_a_change_leaves_no_announcement_behind(bench: Bench) -> None:
    bench.start().workshop.last.be_modern()
    assert done(bench.stop())
    assert not bench.clock.getDelayedCalls()


def test_a_stop_between_attempts(bench: Bench) -> None:
    bench.start().relay.pairs[0].cut()
    bench.relay.settle()
    assert done(bench.stop())
    bench.relay.tunnels[0].lose(GONE)
    assert not bench.clock.getDelayedCalls()


def test_a_stop_before_the_link_is_there(bench: Bench) -> None:
    async def dial(_receiver: LinkReceiver, _timeout_s: float) -> Link:
        return await Deferred[Link]()

    bench.start(dial=dial)
    assert done(bench.stop())
    assert not bench.clock.getDelayedCalls()


def test_a_stop_without_a_start(bench: Bench) -> None:
    assert done(bench.stop())


def test_a_server_that_cannot_be_stopped_does_not_keep_the_others(
    bench: Bench, logged_failures: Any
) -> None:
    class Stuck:
        def end_listens(self) -> None:
            pass

        async def stop(self, grace_s: float) -> None:
            raise OSError("stuck")

    bench.start().service.servers["stuck"] = cast("LocalServer", Stuck())
    assert done(bench.stop())
    assert logged_failures.take(OSError)
    assert bench.workshop.last.is_gone


def test_a_refused_key_is_told_and_logged(bench: Bench, log: Log) -> None:
    bench.start(dial=failing(UpgradeRefused(401, wants_bearer=True)))
    (refusal,) = bench.refusals
    assert "The relay refused this agent's key" in str(refusal)
    assert str(refusal) in log.lines
    bench.stop()


def test_the_relay_and_our_name_are_logged_before_anything_is_reached(
    bench: Bench, log: Log
) -> None:
    bench.start(dial=failing(ConnectFailed("nothing listens there")))
    said = [line for line in log.lines if line.startswith(("connecting", "cannot reach"))]
    assert said[0] == "connecting to http://127.0.0.1:1 as laptop"
    assert said[1].startswith("cannot reach the relay: nothing listens there. ")
    bench.stop()


def test_a_defect_of_ours_is_told_and_logged(bench: Bench, logged_failures: Any) -> None:
    bench.start(dial=failing(ValueError("odd")))
    (refusal,) = bench.refusals
    assert str(refusal) == "An internal error ended the connection; see the log."
    assert logged_failures.take(ValueError)
    bench.stop()


def test_a_server_with_a_url_is_spoken_to_over_http(bench: Bench) -> None:
    web = ServerConfig(name="web", kind="http", url="http://127.0.0.1:9/mcp")
    assert isinstance(bench.made(servers=(web,)).servers["web"]._first, HttpServer)  # type: ignore[attr-defined]


DRAINING = TunnelConfig(resume_window_s=60, closed_link_window_s=10, drain_s=30)


def pass_s(bench: Bench, seconds: float) -> None:
    for _ in range(round(seconds / POLL_S)):
        bench.clock.advance(POLL_S)
        bench.relay.settle()


def test_a_stop_lets_calls_finish_and_takes_no_new_ones(bench: Bench, log: Log) -> None:
    process = bench.start(tunnel=DRAINING).workshop.last.be_modern()
    told = bench.relay.send("files", CALL)
    stopping = bench.stop()
    (notice,) = bench.relay.notices
    assert notice.code is ErrorCode.NO_ERROR
    assert not bench.relay.tunnels[0].is_open
    pass_s(bench, 20)
    assert not process.stopping
    process.answer("tools/call", {"content": []})
    bench.relay.settle()
    assert told.json["result"] == {"content": []}
    pass_s(bench, 0.3)
    assert bench.relay.notices[-1].code is ErrorCode.SHUTDOWN
    process.exit(0)
    pass_s(bench, 0.1)
    assert done(stopping)
    assert "draining: 1 call running, until 30 s" in log
    assert not bench.clock.getDelayedCalls()


def test_a_stop_without_a_link_waits_for_it_and_for_no_new_session(bench: Bench) -> None:
    process = bench.start(tunnel=DRAINING).workshop.last.be_modern()
    told = bench.relay.send("files", CALL)
    bench.relay.pairs[0].cut()
    bench.relay.settle()
    stopping = bench.stop()
    pass_s(bench, 1.1)
    assert bench.relay.notices[0].code is ErrorCode.NO_ERROR
    bench.relay.resumes = False
    bench.relay.pairs[-1].cut()
    pass_s(bench, 1.2)
    assert process.asked("notifications/cancelled")
    assert process.stopping
    process.exit(0)
    pass_s(bench, 0.1)
    assert done(stopping)
    bench.relay.tunnels[0].lose(GONE)
    assert told.failure is not None
    while len(bench.relay.tunnels) > 1:
        bench.relay.tunnels.pop().lose(GONE)


def test_an_urgent_stop_waits_for_no_call_and_hurries_the_servers(bench: Bench) -> None:
    """The order may come at once, in the drain, or while a server takes its time."""
    process = bench.start(tunnel=DRAINING).workshop.last.be_modern()
    told = bench.relay.send("files", CALL)
    stopping = Deferred.fromCoroutine(bench.service.stopService())
    pass_s(bench, 1)
    assert not bench.relay.losses
    bench.order.is_urgent = True
    pass_s(bench, 0.1)
    assert told.failure is not None
    assert told.failure.outcome is Outcome.UNKNOWN
    assert process.stopping == [URGENT_GRACE_S]
    process.exit(0)
    pass_s(bench, 0.1)
    assert done(stopping)


def test_a_second_order_hurries_servers_that_are_ending(bench: Bench) -> None:
    process = bench.start().workshop.last.be_modern()
    stopping = Deferred.fromCoroutine(bench.service.stopService())
    pass_s(bench, 0.1)
    assert process.stopping == [STOP_GRACE_S]
    bench.order.is_urgent = True
    pass_s(bench, 0.1)
    assert process.stopping == [STOP_GRACE_S, URGENT_GRACE_S]
    assert not done(stopping)
    process.exit(0)
    pass_s(bench, 0.1)
    assert done(stopping)


class Watched(ApiKey):
    """A credential that remembers."""

    def __init__(self) -> None:
        super().__init__(Secret("mcpt_ak_secret"), "key_file")
        self.over: Callable[[Refused], None] | None = None
        self.stopped: Deferred[None] = Deferred()

    def start(self, over: Callable[[Refused], None]) -> None:
        self.over = over

    async def stop(self) -> None:
        await self.stopped


def test_the_credential_lives_with_the_service(bench: Bench) -> None:
    """It is stopped beside the servers, and waited for."""
    watched = Watched()
    bench.start(credential=watched)
    assert watched.over is not None
    stopping = bench.stop()
    assert not stopping.called
    watched.stopped.callback(None)
    bench.clock.advance(POLL_S)
    assert stopping.called


def test_a_credential_that_is_over_is_told_once(bench: Bench) -> None:
    """The connector may come to the same."""
    watched = Watched()
    watched.stopped.callback(None)
    bench.start(credential=watched, dial=failing(UpgradeRefused(401, wants_bearer=True)))
    assert watched.over is not None
    watched.over(Refused("It is over."))
    (told,) = bench.refusals
    assert "(HTTP 401)" in str(told)
    bench.stop()

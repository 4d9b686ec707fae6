"""A server at a URL, with real HTTP servers on the loopback."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.servers import http, kept, restarts
from mcptunnel.agent.servers.http import HttpServer
from mcptunnel.agent.servers.http_handshake import Agreed, Unusable
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from tests.agent import CLIENT_INFO, STATES, Caller, done, in_reactor, tool_call, until
from tests.agent.servers.conftest import Attach, Serve
from tests.agent.servers.http_servers import Legacy, Post, Site, modern, silent
from tests.conftest import Log

MODERN = Agreed(ServerInfo(Era.MODERN, "2026-07-28", jsonrpc.raw({})), None)
CONTENT = {"resultType": "complete", "content": []}


async def ready(server: HttpServer) -> HttpServer:
    await until(lambda: server.status.state is ServerState.READY)
    return server


def call(server: HttpServer, name: str = "read") -> Caller:
    caller = Caller()
    server.call(tool_call(name), caller)
    return caller


async def asked(site: Site, number: int = 1) -> Post:
    """Wait for that many calls to be at the server; return the last one."""
    await until(lambda: len(site.asked("tools/call")) == number)
    return site.asked("tools/call")[-1]


def failed(caller: Caller) -> tuple[str, Outcome]:
    assert caller.failure is not None
    return caller.failure.text, caller.failure.outcome


@in_reactor
async def test_a_call_waits_for_the_handshake_and_is_answered(serve: Serve, attach: Attach) -> None:
    site = serve(modern)
    server = attach(site, headers={"Authorization": "Bearer local"})
    caller = call(server)
    assert server.status.state is ServerState.STARTING
    post = await asked(site)
    assert post.fields["authorization"] == "Bearer local"
    post.result(CONTENT)
    assert (await caller.over()).result == CONTENT
    status = server.status
    assert (status.state, status.era, status.version) == ("ready", "modern", "2026-07-28")
    assert (status.revision, status.detail) == (1, "")


@in_reactor
async def test_progress_in_an_event_stream_arrives_while_the_call_runs(
    serve: Serve, attach: Attach
) -> None:
    site = serve(Legacy())
    caller = call(attach(site))
    post = await asked(site)
    token = post.message["params"]["_meta"]["progressToken"]
    post.priming()
    params = {"progressToken": token, "progress": 1}
    post.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    await until(lambda: caller.notifications)
    assert not caller.is_over
    post.event({"content": []}, as_answer=True)
    post.end()
    assert (await caller.over()).result["resultType"] == "complete"


@in_reactor
async def test_a_call_that_is_paused_hears_nothing_until_it_is_resumed(
    serve: Serve, attach: Attach
) -> None:
    site = serve(modern)
    server, caller = attach(site), Caller()
    running = server.call(tool_call("slow"), caller)
    post = await asked(site)
    running.pause()
    post.event({"content": []}, as_answer=True)
    post.end()
    other = call(server)
    (await asked(site, 2)).result({"content": ["quick"]})
    await other.over()
    assert not caller.is_over
    running.resume()
    assert (await caller.over()).result == {"content": []}
    running.pause()
    running.resume()


@pytest.mark.parametrize("lost_status", [404, 400])
@in_reactor
async def test_a_lost_session_is_begun_again_unnoticed(
    serve: Serve, attach: Attach, lost_status: int
) -> None:
    """A server that was started again; some say 400 where 404 is meant."""
    legacy = Legacy()
    legacy.lost_status = lost_status
    site = serve(legacy)
    server = await ready(attach(site))
    legacy.sessions.clear()
    callers = [call(server), call(server)]
    await until(lambda: len([p for p in site.asked("tools/call") if p.session == "session-2"]) == 2)
    for post in site.asked("tools/call"):
        if post.session == "session-2":
            post.result({"content": []})
    for caller in callers:
        assert (await caller.over()).result["content"] == []
    assert legacy.made == 2
    assert server.status.revision == 2


@in_reactor
async def test_a_server_that_loses_every_session_is_not_asked_for_ever(
    serve: Serve, attach: Attach
) -> None:
    legacy = Legacy()
    site = serve(legacy)
    server = await ready(attach(site))
    legacy.sessions.clear()

    def forgetful(post: Post) -> None:
        legacy(post)
        legacy.sessions.clear()

    site.rule = forgetful
    caller = await call(server).over()
    assert failed(caller)[1] is Outcome.NOT_DELIVERED
    assert "answered with HTTP 404 and no result" in failed(caller)[0]
    assert len(site.asked("tools/call")) == 2


@in_reactor
async def test_a_late_word_of_a_lost_session_does_not_end_the_new_one(
    serve: Serve, attach: Attach
) -> None:
    legacy = Legacy()
    site = serve(legacy)
    server = await ready(attach(site))
    slow = call(server, "slow")
    post = await asked(site)
    legacy.sessions.clear()
    quick = call(server, "quick")
    await until(lambda: legacy.made == 2)
    (await asked(site, 3)).result({"content": []})
    await quick.over()
    post.error(-32000, "who are you?", status=404)
    (await asked(site, 4)).result({"content": [], "late": True})
    assert (await slow.over()).result["late"]
    assert legacy.made == 2


@pytest.mark.parametrize("rule", [modern, Legacy()])
@in_reactor
async def test_cancelling_reaches_the_server(serve: Serve, attach: Attach, rule: Any) -> None:
    site = serve(rule)
    server = await ready(attach(site))
    caller = Caller()
    cancel = server.call(tool_call("slow"), caller).cancel
    post = await asked(site)
    cancel("gone")
    await until(lambda: post.is_gone)
    if rule is not modern:
        await until(lambda: site.asked("notifications/cancelled"))
        (told,) = site.asked("notifications/cancelled")
        assert told.message["params"]["requestId"] == post.message["id"]
    cancel("again")
    assert not caller.is_over


@in_reactor
async def test_a_call_that_waits_is_cancelled_without_being_asked(
    serve: Serve, attach: Attach
) -> None:
    site = serve(modern)
    server = attach(site)
    server.call(tool_call("slow"), Caller()).cancel("never mind")
    await ready(server)
    caller = call(server)
    (await asked(site)).result(CONTENT)
    await caller.over()


@in_reactor
async def test_a_call_without_an_answer_is_given_up(
    serve: Serve, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "SWEEP_INTERVAL_S", 0.02)
    site = serve(modern)
    server = await ready(attach(site, timeout_s=0.2))
    caller = call(server)
    post = await asked(site)
    await caller.over()
    assert failed(caller) == ("The server 'web' gave no answer within 0.2 s.", Outcome.UNKNOWN)
    await until(lambda: post.is_gone)


@in_reactor
async def test_a_server_that_goes_away_and_comes_back(
    serve: Serve, attach: Attach, free_port: int, log: Log
) -> None:
    """Nobody listens at first: a call fails with the try that it waited for. It is found then."""
    server = attach(f"http://127.0.0.1:{free_port}/mcp")
    waiting = call(server)
    await waiting.over()
    assert "The server 'web' cannot be reached: " in failed(waiting)[0]
    assert failed(waiting)[1] is Outcome.NOT_DELIVERED
    assert server.status.state is ServerState.FAILED
    assert "nothing listens there" in server.status.detail
    again = call(server)
    assert not again.is_over
    await again.over()
    assert failed(again) == failed(waiting)
    assert log.count("server web: cannot be reached: ") == 1
    site = serve(modern, free_port)
    await ready(server)
    caller = call(server)
    (await asked(site)).result(CONTENT)
    await caller.over()


@in_reactor
async def test_a_connection_that_breaks_fails_its_call_alone(serve: Serve, attach: Attach) -> None:
    site = serve(modern)
    server = await ready(attach(site))
    broken, other = call(server), call(server)
    await asked(site, 2)
    site.asked("tools/call")[0].break_off()
    await until(lambda: broken.is_over or other.is_over)
    one, two = (broken, other) if broken.is_over else (other, broken)
    text, outcome = failed(one)
    assert text.startswith("The server 'web' gave no whole answer: ")
    assert outcome is Outcome.UNKNOWN
    await until(lambda: len(site.asked("server/discover")) == 2)
    await ready(server)
    assert not two.is_over


@in_reactor
async def test_what_runs_is_not_given_up_because_a_handshake_fails(
    serve: Serve, attach: Attach
) -> None:
    """Its own connection says how it ends; and it can be cancelled."""
    site = serve(modern)
    server = await ready(attach(site))
    running, cancelled = call(server), Caller()
    post = await asked(site)
    cancel = server.call(tool_call("slow"), cancelled).cancel
    slow = await asked(site, 2)
    site.rule = lambda post: post.text(401)
    doubtful = call(server)
    await doubtful.over()
    assert failed(doubtful)[1] is Outcome.UNKNOWN
    await until(lambda: server.status.state is ServerState.FAILED)
    assert "asks for credentials (HTTP status 401)" in server.status.detail
    assert not running.is_over
    cancel("gone")
    await until(lambda: slow.is_gone)
    post.result(CONTENT)
    assert (await running.over()).result == CONTENT


@in_reactor
async def test_a_call_that_wants_a_new_session_does_not_wait_for_the_next_attempt(
    serve: Serve, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "FIRST_DELAY_S", 600.0)
    legacy = Legacy()
    site = serve(legacy)
    server = await ready(attach(site))
    slow = call(server)
    post = await asked(site)
    site.rule = lambda post: post.text(401)
    await call(server).over()
    await until(lambda: server.status.state is ServerState.FAILED)
    site.rule = legacy
    post.error(-32001, "Session not found", status=404)
    (await asked(site, 3)).result({"content": []})
    assert (await slow.over()).result["content"] == []


@in_reactor
async def test_a_server_that_changed_its_era_is_understood_again(
    serve: Serve, attach: Attach
) -> None:
    legacy = Legacy()
    site = serve(modern)
    server = await ready(attach(site))
    site.rule = lambda post: post.text(406) if "mcp-method" in post.fields else legacy(post)
    assert failed(await call(server).over())[1] is Outcome.UNKNOWN
    await ready(server)
    assert server.status.era == "legacy"


@in_reactor
async def test_a_server_that_never_answers_is_unusable_after_a_while(
    serve: Serve, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HANDSHAKE_TIMEOUT_S", 0.2)
    server = attach(serve(silent))
    caller = await call(server).over()
    text = "The server 'web' cannot be reached: no answer within 0.2 s."
    assert failed(caller) == (text, Outcome.NOT_DELIVERED)


@in_reactor
async def test_no_more_than_so_many_calls_wait(
    serve: Serve, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_WAITING", 2)
    server = attach(serve(silent))
    callers = [call(server) for _ in range(3)]
    assert [caller.is_over for caller in callers] == [False, False, True]
    assert failed(callers[2])[1] is Outcome.NOT_DELIVERED


@in_reactor
async def test_stop_fails_what_is_open_and_drops_the_connections(
    serve: Serve, attach: Attach
) -> None:
    site = serve(modern)
    server = await ready(attach(site))
    caller = call(server)
    post = await asked(site)
    await server.stop()
    assert failed(caller) == ("The server 'web' was stopped.", Outcome.UNKNOWN)
    await until(lambda: post.is_gone)
    assert failed(call(server)) == ("The server 'web' is stopped.", Outcome.NOT_DELIVERED)


@in_reactor
async def test_stop_in_the_middle_of_a_handshake(serve: Serve, attach: Attach) -> None:
    site = serve(silent)
    server = attach(site)
    await until(lambda: site.posts)
    await server.stop()
    await until(lambda: site.posts[0].is_gone)
    assert server.status.state is ServerState.STOPPED


@in_reactor
async def test_stop_while_waiting_for_the_next_attempt(attach: Attach, free_port: int) -> None:
    server = attach(f"http://127.0.0.1:{free_port}/mcp")
    await until(lambda: server.status.state is ServerState.FAILED)
    await server.stop()
    assert server.status.state is ServerState.STOPPED


@in_reactor
async def test_restarts_at_once_begin_one_new_session(serve: Serve, attach: Attach) -> None:
    legacy = Legacy()
    site = serve(legacy)
    server = await ready(attach(site))
    held = call(server)
    await asked(site)
    orders = [Deferred.fromCoroutine(server.restart()) for _ in range(2)]
    for order in orders:
        await order
    assert failed(held)[1] is Outcome.UNKNOWN
    await ready(server)
    assert legacy.made == 2


@in_reactor
async def test_a_stop_during_a_restart_wins(serve: Serve, attach: Attach) -> None:
    server = await ready(attach(serve(modern)))
    restarting = Deferred.fromCoroutine(server.restart())
    await server.stop()
    await restarting
    assert server.status.state is ServerState.STOPPED


class Unplugged:
    """A client without a network."""

    def __init__(self, *_about: object, **_options: object) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(http, "Client", Unplugged)
    return Clock()


def unplugged(clock: Clock) -> HttpServer:
    config = ServerConfig(name="web", kind="http", url="http://127.0.0.1:1/mcp")
    return HttpServer(clock, config, client_info=CLIENT_INFO, states=STATES, changed=lambda: None)


def test_attempts_grow_rarer_and_an_agreement_resets_that(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts_s, agreed = list[float](), list[Deferred[Agreed]]()

    async def agree(*_about: object) -> Agreed:
        attempts_s.append(clock.seconds())
        agreed.append(Deferred())
        return await agreed[-1]

    monkeypatch.setattr(http, "agree", agree)
    server = unplugged(clock)
    server.start()
    for _ in range(20):
        agreed[-1].errback(Unusable("cannot be used"))
        clock.pump([0.5] * 61)
    assert 29 < attempts_s[-1] - attempts_s[-2] < 31.5
    agreed[-1].callback(MODERN)
    assert server.status.state is ServerState.READY
    server._agree()
    agreed[-1].errback(Unusable("cannot be used"))
    clock.advance(0.1)
    assert attempts_s[-1] == clock.seconds()
    stopping = Deferred.fromCoroutine(server.stop())
    assert done(stopping)
    assert not clock.getDelayedCalls()


def test_a_handshake_that_fails_at_once_is_tried_again(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, logged_failures: Any
) -> None:
    attempts = list[int]()

    async def agree(*_about: object) -> Agreed:
        attempts.append(1)
        raise OSError("out of files")

    monkeypatch.setattr(http, "agree", agree)
    server = unplugged(clock)
    server.start()
    assert server.status.detail == "cannot be used"
    clock.advance(0.1)
    assert len(attempts) == 2
    assert logged_failures.take(OSError)
    assert done(Deferred.fromCoroutine(server.stop()))
    assert not clock.getDelayedCalls()


@in_reactor
async def test_no_more_than_so_many_connections_are_made(
    serve: Serve, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further calls wait, and are asked when a connection is free."""
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 2)
    site = serve(modern)
    server = await ready(attach(site))
    callers = [call(server) for _ in range(3)]
    await asked(site, 2)
    site.posts[-1].result(CONTENT)
    (await asked(site, 3)).result(CONTENT)
    await until(lambda: sum(caller.is_over for caller in callers) == 2)

"""Sessions of legacy HTTP servers and their streams, with real servers on the loopback."""

import pytest

from mcptunnel.agent.servers import http_handshake, http_stream
from mcptunnel.mcp.announcement import ServerState
from tests.agent import Caller, in_reactor, request, until
from tests.agent.servers.conftest import Attach, Serve
from tests.agent.servers.http_servers import Get, Legacy
from tests.agent.servers.test_http import asked, call, ready

CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


def streaming(get: Get) -> None:
    get.write()


@in_reactor
async def test_a_legacy_server_is_listened_to_and_told_of_the_end(
    serve: Serve, attach: Attach
) -> None:
    site = serve(Legacy())
    site.on_get = streaming
    server = await ready(attach(site, headers={"x-mine": "yes"}))
    await until(lambda: site.gets)
    fields = site.gets[0].fields
    assert (fields["mcp-session-id"], fields["x-mine"]) == ("session-1", "yes")
    assert (fields["accept"], fields["mcp-protocol-version"]) == ("text/event-stream", "2025-11-25")
    site.gets[0].event(CHANGED)
    await until(lambda: server.status.revision == 2)
    await server.stop()
    assert site.gets[0].is_gone
    assert site.deleted == ["session-1"]


@in_reactor
async def test_a_server_that_forgot_the_session_of_its_stream_is_greeted_again(
    serve: Serve, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_stream, "FIRST_DELAY_S", 0.01)
    legacy = Legacy()
    site = serve(legacy)

    def on_get(get: Get) -> None:
        if get.fields["mcp-session-id"] in legacy.sessions:
            get.write()
        else:
            get.status(404)

    site.on_get = on_get
    server = await ready(attach(site))
    await until(lambda: site.gets)
    legacy.sessions.clear()
    site.gets[0].end()
    await until(lambda: legacy.made == 2)
    await ready(server)
    await until(lambda: len(site.gets) == 3)
    assert server.status.state is ServerState.READY


@in_reactor
async def test_a_stream_that_the_server_closes_early_is_read_on(
    serve: Serve, attach: Attach
) -> None:
    """2025-11-25: the answer comes on a GET."""
    site = serve(Legacy())
    server = await ready(attach(site))
    caller = call(server)
    post = await asked(site)
    answer = {"jsonrpc": "2.0", "id": post.message["id"], "result": {"content": ["late"]}}

    def on_get(get: Get) -> None:
        get.event(answer, id="2")
        get.end()

    site.on_get = on_get
    post.priming("retry: 5\n")
    post.end()
    assert (await caller.over()).result["content"] == ["late"]
    assert site.gets[-1].fields["last-event-id"] == "1"


@in_reactor
async def test_a_server_that_does_not_take_the_end_of_a_session_holds_up_nobody(
    serve: Serve, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_handshake, "GOODBYE_S", 0.05)
    site = serve(Legacy())
    site.takes_deletes = False
    server = await ready(attach(site))
    await server.stop()
    assert site.deleted == ["session-1"]
    assert server.status.state is ServerState.STOPPED


@in_reactor
async def test_a_listen_moves_on_to_the_next_session(serve: Serve, attach: Attach) -> None:
    legacy = Legacy(capabilities={"tools": {"listChanged": True}})
    site = serve(legacy)
    site.on_get = streaming
    server = await ready(attach(site))
    listener = Caller()
    wanted = {"toolsListChanged": True}
    listening = server.call(request("subscriptions/listen", notifications=wanted), listener)
    legacy.sessions.clear()
    caller = call(server)
    (await asked(site, 2)).result({"content": []})
    await caller.over()
    await until(lambda: len(site.gets) == 2)
    site.gets[-1].event(CHANGED)
    await until(lambda: len(listener.notifications) == 3)
    listening.cancel("gone")
    assert server.is_idle
    site.gets[-1].event(CHANGED)
    caller = call(server)
    (await asked(site, 3)).result({"content": []})
    await caller.over()
    assert len(listener.notifications) == 3

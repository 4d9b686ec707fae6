"""Which clients an HTTP server serves itself."""

from twisted.internet.task import Clock

from mcptunnel.agent.servers import http_passages
from mcptunnel.agent.servers.http import HttpServer
from mcptunnel.agent.servers.http_passages import Passages
from mcptunnel.agent.servers.interfaces import Passage
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.versions import Era
from tests.agent import CLIENT_INFO, in_reactor, until
from tests.agent.servers.conftest import Attach, Serve
from tests.agent.servers.http_servers import Legacy, Post, modern, silent

BOTH = frozenset(Era)
MODERN, LEGACY = frozenset({Era.MODERN}), frozenset({Era.LEGACY})


class Found:
    """Asks, and remembers what was found."""

    def __init__(self, server: HttpServer | Passages, era: Era) -> None:
        self.told: list[Passage | None] = []
        find = server.find if isinstance(server, Passages) else server.find_passage
        find(era, self.told.append)

    async def passage(self) -> Passage | None:
        await until(lambda: bool(self.told))
        (passage,) = self.told
        return passage


async def eras(server: HttpServer, era: Era) -> frozenset[Era] | None:
    passage = await Found(server, era).passage()
    return None if passage is None else passage.eras


def dual(post: Post) -> None:
    """Be a server of both eras that names only its modern versions, as those of the SDKs."""
    (legacy if post.method == "initialize" else modern)(post)


legacy = Legacy()


@in_reactor
async def test_a_modern_server_serves_modern_clients(serve: Serve, attach: Attach) -> None:
    """Whether it serves the others is tried once, when the first of them comes, and both wait for it."""
    site = serve(modern)
    server = attach(site)
    assert await eras(server, Era.MODERN) == MODERN
    assert not site.asked("initialize")
    site.rule = silent
    first, second = Found(server, Era.LEGACY), Found(server, Era.LEGACY)
    await until(lambda: bool(site.asked("initialize")))
    assert not first.told + second.told
    (post,) = site.asked("initialize")
    post.error(-32601, "Method not found", status=404)
    assert await first.passage() is await second.passage() is None
    assert await eras(server, Era.LEGACY) is None
    assert await eras(server, Era.MODERN) == MODERN
    assert len(site.asked("initialize")) == 1


@in_reactor
async def test_a_server_of_both_eras_serves_everybody(serve: Serve, attach: Attach) -> None:
    """The session that showed it is ended."""
    site = serve(dual)
    server = attach(site)
    assert await eras(server, Era.LEGACY) == BOTH
    assert await eras(server, Era.MODERN) == BOTH
    await until(lambda: site.deleted == [legacy.sessions[-1]])
    assert await eras(server, Era.LEGACY) == BOTH
    assert len(site.asked("initialize")) == 1


@in_reactor
async def test_a_legacy_server_serves_legacy_clients(serve: Serve, attach: Attach) -> None:
    server = attach(serve(Legacy()))
    assert await eras(server, Era.LEGACY) == LEGACY
    assert await eras(server, Era.MODERN) is None


@in_reactor
async def test_a_trial_without_an_answer_decides_nothing(serve: Serve, attach: Attach) -> None:
    """The agent speaks for the server this time, and the next client is another try."""
    site = serve(modern)
    server = attach(site)
    await eras(server, Era.MODERN)
    for break_off in (Post.break_off, lambda post: post.text(503)):
        site.rule = break_off
        assert await eras(server, Era.LEGACY) is None
    site.rule = dual
    assert await eras(server, Era.LEGACY) == BOTH


@in_reactor
async def test_whoever_comes_before_the_handshake_waits_for_it(
    serve: Serve, attach: Attach
) -> None:
    site = serve(silent)
    server = attach(site)
    found = Found(server, Era.MODERN)
    await until(lambda: bool(site.posts))
    assert not found.told
    site.rule = modern
    modern(site.posts[0])
    assert await found.passage() is not None


@in_reactor
async def test_a_server_that_we_do_not_understand_may_understand_its_clients(
    serve: Serve, attach: Attach
) -> None:
    """It is asked again for whoever comes, but not for all who come within a second."""
    site = serve(lambda post: post.text(500))
    server = attach(site)
    await until(lambda: server.status.state is ServerState.FAILED)
    assert await eras(server, Era.LEGACY) == BOTH
    count = len(site.posts)
    assert await eras(server, Era.MODERN) == BOTH
    assert len(site.posts) == count
    server._failed_s -= 10
    site.rule = Legacy()
    assert await eras(server, Era.MODERN) is None


@in_reactor
async def test_a_server_that_cannot_be_reached_is_asked_afresh(
    serve: Serve, attach: Attach
) -> None:
    """It may be of another era by then."""
    site = serve(modern)
    server = attach(site)
    passage = await Found(server, Era.MODERN).passage()
    assert passage is not None
    site.rule = Legacy()
    passage.unreachable()
    assert server.status.state is ServerState.STARTING
    assert await eras(server, Era.MODERN) is None


@in_reactor
async def test_a_stopped_server_has_no_passage(serve: Serve, attach: Attach) -> None:
    """And who waits for one hears so; the way itself has the agent's fields, and takes queries."""
    site = serve(modern)
    server = attach(site, headers={"X-Api-Key": "own"})
    passage = await Found(server, Era.MODERN).passage()
    assert passage is not None
    assert (passage.headers, passage.takes_query) == ((("x-api-key", "own"),), True)
    site.rule = silent
    waiting = Found(server, Era.LEGACY)
    await until(lambda: bool(site.asked("initialize")))
    await server.stop()
    assert waiting.told == [None]
    assert await eras(server, Era.MODERN) is None


@in_reactor
async def test_a_url_with_a_query_takes_no_other(serve: Serve, attach: Attach) -> None:
    passage = await Found(attach(serve(modern).url + "?key=own"), Era.MODERN).passage()
    assert passage is not None
    assert not passage.takes_query


@in_reactor
async def test_a_verdict_grows_old(serve: Serve, attach: Attach) -> None:
    """A modern server may begin to serve legacy clients, with no restart of the agent's."""
    site = serve(lambda post: modern(post) if post.method != "initialize" else post.text(404))
    server = attach(site)
    assert await eras(server, Era.LEGACY) is None
    site.rule = dual
    assert await eras(server, Era.LEGACY) is None
    server._passages._tried_s -= http_passages.VERDICT_S
    assert await eras(server, Era.LEGACY) == BOTH


def test_nobody_is_served_before_anything_is_known() -> None:
    assert Found(Passages(Clock(), CLIENT_INFO), Era.LEGACY).told == [None]

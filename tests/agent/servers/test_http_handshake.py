"""Finding out which era a real HTTP server speaks."""

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mcptunnel.agent.servers.http_handshake import Unusable, agree, post
from mcptunnel.net.http1 import Client
from tests.agent import CLIENT_INFO, in_reactor, the_reactor, until
from tests.agent.servers import MODERN_RESULT
from tests.agent.servers.conftest import Connect, Serve
from tests.agent.servers.http_servers import Legacy, Post, Rule, modern, silent

HEADERS = (("authorization", "Bearer local"),)


@in_reactor
async def test_a_modern_server_is_agreed_with_in_one_request(
    serve: Serve, connect: Connect
) -> None:
    site = serve(modern)
    agreed = await agree(connect(site), HEADERS, CLIENT_INFO)
    assert (agreed.info.version, agreed.session) == ("2026-07-28", None)
    (probe,) = site.posts
    assert probe.fields["authorization"] == "Bearer local"
    assert probe.fields["mcp-protocol-version"] == "2026-07-28"
    assert probe.fields["mcp-method"] == "server/discover"


@in_reactor
async def test_a_legacy_server_gets_a_session_and_hears_that_it_began(
    serve: Serve, connect: Connect
) -> None:
    site = serve(Legacy("2025-06-18"))
    agreed = await agree(connect(site), HEADERS, CLIENT_INFO)
    assert agreed.session is not None
    assert agreed.session.session_id == "session-1"
    assert [post.method for post in site.posts] == [
        "server/discover",
        "initialize",
        "notifications/initialized",
    ]
    last = site.posts[-1].fields
    assert (last["mcp-session-id"], last["mcp-protocol-version"]) == ("session-1", "2025-06-18")


@in_reactor
async def test_an_answer_in_an_event_stream_counts_even_if_that_never_ends(
    serve: Serve, connect: Connect
) -> None:
    def streaming(post: Post) -> None:
        post.priming()
        post.event({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
        post.event(MODERN_RESULT, as_answer=True)

    agreed = await agree(connect(serve(streaming)), (), CLIENT_INFO)
    assert agreed.info.version == "2026-07-28"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda post: post.text(401, "who?", www_authenticate="Bearer"), "credentials"),
        (lambda post: post.text(403), "forbids the request (HTTP status 403)"),
        (lambda post: post.text(307, location="/elsewhere"), "redirects to another address"),
        (lambda post: post.text(200, "<html>"), "did not answer initialize as MCP"),
        (lambda post: post.text(404), "did not answer initialize as MCP (HTTP status 404)"),
        (lambda post: post.text(500, "oh"), "a problem of its own (HTTP status 500)"),
        (lambda post: post.error(-32601, "nothing here"), "refused initialize: nothing here"),
        (lambda post: post.break_off(), "cannot be reached: "),
    ],
)
@in_reactor
async def test_what_is_no_usable_mcp_server_is_told(
    serve: Serve, connect: Connect, rule: Rule, said: str
) -> None:
    with pytest.raises(Unusable) as caught:
        await agree(connect(serve(rule)), (), CLIENT_INFO)
    assert said in str(caught.value)


@in_reactor
async def test_where_nobody_listens_is_told(free_port: int) -> None:
    client = Client(the_reactor(), f"http://127.0.0.1:{free_port}/mcp")
    with pytest.raises(Unusable, match=r"cannot be reached: .* nothing listens there"):
        await agree(client, (), CLIENT_INFO)
    await client.close()


@in_reactor
async def test_what_cannot_be_sent_is_told(serve: Serve, connect: Connect) -> None:
    with pytest.raises(Unusable, match="cannot be asked"):
        await post(connect(serve(modern)), (("x-odd", "a\0b"),), b"{}")


@in_reactor
async def test_cancelling_drops_the_request(serve: Serve, connect: Connect) -> None:
    site = serve(silent)
    agreeing = Deferred.fromCoroutine(agree(connect(site), (), CLIENT_INFO))
    await until(lambda: site.posts)
    agreeing.cancel()
    with pytest.raises(CancelledError):
        await agreeing
    await until(lambda: site.posts[0].is_gone)

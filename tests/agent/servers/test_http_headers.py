"""Calls of a modern server that wants arguments in headers of which nobody has told us."""

from tests.agent import Caller, in_reactor, tool_call, until
from tests.agent.servers.conftest import Attach, Serve
from tests.agent.servers.http_servers import Post, modern

TOOLS = {
    "tools": [
        {
            "name": "read",
            "inputSchema": {
                "type": "object",
                "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
            },
        }
    ]
}
CONTENT = {"resultType": "complete", "content": []}


def strict(post: Post) -> None:
    """Refuse a call without the header."""
    if post.method == "tools/list":
        post.result(TOOLS)
    elif post.method != "tools/call":
        modern(post)
    elif "mcp-param-region" in post.fields:
        post.result(CONTENT)
    else:
        post.error(-32020, "The header Mcp-Param-Region is missing", status=400)


@in_reactor
async def test_the_tools_are_listed_and_the_call_is_made_again(
    serve: Serve, attach: Attach
) -> None:
    """It had not run; the next call needs no list."""
    site = serve(strict)
    server = attach(site)
    for _ in range(2):
        caller = Caller()
        server.call(tool_call("read", region="eu"), caller)
        assert (await caller.over()).result == CONTENT
    assert [post.method for post in site.posts if post.method.startswith("tools/")] == [
        "tools/call",
        "tools/list",
        "tools/call",
        "tools/call",
    ]


@in_reactor
async def test_a_list_that_does_not_tell_is_no_help(serve: Serve, attach: Attach) -> None:
    def silent_about_it(post: Post) -> None:
        if post.method == "tools/list":
            post.result({"tools": []})
        else:
            strict(post)

    site = serve(silent_about_it)
    server = attach(site)
    caller = Caller()
    server.call(tool_call("read", region="eu"), caller)
    await until(lambda: caller.failure is not None)
    assert caller.failure is not None
    assert "wants headers" in caller.failure.text
    assert caller.failure.outcome == "not_delivered"
    assert len(site.asked("tools/call")) == 2


@in_reactor
async def test_a_call_that_was_given_up_is_not_made_again(serve: Serve, attach: Attach) -> None:
    lists: list[Post] = []

    def slow(post: Post) -> None:
        if post.method == "tools/list":
            lists.append(post)
        else:
            strict(post)

    site = serve(slow)
    server = attach(site)
    call = server.call(tool_call("read", region="eu"), Caller())
    await until(lambda: bool(lists))
    call.cancel("enough")
    lists[0].result(TOOLS)
    caller = Caller()
    server.call(tool_call("read", region="eu"), caller)
    await caller.over()
    assert len(site.asked("tools/call")) <= 3
    assert server.is_idle

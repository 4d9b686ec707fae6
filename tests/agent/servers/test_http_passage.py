"""The way to an HTTP server for requests that are passed on as they are."""

from tests.agent import in_reactor
from tests.agent.servers.conftest import Attach, Serve
from tests.agent.servers.http_servers import modern


@in_reactor
async def test_requests_can_be_passed_on_while_it_is_not_stopped(
    serve: Serve, attach: Attach
) -> None:
    """Whether it speaks MCP as we understand it or not; with the agent's own fields."""
    server = attach(serve(modern), headers={"X-Api-Key": "own"})
    passage = server.passage
    assert passage is not None
    assert passage.headers == (("x-api-key", "own"),)
    await server.stop()
    assert server.passage is None

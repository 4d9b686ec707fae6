"""Whose a URI is at a moment, and what it took to see that."""

import pytest

from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.mcp.kinds import MAX_URI_CHARS
from mcptunnel.model import Principal
from mcptunnel.relay.hub.owners import Owners
from mcptunnel.testing.joined import Joined
from tests.relay.hub.servers import with_resources


def known(joined: Joined) -> Owners:
    """Let the hub learn of all resources."""
    client = joined.client()
    client.request("resources/templates/list")
    client.request("resources/list")
    return now(joined)


def now(joined: Joined) -> Owners:
    parts = joined.hub.parts
    return parts.owners.now(Principal("local", "alice"), parts.epoch_s())


def test_what_is_listed_comes_before_a_template_and_that_before_the_only_server() -> None:
    joined = Joined()
    joined.agent(with_resources("a", "x:1"), with_resources("b", templates=("x:{+a}",)))
    owners = known(joined)
    assert (owners.of("x:1").server, owners.of("x:2").server) == ("a", "b")
    with pytest.raises(JsonRpcError, match="none of the 2 servers"):
        owners.of("y:1")
    with pytest.raises(JsonRpcError, match="none of the 2 servers"):
        owners.of("x:" + "y" * MAX_URI_CHARS)


def test_the_only_server_with_resources_is_asked_for_anything() -> None:
    joined = Joined()
    joined.agent(with_resources("a", "x:1"))
    assert known(joined).of("y:1").server == "a"


def test_templates_are_put_in_order_once_until_they_change() -> None:
    joined = Joined()
    joined.agent(with_resources("a", templates=("x:{+a}",)))
    index = known(joined)._index
    assert now(joined)._index is index
    joined.agent(with_resources("b", templates=("y:{+a}",)), name="tower")
    assert known(joined)._index is not index
    assert now(joined).of("y:1").server == "b"


def test_steps_are_those_of_this_moment() -> None:
    joined = Joined()
    joined.agent(with_resources("a", templates=("x:{+a}",)))
    owners = known(joined)
    assert owners.steps == 0
    owners.of("x:1")
    before = owners.steps
    assert before >= 2
    owners.of("x:2")
    assert owners.steps == 2 * before
    assert now(joined).steps == 0

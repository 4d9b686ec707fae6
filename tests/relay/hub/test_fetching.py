"""One question to one server, within a time and a size; what it says itself is in the error."""

import json

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mcptunnel.mcp.features import Features
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR
from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.hub.fetching import MAX_ABOUT_BYTES, FetchFailed, Fetching
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_prompts


def fetching(joined: Joined) -> Fetching:
    return Fetching(
        joined.clock,
        joined.hub.calls,
        client_info=joined.hub.server_info,
        timeout_s=5.0,
        max_result_bytes=10_000,
    )


def about(joined: Joined) -> Features:
    (device,) = joined.devices.everyone()
    asked = Deferred.fromCoroutine(fetching(joined).about(device, "files"))
    joined.wait_s(6)
    found: list[Features] = []
    errors: list[Exception] = []
    asked.addCallbacks(found.append, lambda failure: errors.append(failure.value))
    if errors:
        raise errors[0]
    return found[0]


def test_what_a_server_can_do() -> None:
    joined = Joined()
    joined.agent(with_prompts())
    assert about(joined).kinds == {Kind.TOOL, Kind.PROMPT}


def test_a_server_lists_all_that_it_has_for_who_can_do_all() -> None:
    """Some offer what asks, or what has a page, only to clients that declare it."""
    joined, server = Joined(), MemoryServer("files", {"t": None})
    joined.agent(server)
    joined.client().tools()
    (listed,) = (one for one in server.requests if one.method == "tools/list")
    about = json.loads(bytes(listed.params["_meta"]))
    declared = about["io.modelcontextprotocol/clientCapabilities"]
    assert declared.keys() == {"elicitation", "sampling", "roots", "extensions"}


def test_its_own_error_is_told_with_its_code() -> None:
    joined, server = Joined(), MemoryServer("files")
    joined.agent(server)
    server.answers["tools/list"] = None
    server.holds_lists = True
    (device,) = joined.devices.everyone()
    asked = Deferred.fromCoroutine(fetching(joined).all_pages(device, "files", Kind.TOOL))
    joined.settle()
    server.calls[0].error(INTERNAL_ERROR, "no")
    joined.settle()
    errors: list[object] = []
    asked.addBoth(errors.append)
    (failure,) = errors
    assert isinstance(failure, Failure)
    assert isinstance(failure.value, FetchFailed)
    assert (str(failure.value), failure.value.code) == ("no", INTERNAL_ERROR)


def test_a_server_that_says_too_much_or_nothing() -> None:
    joined, server = Joined(), MemoryServer("files")
    joined.agent(server)
    server.about = {"instructions": "x" * MAX_ABOUT_BYTES}
    with pytest.raises(FetchFailed, match="more than"):
        about(joined)
    server.answers["server/discover"] = None
    with pytest.raises(FetchFailed, match="no answer within 5 s"):
        about(joined)

"""What the hub says it can do: what its servers can, at once, whoever is there."""

from typing import Any

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_prompts, with_resources

EVERYTHING = {"tools", "prompts", "resources", "completions", "logging"}


def capabilities(joined: Joined, user: str = "alice") -> Any:
    answer = joined.client(user).request("server/discover")
    assert answer.is_over
    return answer.value["capabilities"]


CHANGES = {"listChanged": True}


def test_what_one_server_can_the_hub_can() -> None:
    joined = Joined()
    assert capabilities(joined) == {"tools": CHANGES}
    joined.agent(MemoryServer("plain", {"t": None}), with_prompts("p"))
    assert capabilities(joined) == {"tools": CHANGES, "prompts": CHANGES}
    joined.agent(with_resources("r"), name="tower")
    assert capabilities(joined) == {
        "tools": CHANGES,
        "prompts": CHANGES,
        "resources": {**CHANGES, "subscribe": True},
    }
    assert capabilities(joined, "bob") == {"tools": CHANGES}


def test_it_is_known_while_every_agent_is_away() -> None:
    joined = Joined()
    joined.lose(joined.agent(with_prompts("p")))
    assert capabilities(joined) == {"tools": CHANGES, "prompts": CHANGES}


def test_what_is_not_known_yet_is_taken_for_granted() -> None:
    """A server that starts, a device known from before the relay started; not one that failed."""
    joined, server = Joined(), with_prompts("p")
    server.become(ServerState.STARTING)
    joined.agent(server)
    assert capabilities(joined).keys() == EVERYTHING
    server.become(ServerState.FAILED)
    joined.settle()
    assert capabilities(joined) == {"tools": CHANGES}

    later = Joined()
    later.devices.restore([Device(Principal("local", "alice"), "i", "laptop", 0.0, 0.0)])
    assert capabilities(later).keys() == EVERYTHING


def test_a_server_that_does_not_answer_holds_up_nobody() -> None:
    joined, server = Joined(), MemoryServer("mute")
    server.answers["server/discover"] = None
    joined.agent(server)
    assert capabilities(joined).keys() == EVERYTHING
    joined.wait_s(HubConfig().server_timeout_s)
    assert "does not tell what it can do: no answer" in joined.client().call("status").text


def test_instructions_of_all_servers_under_their_names() -> None:
    joined = Joined(hub=HubConfig(offline_grace_s=60))
    for device in ("laptop", "tower"):
        server = MemoryServer("files")
        server.about = {"instructions": f"Only on the {device}."}
        agent = joined.agent(server, name=device)
        told = joined.client().request("server/discover").value["instructions"]
        assert told.startswith("These tools run")
        assert f"\n\nOnly on the {device}." in told
    assert "## files on laptop\n" in told
    joined.lose(agent)
    joined.wait_s(61)
    told = joined.client().request("server/discover").value["instructions"]
    assert "tower" not in told

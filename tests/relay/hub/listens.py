"""Listens of clients on the hub, for tests."""

from typing import Any

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub import listening
from mcptunnel.testing.joined import Answer, Joined
from mcptunnel.testing.local_server import MemoryServer

LISTEN = "subscriptions/listen"


UPDATED = "notifications/resources/updated"


def listen(joined: Joined, *uris: str, user: str = "alice", **lists: bool) -> Answer:
    wishes = {**lists, **({"resourceSubscriptions": list(uris)} if uris else {})}
    answer = joined.client(user).request(LISTEN, {"notifications": wishes}, request_id="l")
    joined.wait_s(listening.PAUSE_S)
    return answer


def honoured(answer: Answer) -> Any:
    first = answer.notifications[0]
    assert first.method == "notifications/subscriptions/acknowledged"
    return jsonrpc.decode(first.params["notifications"])


def updates(answer: Answer) -> list[str]:
    """Return the URIs that the client heard of since the last look."""
    uris = [jsonrpc.text(m.params["uri"]) for m in answer.notifications if m.method == UPDATED]
    answer.notifications.clear()
    return [uri for uri in uris if uri]


def known(joined: Joined, user: str = "alice") -> list[str]:
    """Let the hub learn of all resources; return their URIs."""
    client = joined.client(user)
    client.request("resources/templates/list")
    return [one["uri"] for one in client.request("resources/list").value["resources"]]


def wanted(server: MemoryServer) -> list[str]:
    """Return the URIs that the hub listens to at a server now."""
    (open_listen,) = [one for one in server.listens if not one.is_over]
    uris: list[str] = open_listen.wishes.get("resourceSubscriptions", [])
    return uris


GRACE = HubConfig(offline_grace_s=60)


def restarted(*uris: str) -> tuple[Joined, Answer]:
    """Return a relay that knows one device from before it started, and a listen."""
    joined = Joined(hub=GRACE)
    there = Device(Principal("local", "alice"), "installation-1000", "laptop", 0.0, 0.0)
    joined.devices.restore([there])
    row = ("file:///old", "installation-1000", "shelf", "file:///old")
    joined.hub.tables.restore(Principal("local", "alice"), "uri", [row])
    return joined, listen(joined, *uris, toolsListChanged=True)

"""The table of listens, which outlives processes: what is wanted, and how much of it."""

from contextlib import suppress

import pytest

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.mcp.server_half.listens import (
    MAX_LISTENS,
    MAX_LISTENS_OF_ASKER,
    MAX_LISTENS_OF_CLIENT,
    MAX_URIS,
    OWN_KEY,
    Kind,
    Listens,
    own_request,
)
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from tests.mcp.server_half.bench import KEN
from tests.mcp.server_half.talk import plain, request


def listen(**wanted: object) -> jsonrpc.Request:
    return request("id", "subscriptions/listen", notifications=wanted)


def test_a_listen_is_read() -> None:
    found = Listens().add(
        1,
        listen(toolsListChanged=True, promptsListChanged=False, resourceSubscriptions=["a", "a"]),
        KEN,
    )
    assert (set(found.kinds), set(found.uris), found.asker) == ({Kind.TOOLS}, {"a"}, KEN)
    nothing = Listens().add(1, request("id", "subscriptions/listen"))
    assert not nothing.kinds
    assert not nothing.uris


@pytest.mark.parametrize("wanted", [{"toolsListChanged": "yes"}, {"resourceSubscriptions": [1]}])
def test_a_malformed_listen_is_refused(wanted: dict[str, object]) -> None:
    listens = Listens()
    with pytest.raises(JsonRpcError) as caught:
        listens.add(1, listen(**wanted))
    assert (caught.value.code, len(listens)) == (-32602, 0)


def test_a_listen_has_so_many_resources() -> None:
    uris = [str(number) for number in range(MAX_URIS + 1)]
    Listens().add(1, listen(resourceSubscriptions=uris[1:]))
    with pytest.raises(JsonRpcError, match="More than 1024"):
        Listens().add(1, listen(resourceSubscriptions=uris))


def test_an_asker_has_so_many_listens_and_a_server_too() -> None:
    listens = Listens()
    for key in range(MAX_LISTENS_OF_ASKER):
        listens.add(key, listen(), KEN)
    with pytest.raises(JsonRpcError, match="too many listens"):
        listens.add(1000, listen(), KEN)
    for key in range(MAX_LISTENS_OF_ASKER, MAX_LISTENS):
        listens.add(key, listen(), Asker("ken", str(key)))
    with pytest.raises(JsonRpcError, match="too many listens"):
        listens.add(1001, listen(), Asker("ken", "one more"))
    listens.add(OWN_KEY, own_request({}))
    listens.pop(3)
    listens.pop(4)
    assert 3 not in listens
    listens.add(1000, listen(), KEN)
    assert 1000 in listens


def test_the_sessions_of_one_client_leave_room_for_other_clients_and_for_the_hub() -> None:
    """A client is let open as many sessions as it likes; each counts as an asker."""
    listens = Listens()
    for key in range(MAX_LISTENS_OF_CLIENT):
        listens.add(key, listen(), Asker("local|ken", f"key-1 session-{key}", Era.LEGACY))
    for late in ("key-1 late", "key-1"):
        with pytest.raises(JsonRpcError, match="too many listens"):
            listens.add(5000, listen(), Asker("local|ken", late))
    listens.add(5001, listen(), Asker("local|ken", "key-2 session"))
    listens.add(5002, listen(), Asker("local|eve", "key-1"))
    for key in range(6000, 6000 + MAX_LISTENS):
        with suppress(JsonRpcError):
            listens.add(key, listen(), Asker("local|ken", f"key-{key}"))
    assert len(listens) == MAX_LISTENS
    listens.add(5003, listen(), Asker("local|ken", ""))
    assert 5003 in listens


def test_listens_end_in_order_with_results_under_their_own_ids() -> None:
    listens = Listens()
    listens.add(OWN_KEY, own_request({}))
    for key, request_id in ((7, "seven"), (8, 8)):
        listens.add(key, request(request_id, "subscriptions/listen"))
    ended = listens.end_all()
    assert [(one.key, plain(one.message)) for one in ended] == [
        (
            key,
            {
                "jsonrpc": "2.0",
                "id": request_id,
                "result": {
                    "resultType": "complete",
                    "_meta": {"io.modelcontextprotocol/subscriptionId": request_id},
                },
            },
        )
        for key, request_id in ((7, "seven"), (8, 8))
    ]
    assert len(listens) == 0


def test_a_notification_keeps_what_it_says_and_gets_the_listeners_id() -> None:
    found = Listens().add(1, listen())
    for about in (None, {"vendor/x": 1}):
        params = {"uri": "a"} if about is None else {"uri": "a", "_meta": about}
        encoded = {name: jsonrpc.raw(value) for name, value in params.items()}
        tagged = plain(found.tagged("n", encoded).message)
        meta = {"io.modelcontextprotocol/subscriptionId": "id", **(about or {})}
        assert tagged["params"] == {"uri": "a", "_meta": meta}
    odd = plain(found.tagged("n", {"_meta": jsonrpc.raw([1])}).message)
    assert odd["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "id"}

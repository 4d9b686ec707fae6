"""Sessions over HTTP: whose they are, which versions they take, how they end."""

import pytest

from mcptunnel.mcp.client_half.session import name_of
from mcptunnel.mcp.service import Asker, client_of_session
from tests.mcp.client_half.stage import ALICE, LegacyClient, Stage, request


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def client(stage: Stage) -> LegacyClient:
    return stage.client()


@pytest.mark.parametrize(
    "asker", [Asker("local|bob", ALICE.client), Asker(ALICE.principal, "key:other")]
)
def test_a_session_is_its_askers_alone(client: LegacyClient, stage: Stage, asker: Asker) -> None:
    """To anybody else it does not exist: 404, and nothing of it happens."""
    client.call(request_id=5)
    asked = stage.take()
    thief = LegacyClient(stage, client.session, asker, client.greeting)
    refused = thief.request("tools/list", request_id="t")
    assert (refused.status, refused.code, refused.json["id"]) == (404, -32001, "t")
    assert thief.notify("notifications/cancelled", requestId=5).status == 404
    assert thief.listen().status == 404
    assert thief.delete().status == 404
    assert asked.cancelled is None
    assert not stage.asked


@pytest.mark.parametrize(
    ("version", "status"),
    [
        (None, 200),
        ("2025-03-26", 200),
        ("2025-06-18", 200),
        ("2025-11-25", 200),
        ("2024-11-05", 400),
        ("2026-07-28", 400),
        ("x", 400),
    ],
)
@pytest.mark.parametrize("agreed", ["2025-03-26", "2025-11-25"])
def test_the_version_header(stage: Stage, agreed: str, version: str | None, status: int) -> None:
    http = stage.client(agreed).request("ping", mcp_protocol_version=version)
    assert http.status == status


def test_a_session_ends_on_its_clients_word(client: LegacyClient, stage: Stage) -> None:
    http = client.call()
    ended = client.delete()
    assert (ended.status, ended.body) == (204, b"")
    assert stage.take().cancelled == "the session was ended"
    assert http.status == 202
    assert client.call().status == 404
    assert client.delete().status == 404


def test_a_session_that_the_store_ends_gives_up_its_calls(
    client: LegacyClient, stage: Stage
) -> None:
    client.call()
    stage.sessions.end(client.session)
    assert stage.take().cancelled == "the session was ended"


def test_a_session_goes_on_after_a_restart(stage: Stage) -> None:
    """All that is needed is what the store keeps; a question of before is nobody's."""
    asking = stage.client(capabilities={"roots": {}})
    http = asking.call()
    stage.take().needs({"a": {"method": "roots/list"}})
    old = http.last["id"]
    another = Stage()
    another._randoms = 5
    another.sessions.all = dict(stage.sessions.all)
    asking.stage = another
    http = asking.call()
    another.take().needs({"a": {"method": "roots/list"}})
    assert http.last["id"] != old
    assert asking.answer(old, {"roots": []}).status == 202
    assert not another.asked


def test_each_session_is_a_client_of_its_own_to_the_service(stage: Stage) -> None:
    """Its calls, batches, repeated requests and listens; what a client does without one is its own."""
    clients = [stage.client("2025-03-26", {"roots": {}}) for _ in range(2)]
    for client in clients:
        expected = Asker(ALICE.principal, client_of_session(ALICE.client, name_of(client.session)))
        http = client.call()
        asked = stage.take()
        asked.needs({"r": {"method": "roots/list", "params": {}}})
        assert asked.asker == expected
        client.answer(http.events[0]["id"], {"roots": []})
        assert stage.take().asker == expected
        client.post([request("tools/call", {"name": "t"}, 7)])
        assert stage.take().asker == expected
        client.listen()
        assert stage.take().asker == expected
    stage.modern("tools/call", {"name": "t"}, request_id=9)
    assert stage.take().asker == ALICE

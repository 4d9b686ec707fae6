"""The order to restart: to the device that is meant, and back with the agent's words."""

from typing import Any

import msgspec
import pytest

from mcptunnel.model import ResponseHead
from mcptunnel.net.exchange import Exchange, ExchangeReceiver
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.open_calls import SWEEP_S
from mcptunnel.relay.hub.restart import TIMEOUT_S, RestartOrder
from mcptunnel.testing.joined import Answer, Joined, MemoryAgent
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.constants import ErrorCode


class Order(ExchangeReceiver):
    """An agent that answers as the test says."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def answer(self, status: int, body: bytes) -> None:
        self.exchange.send_head(ResponseHead(status))
        self.exchange.write(body)
        self.exchange.end()


def restart(joined: Joined, **arguments: Any) -> Answer:
    return joined.client().call("restart", arguments)


def silent_agent(joined: Joined, monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """Connect an agent that leaves its orders to the test."""
    orders: list[Order] = []

    def exchange_opened(_agent: MemoryAgent, exchange: Exchange) -> None:
        orders.append(Order(exchange))
        exchange.receiver = orders[-1]

    monkeypatch.setattr(MemoryAgent, "exchange_opened", exchange_opened)
    joined.agent()
    return orders


def test_one_server_or_all() -> None:
    joined = Joined()
    files, web = MemoryServer("files"), MemoryServer("web")
    joined.agent(files, web)
    assert restart(joined, server="web").text == "restarting web"
    assert (files.status.restarts, web.status.restarts) == (0, 1)
    answer = restart(joined)
    assert answer.text == "restarting files, web"
    assert not answer.value["isError"]
    assert (files.status.restarts, web.status.restarts) == (1, 2)


def test_an_unknown_server_is_the_agents_to_refuse() -> None:
    joined = Joined()
    joined.agent(MemoryServer("files"))
    answer = restart(joined, server="nothing")
    assert answer.value["isError"]
    assert "nothing" in answer.text


def test_the_device_that_is_meant() -> None:
    joined = Joined()
    assert restart(joined).text == "No device is connected, so nothing can be restarted."
    one, two = MemoryServer("files"), MemoryServer("files")
    joined.agent(one, name="laptop")
    tower = joined.agent(two, name="tower")
    assert restart(joined).text == "Which device? Connected are: laptop, tower."
    wrong = restart(joined, device="phone")
    assert wrong.text == "No connected device is called 'phone'. Connected are: laptop, tower."
    assert wrong.value["isError"]
    assert restart(joined, device="tower").text == "restarting files"
    assert (one.status.restarts, two.status.restarts) == (0, 1)
    joined.lose(tower)
    assert restart(joined).text == "restarting files"
    assert one.status.restarts == 1


@pytest.mark.parametrize("arguments", [{"device": 1}, {"server": []}, [], "x"])
def test_odd_arguments_are_told(arguments: Any) -> None:
    joined = Joined()
    joined.agent(MemoryServer("files"))
    answer = joined.client().request("tools/call", {"name": "restart", "arguments": arguments})
    assert answer.value["isError"]
    assert answer.text.startswith("restart: ")


def test_arguments_may_be_left_out() -> None:
    joined = Joined()
    joined.agent(MemoryServer("files"))
    answer = joined.client().request("tools/call", {"name": "restart"})
    assert answer.text == "restarting files"


@pytest.mark.parametrize(
    ("status", "body", "text", "is_error"),
    [
        (200, b'{"message":"done"}', "done", False),
        (200, b"nonsense", "The agent answered 200.", False),
        (500, b"", "The agent answered 500.", True),
        (404, b'{"message":"no"}', "no", True),
        (200, b'{"message":"' + b"x" * 100_000 + b'"}', "The agent answered 200.", False),
        (200, b"\xff", "The agent answered 200.", False),
    ],
)
def test_whatever_the_agent_answers_is_told(
    status: int, body: bytes, text: str, *, is_error: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = Joined()
    orders = silent_agent(joined, monkeypatch)
    answer = restart(joined)
    orders[0].answer(status, body)
    joined.settle()
    assert answer.text == text
    assert answer.value["isError"] is is_error


def test_an_agent_that_drops_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined()
    orders = silent_agent(joined, monkeypatch)
    answer = restart(joined)
    orders[0].exchange.reset(ErrorCode.INTERNAL_ERROR, "internal error")
    joined.settle()
    assert answer.text == "The agent gave no answer. internal error"
    assert answer.value["isError"]


def test_a_client_that_gives_up_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined()
    orders = silent_agent(joined, monkeypatch)
    answer = restart(joined)
    answer.hold(True)
    answer.cancel()
    orders[0].answer(200, b"{}")
    joined.settle()
    assert not answer.is_over


def test_a_device_that_has_just_gone_cannot_be_asked() -> None:
    joined = Joined()
    agent = joined.agent()
    device: Device = joined.devices.everyone()[0]
    told: list[tuple[bool, str]] = []

    def order() -> RestartOrder:
        made = RestartOrder(joined.hub.calls, lambda ok, text: told.append((ok, text)))
        made.send(device, None, "local|alice")
        return made

    assert agent.tunnel is not None
    agent.tunnel.go_away(ErrorCode.SHUTDOWN)
    joined.settle()
    order()
    joined.lose(agent)
    order().cancel("nobody")
    assert [ok for ok, _ in told] == [False, False]
    assert all("cannot be asked" in text for _, text in told)


def test_the_agents_words_are_cut_and_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined()
    orders = silent_agent(joined, monkeypatch)
    said, refused = restart(joined), restart(joined)
    orders[0].answer(200, msgspec.json.encode({"message": "\x1b[2Jdone" + "x" * 10_000}))
    orders[1].exchange.reset(ErrorCode.UNREACHABLE, "no\r\x1b[31m, never")
    joined.settle()
    assert said.text == "[2Jdone" + "x" * 992 + "…"
    assert refused.text == "The agent gave no answer. no  [31m, never"


def test_an_agent_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined()
    orders = silent_agent(joined, monkeypatch)
    answer = restart(joined)
    joined.wait_s(TIMEOUT_S)
    assert not answer.is_over
    joined.wait_s(2 * SWEEP_S)
    assert "has not answered for 30 s" in answer.text
    assert answer.value["isError"]
    (device,) = joined.devices.everyone()
    assert device.tunnel is not None
    assert device.tunnel.exchange_count == 0
    orders[0].answer(200, b'{"message":"late"}')
    joined.settle()


def test_a_client_that_leaves_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined()
    orders = silent_agent(joined, monkeypatch)
    answer = restart(joined)
    assert answer.running is not None
    answer.running.client_gone()
    orders[0].answer(200, b'{"message":"done"}')
    joined.settle()
    assert answer.text == "done"

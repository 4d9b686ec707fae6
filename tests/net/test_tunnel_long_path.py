"""What one stream carries over a long path, in simulated time, with the defaults of the product."""

from twisted.internet.task import Clock

from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.net.exchange import Exchange, ExchangeReceiver
from mcptunnel.net.memory import MemoryPair
from mcptunnel.net.tunnel import settings_of
from mcptunnel.wire.constants import HIGH_WATER_BYTES, Role
from tests.net.tunnels import REQUEST, RESPONSE, Owner

DELAY_S = 0.05
PIECE = bytes(64 * 1024)
WIDE_BYTES = 1 << 30


class Reader(ExchangeReceiver):
    """Takes all that comes at once, and counts it."""

    def __init__(self) -> None:
        self.received_bytes = 0
        self.exchange: Exchange

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self.exchange.consumed(len(data))


def test_one_stream_carries_ten_megabytes_a_second_over_a_tenth_of_a_second() -> None:
    """After some round trips, in which window and flight grow."""
    clock = Clock()
    relay, agent = Owner(Role.RELAY), Owner(Role.AGENT)
    for owner in (relay, agent):
        owner.settings, owner.clock = settings_of(TunnelConfig()), clock
    ends = relay.end(), agent.end()
    MemoryPair(*ends, reactor=clock, delay_s=DELAY_S, buffer_bytes=WIDE_BYTES).open()
    clock.pump([0.01] * 20)
    assert relay.tunnel is not None
    reader = Reader()
    reader.exchange = relay.tunnel.open(REQUEST, reader)
    clock.pump([0.01] * 10)
    (source,) = agent.opened
    source.send_head(RESPONSE)

    def run(duration_s: float) -> float:
        before_bytes, steps = reader.received_bytes, round(duration_s / 0.001)
        for _ in range(steps):
            while source.unsent_bytes <= HIGH_WATER_BYTES:
                source.write(PIECE)
            clock.advance(0.001)
        return (reader.received_bytes - before_bytes) / duration_s

    run(3)
    assert run(2) > 10e6

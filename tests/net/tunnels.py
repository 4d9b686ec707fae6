"""Two tunnels joined in memory, owners and receivers that remember, and a link that is no link."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.task import Clock

from mcptunnel.model import RequestHead, ResponseHead
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.net.link import LinkLost
from mcptunnel.net.link_end import LinkEnd
from mcptunnel.net.memory import MemoryPair
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.wire.codec import Decoder, encode
from mcptunnel.wire.constants import Role
from mcptunnel.wire.events import PeerGoingAway
from mcptunnel.wire.frames import Frame, Goaway, Hello, Pong, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Limits, Settings

REQUEST = RequestHead("files", "POST", "/mcp")
RESPONSE = ResponseHead(200)
HELLO = Hello("installation-0001", "laptop", "1.0")
GONE = LinkLost(clean=False, code=None, text="the network broke")


class Boom(Exception):
    """A mistake in somebody's code."""


class Receiver(ExchangeReceiver):
    """Remembers what came; `on` says what else to do at an event, for example fail."""

    def __init__(self, **on: Callable[[], object]) -> None:
        self.events: list[Any] = []
        self.going_away_count = 0
        self._on = on

    def _note(self, name: str, *values: Any) -> None:
        self.events.append((name, *values))
        self._on.get(name, lambda: None)()

    @property
    def names(self) -> list[str]:
        return [event[0] for event in self.events]

    @property
    def failure(self) -> ExchangeFailure:
        (found,) = [event[1] for event in self.events if event[0] == "failed"]
        assert isinstance(found, ExchangeFailure)
        return found

    def head_received(self, head: ResponseHead) -> None:
        self._note("head", head)

    def data_received(self, data: bytes) -> None:
        self._note("data", data)

    def ended(self) -> None:
        self._note("ended")

    def failed(self, failure: ExchangeFailure) -> None:
        self._note("failed", failure)

    def drained(self) -> None:
        self._note("drained")

    def going_away(self) -> None:
        self.going_away_count += 1
        self._on.get("going_away", lambda: None)()


class Owner:
    """Remembers what the tunnel told; greets like a program, and sets receivers on exchanges."""

    def __init__(self, role: Role, *, says: Hello = HELLO, **on: Callable[..., object]) -> None:
        self.events: list[str] = []
        self.opened: list[Exchange] = []
        self.notices: list[PeerGoingAway] = []
        self.lost: list[LinkLost] = []
        self.refusals: list[Goaway] = []
        self.suspensions: list[LinkLost] = []
        self.lost_links: list[LinkLost] = []
        self.tunnel: Tunnel | None = None
        self.settings = Settings()
        self.clock = Clock()
        self.role = role
        self._says = says
        self._on = on

    def _note(self, name: str, *values: Any) -> None:
        self.events.append(name)
        self._on.get(name, lambda *_values: None)(*values)

    def link_made(self, end: LinkEnd) -> None:
        if self.role is Role.AGENT:
            says, tunnel = self._says, self.tunnel
            if tunnel is not None:
                received_count = tunnel.session.received_count
                says = replace(says, resume_token="token", last_received=received_count)
            end.hello(says)
        self._note("made", end)

    def peer_hello(self, end: LinkEnd, hello: Hello) -> None:
        self._note("hello", end)
        tunnel = self.tunnel
        if tunnel is None or not hello.resume_token:
            end.welcome(Welcome("session", hello.device_name))
            self._begin(end, hello.limits)
        elif tunnel.resume(end, hello.last_received):
            received_count = tunnel.session.received_count
            end.welcome(Welcome("session", "laptop", resumed=True, last_received=received_count))

    def peer_welcome(self, end: LinkEnd, welcome: Welcome) -> None:
        if welcome.resumed and self.tunnel is not None:
            self.tunnel.resume(end, welcome.last_received)
        else:
            self._begin(end, welcome.limits)
        self._note("welcome", end)

    def _begin(self, end: LinkEnd, peer_limits: Limits) -> None:
        session = Session(self.role, self.settings, peer_limits, self.clock.seconds())
        self.tunnel = Tunnel(self.clock, session, self)
        self.tunnel.join(end)

    def end(self) -> LinkEnd:
        """Return the receiver for a link."""
        return LinkEnd(self.clock, self.role, self.settings, self)

    def peer_refused(self, end: LinkEnd, refusal: Goaway) -> None:
        self.refusals.append(refusal)
        self._note("refused", end)

    def link_lost(self, end: LinkEnd, reason: LinkLost) -> None:
        self.lost_links.append(reason)
        self._note("link_lost", end)

    def exchange_opened(self, exchange: Exchange) -> None:
        exchange.receiver = _receivers[id(exchange)] = Receiver()
        self.opened.append(exchange)
        self._note("opened", exchange)

    def peer_going_away(self, tunnel: Tunnel, notice: PeerGoingAway) -> None:
        self.notices.append(notice)
        self._note("going_away", tunnel)

    def tunnel_suspended(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self.suspensions.append(reason)
        self._note("suspended", tunnel)

    def tunnel_lost(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self.lost.append(reason)
        self._note("lost", tunnel)


_receivers: dict[int, Receiver] = {}


def receiver_of(exchange: Exchange) -> Receiver:
    """Return who was given an exchange; the exchange itself lets go when it is over."""
    return _receivers[id(exchange)]


class FakeLink:
    """A link that keeps what is sent (`net.link.Link`)."""

    peer = "test"

    def __init__(self, *, pauses_after: int = 10**9) -> None:
        self.messages: list[bytes] = []
        self.closed: list[tuple[int, str]] = []
        self.aborted = False
        self.end: LinkEnd | None = None
        self._pauses_after = pauses_after

    def send_message(self, message: bytes) -> None:
        self.messages.append(message)
        if len(self.messages) == self._pauses_after and self.end is not None:
            self.end.link_paused()

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.append((code, reason))

    def abort(self) -> None:
        self.aborted = True

    def take(self) -> list[list[Frame]]:
        """Return the frames of each message sent since the last call."""
        taken, self.messages = self.messages, []
        return [list(Decoder().decode(message)) for message in taken]


@dataclass
class Lone:
    """A tunnel on a fake link, a relay's unless the owner is another; the test plays the peer."""

    owner: Owner = field(default_factory=lambda: Owner(Role.RELAY))
    settings: Settings = field(default_factory=Settings)
    link: FakeLink = field(default_factory=FakeLink)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.owner.settings, self.owner.clock = self.settings, self.clock
        self.plug(self.link)

    def plug(self, link: FakeLink) -> None:
        """Let a link be made."""
        self.link = link
        self.end = link.end = self.owner.end()
        self.end.link_made(link)

    @property
    def tunnel(self) -> Tunnel:
        assert self.owner.tunnel is not None
        return self.owner.tunnel

    def greeted(self) -> "Lone":
        """Let the agent say HELLO and the relay answer, and the first PING be answered at once."""
        self.receive(HELLO)
        self.turn()
        self.receive(Pong(1))
        self.turn()
        self.link.take()
        return self

    def cut(self) -> None:
        """Let the link be lost."""
        self.end.link_lost(GONE)

    def receive(self, *frames: Frame) -> None:
        """Let a message with these frames arrive."""
        self.end.message_received(b"".join(map(encode, frames)))

    def turn(self) -> None:
        self.clock.advance(0)

    def open(self, **on: Callable[[], object]) -> tuple[Exchange, Receiver]:
        receiver = Receiver(**on)
        return self.tunnel.open(REQUEST, receiver), receiver


class Joint:
    """Relay and agent on a memory link."""

    def __init__(
        self,
        relay: Owner | None = None,
        agent: Owner | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.clock = Clock()
        self.relay_owner = relay or Owner(Role.RELAY)
        self.agent_owner = agent or Owner(Role.AGENT)
        for owner in (self.relay_owner, self.agent_owner):
            owner.settings, owner.clock = settings or Settings(), self.clock
        self.connect()

    def connect(self) -> None:
        """Make a link, the first or another one."""
        ends = self.relay_owner.end(), self.agent_owner.end()
        self.pair = MemoryPair(*ends, reactor=self.clock)
        self.pair.open()
        self.settle()

    @property
    def relay(self) -> Tunnel:
        assert self.relay_owner.tunnel is not None
        return self.relay_owner.tunnel

    @property
    def agent(self) -> Tunnel:
        assert self.agent_owner.tunnel is not None
        return self.agent_owner.tunnel

    def settle(self) -> None:
        self.clock.advance(0)

    def open(self, **on: Callable[[], object]) -> tuple[Exchange, Receiver, Exchange, Receiver]:
        """Open an exchange from the relay; return its two ends with their receivers."""
        receiver = Receiver(**on)
        exchange = self.relay.open(REQUEST, receiver)
        self.settle()
        accepted = self.agent_owner.opened[-1]
        return exchange, receiver, accepted, receiver_of(accepted)

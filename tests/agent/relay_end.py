"""The other end of an agent's tunnel: in memory on a clock of the test's, or on any link."""

import json
from collections.abc import Callable
from typing import Any

from mcptunnel.model import ExchangeKind, RequestHead, ResponseHead
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.net.link import Link, LinkLost, LinkReceiver
from mcptunnel.net.link_end import LinkEnd
from mcptunnel.net.memory import MemoryPair
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.wire.constants import Role
from mcptunnel.wire.events import PeerGoingAway
from mcptunnel.wire.frames import Goaway, Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings


class Told(ExchangeReceiver):
    """What came on one exchange."""

    def __init__(self, exchange: Exchange | None = None) -> None:
        self.exchange = exchange
        self.head: ResponseHead | None = None
        self.body = b""
        self.is_whole = False
        self.failure: ExchangeFailure | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def head_received(self, head: ResponseHead) -> None:
        self.head = head

    def data_received(self, data: bytes) -> None:
        self.body += data
        if self.exchange is not None:
            self.exchange.consumed(len(data))

    def ended(self) -> None:
        self.is_whole = True

    def failed(self, failure: ExchangeFailure) -> None:
        self.failure = failure

    def accept(self, status: int = 204) -> None:
        """Answer an exchange of the agent's."""
        assert self.exchange is not None
        self.exchange.send_head(ResponseHead(status))
        self.exchange.end()


class RelayEnd:
    """A relay (`net.owners`) that remembers, and welcomes unless told otherwise."""

    def __init__(self, clock: Any, settings: Settings | None = None) -> None:
        self.clock = clock
        self.settings = settings or Settings()
        self.pairs: list[MemoryPair] = []
        self.tunnels: list[Tunnel] = []
        self.hellos: list[Hello] = []
        self.told: list[Told] = []
        self.notices: list[PeerGoingAway] = []
        self.losses: list[LinkLost] = []
        self.notice = ""
        self.refuse: Callable[[LinkEnd], object] | None = None
        self.resumes = True

    def taken_in(self) -> LinkEnd:
        """Return the receiver for a new link."""
        return LinkEnd(self.clock, Role.RELAY, self.settings, self)

    async def dial(self, receiver: LinkReceiver, _timeout_s: float) -> Link:
        """Make a link, as `net.dial.connect` does."""
        self.pairs.append(MemoryPair(receiver, self.taken_in(), reactor=self.clock))
        self.pairs[-1].open()
        return self.pairs[-1].left

    def settle(self) -> None:
        """Let everything happen that happens without time passing."""
        self.clock.pump([0.0] * 20)

    def send(
        self,
        target: str,
        body: object,
        *,
        path: str = "/mcp",
        kind: ExchangeKind = ExchangeKind.HUB,
    ) -> Told:
        """Open an exchange with a whole request; what comes back is in the result."""
        told = Told()
        told.exchange = self.open(told, target, path=path, kind=kind)
        told.exchange.write(body if isinstance(body, bytes) else json.dumps(body).encode())
        told.exchange.end()
        self.settle()
        return told

    def open(
        self, told: Told, target: str, *, path: str = "/mcp", kind: ExchangeKind = ExchangeKind.HUB
    ) -> Exchange:
        return self.tunnels[-1].open(RequestHead(target, "POST", path, kind=kind), told)

    # What the link tells.

    def link_made(self, end: LinkEnd) -> None:
        pass

    def peer_hello(self, end: LinkEnd, hello: Hello) -> None:
        self.hellos.append(hello)
        if self.refuse is not None:
            self.refuse(end)
        elif self.resumes and hello.resume_token and self.tunnels:
            tunnel = self.tunnels[-1]
            assert tunnel.resume(end, hello.last_received)
            received_count = tunnel.session.received_count
            end.welcome(self._welcome(hello, resumed=True, last_received=received_count))
        else:
            end.welcome(self._welcome(hello))
            session = Session(Role.RELAY, self.settings, hello.limits, self.clock.seconds())
            self.tunnels.append(Tunnel(self.clock, session, self))
            self.tunnels[-1].join(end)

    def _welcome(self, hello: Hello, **resume: Any) -> Welcome:
        token = f"token {len(self.hellos)}"
        name = hello.device_name
        return Welcome("session", name, notice=self.notice, resume_token=token, **resume)

    def peer_welcome(self, end: LinkEnd, welcome: Welcome) -> None:
        raise AssertionError(welcome)

    def peer_refused(self, end: LinkEnd, refusal: Goaway) -> None:
        raise AssertionError(refusal)

    def link_lost(self, end: LinkEnd, reason: LinkLost) -> None:
        self.losses.append(reason)

    # What the tunnel tells.

    def exchange_opened(self, exchange: Exchange) -> None:
        self.told.append(Told(exchange))
        exchange.receiver = self.told[-1]

    def peer_going_away(self, tunnel: Tunnel, notice: PeerGoingAway) -> None:
        self.notices.append(notice)

    def tunnel_suspended(self, tunnel: Tunnel, reason: LinkLost) -> None:
        pass

    def tunnel_lost(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self.losses.append(reason)

"""Our end of one link: the greeting, and then messages for the tunnel that the link was joined to.

Links come and go, a tunnel outlives them. A link that was parted from its tunnel is dropped and never
heard again, whatever still arrives on it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mcptunnel.net.link import CLOSE_NORMAL, Link, LinkLost
from mcptunnel.net.owners import LinkOwner
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.errors import RemoteProtocolError
from mcptunnel.wire.frames import Goaway, Hello, Welcome
from mcptunnel.wire.greeting import Greeting
from mcptunnel.wire.settings import Settings

if TYPE_CHECKING:
    from mcptunnel.net.tunnel import Tunnel

CLOSE_PROTOCOL_ERROR = 1002
SILENT = "the peer fell silent"
DEAF = "the peer takes nothing that is sent to it"


class LinkEnd:
    """One end of one link (`net.link.LinkReceiver`).

    `is_paused` says whether the transport's buffer is full. If it stays so for `dead_after_s`, and nothing
    is acknowledged meanwhile, the peer does not read, whatever it sends.
    """

    _log = Logger()

    def __init__(
        self, reactor: IReactorTime, role: Role, settings: Settings, owner: LinkOwner
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._owner = owner
        self._greeting = Greeting(role, settings)
        self._patience: IDelayedCall | None = None
        self._watch: IDelayedCall | None = None
        self._paused_s = 0.0
        self._over = False
        self.link: Link | None = None
        self.tunnel: Tunnel | None = None
        self.is_paused = False

    @property
    def peer(self) -> str:
        """The peer's address, for logs."""
        return "" if self.link is None else self.link.peer

    # What the program does.

    def hello(self, hello: Hello) -> None:
        """Introduce ourselves (agent)."""
        self._send(self._greeting.hello(hello))

    def welcome(self, welcome: Welcome) -> None:
        """Take the agent in (relay)."""
        self._send(self._greeting.welcome(welcome))

    def refuse(self, code: ErrorCode, text: str = "", retry_after_s: float = 0.0) -> None:
        """Tell the agent why it is not taken in, and close the link (relay)."""
        self.goodbye(code, text, retry_after_s)
        self._finish(LinkLost(clean=True, code=CLOSE_NORMAL, text=text))

    def goodbye(self, code: ErrorCode, text: str, retry_after_s: float = 0.0) -> None:
        """Tell the peer why there will be no session, and close the link; its loss follows."""
        self._send(self._greeting.refusal(code, text, retry_after_s))
        self.close(CLOSE_NORMAL, text)

    # What the tunnel does.

    def join(self, tunnel: "Tunnel") -> None:
        """Hand all that comes on to a tunnel."""
        self._stop_waiting()
        self.tunnel = tunnel

    def part(self) -> None:
        """Drop the link; nothing that still comes from it counts."""
        self.tunnel = None
        self._over = True
        self._stop_waiting()
        self._stop_watching()
        if self.link is not None:
            self.link.abort()

    def close(self, code: int, text: str) -> None:
        """Close the link in order, after what was sent."""
        if self.link is not None:
            self.link.close(code, text[:100])

    # What the link tells us.

    def link_made(self, link: Link) -> None:
        self.link = link
        self._patience = self._reactor.callLater(self._settings.dead_after_s, self._give_up)
        self._tell(lambda: self._owner.link_made(self))

    def message_received(self, message: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel.message_received(message)
        elif not self._over:
            self._greeted(message)

    def link_paused(self) -> None:
        self.is_paused = True
        self._paused_s = self._reactor.seconds()
        if self._watch is None and self.tunnel is not None:
            self._watch = self._reactor.callLater(self._settings.dead_after_s, self._look)

    def link_resumed(self) -> None:
        self.is_paused = False
        if self.tunnel is not None:
            self.tunnel.link_resumed()

    def link_lost(self, reason: LinkLost) -> None:
        self.link = None
        self._stop_watching()
        if self.tunnel is not None:
            self.tunnel.link_lost(reason)
        else:
            self._finish(reason)

    # The machinery.

    def _send(self, message: bytes) -> None:
        if self.link is not None:
            self.link.send_message(message)

    def _greeted(self, message: bytes) -> None:
        try:
            said = self._greeting.receive(message)
        except RemoteProtocolError as error:
            self._log.warn(
                "link to {peer}: the peer broke the protocol: {error}",
                peer=self.peer,
                error=str(error),
            )
            self._send(self._greeting.refusal(error.code, error.text))
            self.close(CLOSE_PROTOCOL_ERROR, str(error))
            self._finish(LinkLost(clean=False, code=CLOSE_PROTOCOL_ERROR, text=str(error)))
            return
        owner = self._owner
        match said:
            case Hello():
                self._tell(lambda: owner.peer_hello(self, said))
            case Welcome():
                self._tell(lambda: owner.peer_welcome(self, said))
            case Goaway():
                self._tell(lambda: owner.peer_refused(self, said))

    def _tell(self, event: Callable[[], None]) -> None:
        try:
            event()
        except Exception:  # noqa: BLE001 - it must cost this link and nothing else
            self._log.failure("link to {peer}: internal error", peer=self.peer)
            if self.tunnel is not None:
                self.tunnel.close(ErrorCode.INTERNAL_ERROR, "internal error")
            elif not self._over:
                self.refuse(ErrorCode.INTERNAL_ERROR, "internal error")

    def _look(self) -> None:
        """See whether the transport moved; one timer for however many pauses."""
        self._watch = None
        if self.tunnel is None or not self.is_paused:
            return
        moved_s = max(self._paused_s, self.tunnel.session.taken_s)  # a slow path moves, too
        left_s = moved_s + self._settings.dead_after_s - self._reactor.seconds()
        if left_s > 0:
            self._watch = self._reactor.callLater(left_s, self._look)
        else:
            self.tunnel.link_dead(DEAF)

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _give_up(self) -> None:
        self._patience = None
        link = self.link
        self._finish(LinkLost(clean=False, code=None, text=SILENT))
        if link is not None:
            link.abort()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _finish(self, reason: LinkLost) -> None:
        if self._over:
            return
        self._over = True
        self._stop_waiting()
        self._tell(lambda: self._owner.link_lost(self, reason))

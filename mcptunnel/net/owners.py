"""What programs hear of their links and tunnels."""

from typing import TYPE_CHECKING, Protocol

from mcptunnel.net.exchange import Exchange
from mcptunnel.net.link import LinkLost
from mcptunnel.wire.events import PeerGoingAway
from mcptunnel.wire.frames import Goaway, Hello, Welcome

if TYPE_CHECKING:
    from mcptunnel.net.link_end import LinkEnd
    from mcptunnel.net.tunnel import Tunnel


class LinkOwner(Protocol):
    """The program at one end of a link, until the link is joined to a tunnel.

    An exception out of any of these is logged and ends the link.
    """

    def link_made(self, end: "LinkEnd") -> None:
        """The link is up; the agent says HELLO now."""

    def peer_hello(self, end: "LinkEnd", hello: Hello) -> None:
        """An agent introduced itself; the relay calls `welcome` and joins a tunnel, or `refuse`."""

    def peer_welcome(self, end: "LinkEnd", welcome: Welcome) -> None:
        """The relay took us in; the agent joins a tunnel to the link now."""

    def peer_refused(self, end: "LinkEnd", refusal: Goaway) -> None:
        """The relay does not take us in; it closes the link."""

    def link_lost(self, end: "LinkEnd", reason: LinkLost) -> None:
        """The link is over and was not joined to any tunnel. Comes once."""


class TunnelOwner(Protocol):
    """The program at one end of a tunnel.

    An exception out of `exchange_opened` is logged and drops that exchange; out of any other it is
    logged and ends the tunnel.
    """

    def exchange_opened(self, exchange: Exchange) -> None:
        """The peer opened an exchange; set its receiver."""

    def peer_going_away(self, tunnel: "Tunnel", notice: PeerGoingAway) -> None:
        """The peer takes no new exchanges."""

    def tunnel_suspended(self, tunnel: "Tunnel", reason: LinkLost) -> None:
        """The link is gone; `Tunnel.resume` or `tunnel_lost` follows."""

    def tunnel_lost(self, tunnel: "Tunnel", reason: LinkLost) -> None:
        """The tunnel is over; every exchange has failed already. Comes once."""

"""One agent's tunnel as the relay owns it, and what the agent may ask over it."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mcptunnel.model import ResponseHead
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.net.link import LinkLost
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.relay.access import Access
from mcptunnel.relay.announcement import MAX_ANNOUNCEMENT_BYTES
from mcptunnel.relay.devices import Device
from mcptunnel.relay.resume_token import ResumeToken
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.events import PeerGoingAway

if TYPE_CHECKING:
    from mcptunnel.relay.agents import Agents

RELAY_TARGET: Final = "@relay"
SERVERS_PATH: Final = "/servers"

REVOKED: Final = "access was revoked"
DEVICE_REVOKED: Final = (
    "this device was revoked; sign in again, or use a newer key, to connect it again"
)

MAX_ANNOUNCING: Final = 4
"""Announcements of one agent that may be arriving at once; an honest one waits for each answer."""


class AgentTunnel:
    """The owner of one agent's tunnel (`net.owners.TunnelOwner`, `in_use.Work`).

    `access` is what opened it, `token` resumes it, `device` is what it made of the agent.
    """

    def __init__(self, agents: "Agents", access: Access) -> None:
        self._agents = agents
        self.access = access
        self.tunnel: Tunnel | None = None
        self.session_id = secrets.token_hex(8)
        self.token = ResumeToken(secrets.token_bytes)
        self.device: Device | None = None
        self.announcing: set[Announcement] = set()

    def access_ended(self, *, is_revoked: bool) -> None:
        """Close it; what expires is looked at when the agent comes back with the next link."""
        if not is_revoked or self.tunnel is None:
            return
        if self.device is not None and self.device.is_revoked:
            self.tunnel.close(ErrorCode.DEVICE_REVOKED, DEVICE_REVOKED)
        else:
            self.tunnel.close(ErrorCode.REVOKED, REVOKED)

    def exchange_opened(self, exchange: Exchange) -> None:
        request = exchange.request
        asked = (request.target, request.method, request.path)
        if self.device is None or asked != (RELAY_TARGET, "POST", SERVERS_PATH):
            exchange.reset(ErrorCode.REFUSED_STREAM, "The relay offers no such thing.")
            return
        if len(self.announcing) >= MAX_ANNOUNCING:
            exchange.reset(ErrorCode.LIMIT_EXCEEDED, "Too many announcements at once.")
            return
        device, agents = self.device, self._agents
        exchange.receiver = Announcement(
            exchange, self, lambda body: agents.announced(device, body)
        )

    def peer_going_away(self, tunnel: Tunnel, notice: PeerGoingAway) -> None:
        """Note it: the agent closes the link itself when its calls are over."""
        self._agents.going_away(self.device)

    def tunnel_suspended(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self._agents.suspended(tunnel, self.device, reason)

    def tunnel_lost(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self._agents.lost(tunnel, self.device, reason)


class Announcement(ExchangeReceiver):
    """One announcement of an agent, while its body arrives."""

    def __init__(
        self, exchange: Exchange, owner: AgentTunnel, take: Callable[[bytes], int]
    ) -> None:
        self._exchange = exchange
        self._owner = owner
        self._take = take
        self._body = bytearray()  # no list: pieces of a byte would take far more than their bytes
        owner.announcing.add(self)

    def data_received(self, data: bytes) -> None:
        if len(self._body) + len(data) > MAX_ANNOUNCEMENT_BYTES:
            self._owner.announcing.discard(self)
            self._exchange.reset(ErrorCode.LIMIT_EXCEEDED, "The announcement is too large.")
            return
        self._exchange.consumed(len(data))
        self._body += data

    def failed(self, failure: ExchangeFailure) -> None:
        self._owner.announcing.discard(self)

    def ended(self) -> None:
        self._owner.announcing.discard(self)
        status = self._take(bytes(self._body))
        self._exchange.send_head(ResponseHead(status))
        self._exchange.end()

"""The agents' side of the relay: links in, HELLO to device, announcements, revocation."""

import re
import secrets
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.auth.keys import KeyId
from mcptunnel.model import ResponseHead
from mcptunnel.net.errors import printable
from mcptunnel.net.exchange import Exchange, ExchangeReceiver
from mcptunnel.net.link import LinkLost
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.relay.access import Access
from mcptunnel.relay.announcement import MAX_ANNOUNCEMENT_BYTES, BadAnnouncement, read
from mcptunnel.relay.devices import MAX_DEVICES, Device, Devices
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.events import PeerGoingAway
from mcptunnel.wire.frames import Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

RELAY_TARGET: Final = "@relay"
SERVERS_PATH: Final = "/servers"
DRAIN_RETRY_S: Final = 1.0
FULL_RETRY_S: Final = 60.0
TOO_MANY_DEVICES: Final = (
    f"{MAX_DEVICES} devices of this user are connected, and no more are allowed; disconnect one"
)

UNUSABLE_NAME: Final = "cannot be used (only A-Z a-z 0-9 _ - . can)"

_INSTALLATION_ID = re.compile(r"[0-9A-Za-z_-]{16,64}")
_UNUSABLE = re.compile(r"[^0-9A-Za-z_.-]+")


Remember = Callable[[Device, float], Deferred[Any]]
"""Writes down, for the next start, that a device was there at a time."""


class Agents:
    """Takes agents in. Every link gets an `AgentTunnel`."""

    _log = Logger()

    def __init__(
        self, reactor: Any, settings: Settings, devices: Devices, remember: Remember
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._devices = devices
        self._write = remember
        self._tunnels: dict[Tunnel, AgentTunnel] = {}
        self._writes: set[Deferred[Any]] = set()
        self._stopping = False

    def receiver(self, access: Access) -> Tunnel:
        """Return the receiver for the link of an agent that showed a valid key."""
        session = Session(Role.RELAY, self._settings, self._reactor.seconds())
        return Tunnel(self._reactor, session, AgentTunnel(self, access))

    def revoked(self, key_id: KeyId) -> None:
        """Close the links that a key opened."""
        for tunnel, owner in list(self._tunnels.items()):
            if owner.access.key_id == key_id:
                tunnel.close(ErrorCode.REVOKED, "the key was revoked")

    async def stop(self) -> None:
        """Tell all agents that the relay stops, and finish what is being written."""
        self._stopping = True
        for tunnel in list(self._tunnels):
            tunnel.close(ErrorCode.SHUTDOWN, "the relay is stopping", DRAIN_RETRY_S)
        for writing in list(self._writes):
            await writing

    # What the tunnels tell us.

    def made(self, tunnel: Tunnel, owner: "AgentTunnel") -> None:
        """Note that a link is up."""
        self._tunnels[tunnel] = owner

    def hello(self, tunnel: Tunnel, access: Access, hello: Hello) -> Device | None:
        """Take an agent in, or close its tunnel with a reason."""
        refusal = self._refusal(access, hello)
        if refusal is not None:
            tunnel.close(*refusal)
            return None
        wanted = _UNUSABLE.sub("-", hello.device_name).strip("-.")[:64] or "device"
        name = self._devices.grant_name(access.principal, hello.installation_id, wanted)
        notice = _notice(hello.device_name, wanted, name)
        limits, session_id = self._settings.limits, secrets.token_hex(8)
        older = self._devices.get(access.principal, hello.installation_id)
        replaces = older is not None and older.tunnel is not None
        tunnel.welcome(Welcome(session_id, device_name=name, notice=notice, limits=limits))
        device = self._devices.connect(
            access.principal,
            hello.installation_id,
            name=name,
            tunnel=tunnel,
            now_s=self._reactor.seconds(),
            key_id=access.key_id,
            agent_version=printable(hello.software_version, 40),
        )
        self._log.info(
            "device {name} of {user} connected from {peer}{replaces}{notice}",
            name=name,
            user=access.principal.shown,
            replaces=", in place of its older link" if replaces else "",
            peer=tunnel.peer,
            notice=f": {notice}" if notice else "",
        )
        self._remember(device)
        return device

    def _refusal(self, access: Access, hello: Hello) -> tuple[ErrorCode, str, float] | None:
        """Return code, text and retry-after for an agent that cannot be taken in."""
        if self._stopping:
            return ErrorCode.SHUTDOWN, "the relay is stopping", DRAIN_RETRY_S
        if _INSTALLATION_ID.fullmatch(hello.installation_id) is None:
            return ErrorCode.PROTOCOL_ERROR, "unusable installation id", 0.0
        if not self._devices.has_room(access.principal, hello.installation_id):
            return ErrorCode.LIMIT_EXCEEDED, TOO_MANY_DEVICES, FULL_RETRY_S
        return None

    def lost(self, tunnel: Tunnel, device: Device | None, reason: LinkLost) -> None:
        """Note that a tunnel is gone."""
        del self._tunnels[tunnel]
        if device is not None and self._devices.disconnect(device, tunnel, self._reactor.seconds()):
            self._log.info(
                "device {name} disconnected: {reason}",
                name=device.name,
                reason=printable(reason.text) or "closed",
            )
            self._remember(device)

    def announced(self, device: Device, body: bytes) -> int:
        """Take an agent's servers; return the HTTP status that answers."""
        # The first one of a connection is always taken: without it the device is of no use.
        if not device.announcements.take(self._reactor.seconds()) and device.announced:
            return 429
        try:
            servers = read(body)
        except BadAnnouncement as error:
            self._log.warn(
                "device {name}: unusable announcement: {error}",
                name=device.name,
                error=str(error),
            )
            return 400
        self._devices.announce(device, servers)
        return 204

    def _remember(self, device: Device) -> None:
        """Write a device into the store; a failure is logged, the device works all the same."""
        writing = self._write(device, self._reactor.seconds())
        self._writes.add(writing)

        def written(result: object) -> None:
            self._writes.discard(writing)
            if isinstance(result, Failure):
                self._log.failure("cannot remember a device", result)

        writing.addBoth(written)


def _notice(asked: str, wanted: str, name: str) -> str:
    """Tell an agent that it is not called as it asked to be, and why; "" if it is."""
    if name == asked:
        return ""
    why = UNUSABLE_NAME if name == wanted else "belongs to another device"
    return f"The name {asked[:64]!r} {why}; this device is called {name!r}."


class AgentTunnel:
    """The owner of one agent's tunnel (`net.tunnel.TunnelOwner`)."""

    def __init__(self, agents: Agents, access: Access) -> None:
        self._agents = agents
        self.access = access
        self._device: Device | None = None

    def link_made(self, tunnel: Tunnel) -> None:
        self._agents.made(tunnel, self)

    def peer_hello(self, tunnel: Tunnel, hello: Hello) -> None:
        self._device = self._agents.hello(tunnel, self.access, hello)

    def peer_welcome(self, tunnel: Tunnel, welcome: Welcome) -> None:
        """Never comes: the session refuses a WELCOME from an agent."""

    def exchange_opened(self, exchange: Exchange) -> None:
        request = exchange.request
        asked = (request.target, request.method, request.path)
        if self._device is None or asked != (RELAY_TARGET, "POST", SERVERS_PATH):
            exchange.reset(ErrorCode.REFUSED_STREAM, "The relay offers no such thing.")
            return
        device, agents = self._device, self._agents
        exchange.receiver = Announcement(exchange, lambda body: agents.announced(device, body))

    def peer_going_away(self, tunnel: Tunnel, notice: PeerGoingAway) -> None:
        """Nothing to do: the agent closes the link itself when its calls are over."""

    def tunnel_lost(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self._agents.lost(tunnel, self._device, reason)


class Announcement(ExchangeReceiver):
    """One announcement of an agent, while its body arrives."""

    def __init__(self, exchange: Exchange, take: Callable[[bytes], int]) -> None:
        self._exchange = exchange
        self._take = take
        self._body: list[bytes] = []
        self._size = 0

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_ANNOUNCEMENT_BYTES:
            self._exchange.reset(ErrorCode.LIMIT_EXCEEDED, "The announcement is too large.")
            return
        self._exchange.consumed(len(data))
        self._body.append(data)

    def ended(self) -> None:
        status = self._take(b"".join(self._body))
        self._exchange.send_head(ResponseHead(status))
        self._exchange.end()

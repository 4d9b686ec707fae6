"""The agents' side of the relay: links in, HELLO to device, resume, announcements, revocation."""

import re
from collections.abc import Callable
from typing import Any, Final, Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.net.errors import printable
from mcptunnel.net.link import LinkLost
from mcptunnel.net.link_end import LinkEnd
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.relay.access import Access
from mcptunnel.relay.agent_tunnel import DEVICE_REVOKED, REVOKED, AgentTunnel
from mcptunnel.relay.announcement import BadAnnouncement, read
from mcptunnel.relay.devices import MAX_DEVICES, Device, Devices
from mcptunnel.relay.draining import STOPPING, Draining
from mcptunnel.relay.in_use import InUse
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.frames import Goaway, Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

FULL_RETRY_S: Final = 60.0
TOO_MANY_DEVICES: Final = (
    f"{MAX_DEVICES} devices of this user are connected, and no more are allowed; disconnect one"
)
BEING_FORGOTTEN: Final = "this device is being forgotten; then it is a new one"
SOON_S: Final = 1.0
OTHER_KEY: Final = "the session belongs to another key"

UNUSABLE_NAME: Final = "cannot be used (only A-Z a-z 0-9 _ - . can)"

_INSTALLATION_ID = re.compile(
    r"[0-9A-Za-z_][0-9A-Za-z_-]{15,63}"
)  # a - would be an option of a command
_UNUSABLE = re.compile(r"[^0-9A-Za-z_.-]+")


class Remembers(Protocol):
    """Writes devices down, for the next start (`remembering.Remembering`)."""

    def device_came(self, device: Device, access: Access, now_s: float) -> Deferred[Any]:
        """Note that a device was let in with an access."""

    def device_seen(self, device: Device, now_s: float) -> Deferred[Any]:
        """Note that a device was there."""


class Agents:
    """Takes agents in. Every link gets an `AgentLink`, every session an `AgentTunnel`."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        devices: Devices,
        remembering: Remembers,
        draining: Draining,
        in_use: InUse,
        *,
        epoch_s: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self._epoch_s = epoch_s
        self._draining = draining
        self._settings = settings
        self._devices = devices
        self._remembering = remembering
        self._in_use = in_use
        self._greeting: dict[LinkEnd, AgentLink] = {}
        self._tunnels: dict[Tunnel, AgentTunnel] = {}
        self._writes: set[Deferred[Any]] = set()

    def receiver(self, access: Access) -> LinkEnd:
        """Return the receiver for the link of an agent that showed a valid key."""
        return LinkEnd(self._reactor, Role.RELAY, self._settings, AgentLink(self, access))

    def go_away(self) -> None:
        """Tell all agents that nothing new begins; what is open runs on, also over new links."""
        self._draining.is_on = True
        for tunnel in list(self._tunnels):
            tunnel.go_away(ErrorCode.NO_ERROR, STOPPING, self._draining.retry_after_s)

    @property
    def stream_count(self) -> int:
        """How many streams are open on all tunnels."""
        return sum(tunnel.session.stream_count for tunnel in self._tunnels)

    async def stop(self) -> None:
        """Say goodbye to all agents, and finish what is being written."""
        self._draining.is_on = True
        goodbye = ErrorCode.SHUTDOWN, STOPPING, self._draining.retry_after_s
        for tunnel in list(self._tunnels):
            tunnel.close(*goodbye)
        for end in list(self._greeting):
            end.refuse(*goodbye)
        for writing in list(self._writes):
            await writing

    # What the links tell us.

    def made(self, end: LinkEnd, link: "AgentLink", access: Access) -> None:
        """Note that a link is up, and not joined to a session yet."""
        self._greeting[end] = link
        self._in_use.begin(access, link)

    def gone(self, end: LinkEnd) -> None:
        """Note that a link has joined a session, or was lost or refused in the greeting."""
        link = self._greeting.pop(end, None)
        if link is not None:
            self._in_use.over(link)

    def hello(self, end: LinkEnd, access: Access, hello: Hello) -> None:
        """Take an agent in, or close its link with a reason."""
        refusal = self._refusal(access, hello)
        if refusal is not None:
            end.refuse(*refusal)
            return
        if self._resumed(end, access, hello):
            return
        if self._draining.is_on:
            end.refuse(ErrorCode.SHUTDOWN, STOPPING, self._draining.retry_after_s)
        else:
            self._begin(end, access, hello)

    def _resumed(self, end: LinkEnd, access: Access, hello: Hello) -> bool:
        """Take up the session whose token an agent shows; return whether there is nothing left to do.

        A token counts only together with the key and the installation that it was made for.
        """
        device = self._devices.get(access.principal, hello.installation_id)
        tunnel = None if device is None else device.tunnel
        if device is None or tunnel is None or not hello.resume_token:
            return False
        owner = self._tunnels[tunnel]
        known = owner.access.grant_id == access.grant_id
        if not known or not owner.token.proven(hello.resume_token, tunnel.session.received_count):
            self._log.warn(
                "device {name}: refused a resume token from {peer}",
                name=device.name,
                peer=end.peer,
            )
            if not known:  # no process changes its key, so it is none that begins anew
                end.refuse(ErrorCode.REPLACED, OTHER_KEY)
            return not known
        self.gone(end)
        self._own(owner, access, hello)  # the token may be a newer one
        if tunnel.resume(end, hello.last_received):
            self._devices.resumed(device)
            received_count = tunnel.session.received_count
            end.welcome(
                Welcome(
                    owner.session_id,
                    device_name=device.name,
                    resumed=True,
                    resume_token=owner.token.renew(received_count),
                    last_received=received_count,
                )
            )
            self._log.info("device {name} resumed from {peer}", name=device.name, peer=end.peer)
        return True

    def _begin(self, end: LinkEnd, access: Access, hello: Hello) -> None:
        """Begin a new session; it ends an older one of the installation."""
        self.gone(end)
        wanted = _UNUSABLE.sub("-", hello.device_name).strip("-.")[:64] or "device"
        name = self._devices.grant_name(access.principal, hello.installation_id, wanted)
        notice = _notice(hello.device_name, wanted, name)
        older = self._devices.get(access.principal, hello.installation_id)
        replaces = older is not None and older.tunnel is not None
        owner = AgentTunnel(self, access)
        now_s = self._reactor.seconds()
        session = Session(Role.RELAY, self._settings, hello.limits, now_s)
        owner.tunnel = tunnel = Tunnel(self._reactor, session, owner)
        self._tunnels[tunnel] = owner
        self._own(owner, access, hello)
        token = owner.token.renew(0) if self._settings.resume_window_s else ""
        end.welcome(Welcome(owner.session_id, name, notice=notice, resume_token=token))
        tunnel.join(end)
        owner.device = device = self._devices.connect(
            access.principal,
            hello.installation_id,
            name=name,
            tunnel=tunnel,
            epoch_s=self._epoch_s(),
            agent_version=printable(hello.software_version, 40),
            grant_id=access.grant_id,
        )
        device.joined_s = now_s
        self._log.info(
            "device {name} of {user} connected from {peer}{replaces}{notice}",
            name=name,
            user=access.principal.shown,
            replaces=", in place of its older link" if replaces else "",
            peer=tunnel.peer,
            notice=f": {notice}" if notice else "",
        )
        self._write(self._remembering.device_came(device, access, self._epoch_s()))

    def _own(self, owner: AgentTunnel, access: Access, hello: Hello) -> None:
        """Have a tunnel end with an access of its installation."""
        owner.access = replace(access, device_id=hello.installation_id)
        self._in_use.begin(owner.access, owner)

    def _refusal(self, access: Access, hello: Hello) -> tuple[ErrorCode, str, float] | None:
        """Return code, text and retry-after for an agent that cannot be taken in."""
        if _INSTALLATION_ID.fullmatch(hello.installation_id) is None:
            return ErrorCode.PROTOCOL_ERROR, "unusable installation id", 0.0
        known = self._devices.get(access.principal, hello.installation_id)
        if known is not None and known.being_forgotten:
            return ErrorCode.NO_ERROR, BEING_FORGOTTEN, SOON_S
        if known is not None and not known.admits(access.granted_s):
            return ErrorCode.DEVICE_REVOKED, DEVICE_REVOKED, 0.0
        if not self._devices.has_room(access.principal, hello.installation_id):
            return ErrorCode.LIMIT_EXCEEDED, TOO_MANY_DEVICES, FULL_RETRY_S
        return None

    # What the tunnels tell us.

    def suspended(self, tunnel: Tunnel, device: Device | None, reason: LinkLost) -> None:
        """Note that a tunnel has no link now."""
        if device is not None and self._devices.suspended(device, tunnel, self._epoch_s()):
            self._log.info(
                "device {name} has lost its link and may resume: {reason}",
                name=device.name,
                reason=printable(reason.text) or "closed",
            )

    def lost(self, tunnel: Tunnel, device: Device | None, reason: LinkLost) -> None:
        """Note that a tunnel is gone."""
        owner = self._tunnels.pop(tunnel)
        owner.tunnel = None
        self._in_use.over(owner)
        if device is not None and self._devices.disconnect(device, tunnel, self._epoch_s()):
            self._log.info(
                "device {name} disconnected: {reason}",
                name=device.name,
                reason=printable(reason.text) or "closed",
            )
            self._write(self._remembering.device_seen(device, self._epoch_s()))

    def going_away(self, device: Device | None) -> None:
        """Note that an agent takes nothing new any more."""
        if device is not None:
            self._devices.going_away(device, self._epoch_s())
            self._log.info("device {name} is stopping", name=device.name)

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

    def _write(self, writing: Deferred[Any]) -> None:
        """Own what is being written into the store; a failure is logged, the device works all the same."""
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


class AgentLink:
    """The owner of one agent's link while it is greeted (`net.owners.LinkOwner`, `in_use.Work`)."""

    def __init__(self, agents: Agents, access: Access) -> None:
        self._agents = agents
        self._access = access
        self._end: LinkEnd | None = None

    def access_ended(self, *, is_revoked: bool) -> None:
        if is_revoked and self._end is not None:
            self._end.refuse(ErrorCode.REVOKED, REVOKED)

    def link_made(self, end: LinkEnd) -> None:
        self._end = end
        self._agents.made(end, self, self._access)

    def peer_hello(self, end: LinkEnd, hello: Hello) -> None:
        self._agents.hello(end, self._access, hello)

    def peer_welcome(self, end: LinkEnd, welcome: Welcome) -> None:
        """Never comes: the greeting refuses a WELCOME from an agent."""

    def peer_refused(self, end: LinkEnd, refusal: Goaway) -> None:
        """Never comes: the greeting refuses a GOAWAY from an agent."""

    def link_lost(self, end: LinkEnd, reason: LinkLost) -> None:
        self._agents.gone(end)

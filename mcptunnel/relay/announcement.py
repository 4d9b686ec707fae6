"""What an agent tells of its servers: the body of `POST /servers` on the target `@relay`.

Everything here comes from an agent, which may be hostile: names are checked, texts are bounded.
"""

import re
from typing import Final

import msgspec

from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.net.errors import printable

MAX_ANNOUNCEMENT_BYTES: Final = 1024 * 1024
MAX_SERVERS: Final = 256
MAX_WORD_CHARS: Final = 40

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Announcement(msgspec.Struct, frozen=True):
    servers: list[ServerStatus]


_decoder = msgspec.json.Decoder(_Announcement)


class BadAnnouncement(ValueError):
    """The announcement cannot be used; `str()` says why."""


def read(body: bytes) -> dict[str, ServerStatus]:
    """Read an announcement; return its servers by name. Raises BadAnnouncement."""
    try:
        servers = _decoder.decode(body).servers
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadAnnouncement(printable(str(error))) from None
    if len(servers) > MAX_SERVERS:
        raise BadAnnouncement(f"more than {MAX_SERVERS} servers")
    found: dict[str, ServerStatus] = {}
    for server in servers:
        if _NAME.fullmatch(server.name) is None or "__" in server.name or server.name in found:
            raise BadAnnouncement(f"unusable server name {server.name[:80]!r}")
        if server.prefix and _NAME.fullmatch(server.prefix) is None:
            raise BadAnnouncement(f"unusable prefix of server {server.name!r}")
        found[server.name] = msgspec.structs.replace(
            server,
            kind=printable(server.kind, MAX_WORD_CHARS),
            state=printable(server.state, MAX_WORD_CHARS),
            detail=printable(server.detail),
            era=printable(server.era, MAX_WORD_CHARS),
            version=printable(server.version, MAX_WORD_CHARS),
        )
    return found

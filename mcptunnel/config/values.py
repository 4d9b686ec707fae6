"""Values of more than one part: commands, environments, header fields."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from mcptunnel.config.errors import InvalidValueError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SET_BY_US = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade"})


def parse_command(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command that has a program. Raises `InvalidValueError`."""
    if not command or not command[0].strip():
        raise InvalidValueError("names no program", 'Write for example ["npx", "-y", "package"].')
    return command


def parse_env(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return environment variables whose names the system takes. Raises `InvalidValueError`."""
    for name in variables:
        if not name or "=" in name:
            raise InvalidValueError(f"{name!r} cannot name an environment variable")
    return MappingProxyType(dict(variables))


def parse_headers(fields: Mapping[str, str]) -> Mapping[str, str]:
    """Return header fields with lower-case names (RFC 9110, section 5). Raises the same."""
    for name, value in fields.items():
        if not _TOKEN.fullmatch(name):
            raise InvalidValueError(f"{name!r} cannot name a header field")
        if name.lower() in _SET_BY_US:
            raise InvalidValueError(f"{name!r} is set by the agent itself", "Remove it.")
        if re.search(r"[\r\n]", value) or not value.isascii():
            raise InvalidValueError(f"the value of {name!r} has a line break or is not ASCII")
    return MappingProxyType({name.lower(): value.strip() for name, value in fields.items()})

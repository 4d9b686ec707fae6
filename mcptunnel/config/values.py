"""Values of more than one part: commands, environments, header fields."""

import json
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType

from mcptunnel.config.errors import InvalidValueError
from mcptunnel.config.secret import Secret

LEAST_SECRET_BYTES = 32

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SET_BY_US = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade"})


def parse_command(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command that has a program, `~` in it replaced. Raises `InvalidValueError`."""
    if not command or not command[0].strip():
        raise InvalidValueError("names no program", 'Write for example ["npx", "-y", "package"].')
    program, *arguments = command
    if _URL.match(program):
        # The text is not repeated: it may have a password in it.
        raise InvalidValueError("looks like a URL", "Write it as url instead of command.")
    words = program.split()
    if not arguments and len(words) > 1 and "/" not in words[0]:
        better = json.dumps(words, ensure_ascii=False)
        raise InvalidValueError("is one text with spaces", f"Write {better} instead.")
    return (_without_tilde(program), *arguments)


def _without_tilde(program: str) -> str:
    if not program.startswith("~"):
        return program
    try:
        return str(Path(program).expanduser())
    except RuntimeError as error:
        raise InvalidValueError(
            f"{program!r} names a home directory that is not known", "Write the whole path."
        ) from error


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


def parse_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Return IP networks and addresses, and `unix`. Raises `InvalidValueError`."""
    for text in networks:
        try:
            if text != "unix":
                ip_network(text)
        except ValueError as error:
            raise InvalidValueError(
                f"{text!r} is no IP network", "Write for example 10.0.0.0/8, or one address."
            ) from error
    return networks


def parse_sealing_secret(secret: Secret) -> Secret:
    """Return a secret that is long enough to seal with. Raises `InvalidValueError`."""
    if len(secret.reveal().encode()) < LEAST_SECRET_BYTES:
        raise InvalidValueError(
            f"has fewer than {LEAST_SECRET_BYTES} characters",
            "Make one with `openssl rand -hex 32`, or remove the key.",
        )
    return secret

"""Names that people give: to servers, to devices, to header fields."""

import platform
import re
import string

from mcptunnel.config.errors import InvalidValueError

MAX_SERVER_NAME_CHARS = 32
MAX_DEVICE_NAME_CHARS = 64

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


def parse_server_name(name: str) -> str:
    """Return the name of a server when it can be part of a tool's name.

    Raises `InvalidValueError`. `__` separates server and tool, `@` starts reserved targets.
    """
    _check_token(name, "a server")
    return name


def parse_prefix(prefix: str) -> str:
    """Return the prefix of a server's tools: a name, or nothing. Raises `InvalidValueError`."""
    if prefix:
        _check_token(prefix, "a prefix")
    return prefix


def parse_device_name(name: str) -> str:
    """Return the label of a device: one line that can be shown. Raises `InvalidValueError`."""
    if not name.strip() or not name.isprintable() or len(name) > MAX_DEVICE_NAME_CHARS:
        raise InvalidValueError(
            f"{name!r} cannot name a device",
            f"Use 1 to {MAX_DEVICE_NAME_CHARS} printable characters.",
        )
    return name.strip()


def default_device_name() -> str:
    """Return this machine's host name, without its domain and without odd characters."""
    host = platform.node().partition(".")[0]
    return re.sub(r"[^A-Za-z0-9-]+", "-", host).strip("-")[:MAX_DEVICE_NAME_CHARS] or "device"


def _check_token(name: str, what: str) -> None:
    reason = ""
    if name.startswith("@"):
        reason = "names that start with '@' are reserved"
    elif not _TOKEN.fullmatch(name):
        reason = "only letters, digits, '_' and '-' are possible"
    elif "__" in name:
        reason = "'__' separates server and tool"
    elif len(name) > MAX_SERVER_NAME_CHARS:
        reason = f"it has more than {MAX_SERVER_NAME_CHARS} characters"
    if reason:
        raise InvalidValueError(f"{name!r} cannot name {what}: {reason}", _suggestion(name))


def _suggestion(name: str) -> str:
    kept = "".join(char if char in string.ascii_letters + string.digits else "_" for char in name)
    better = re.sub(r"__+", "_", kept).strip("_")[:MAX_SERVER_NAME_CHARS]
    return f"Call it {better!r}." if better else "Call it for example 'files'."

"""The `listen` string: a Twisted server endpoint description, checked without a reactor.

Twisted's own message for a bad one is a traceback deep in a plugin; what people write most often,
a bare port or `host:port`, gets the right spelling as its remedy.
"""

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

from mcptunnel.config.errors import InvalidValueError
from mcptunnel.config.urls import is_loopback

_KINDS = ("tcp", "tcp4", "tcp6", "ssl", "unix", "systemd", "haproxy", "tls", "onion")
_WITH_PORT = ("tcp", "tcp4", "tcp6", "ssl")
_TCP_KEYWORDS = ("port", "interface", "backlog")
_MOST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Description:
    """The parts of an endpoint description: kind, positional and keyword arguments."""

    kind: str
    arguments: tuple[str, ...] = ()
    keywords: dict[str, str] = field(default_factory=dict)


def parse_listen(text: str) -> str:
    """Return the endpoint description as it is, when it can be one.

    Raises `InvalidValueError`. Kinds that Twisted plugins add are let through.
    """
    description = describe_endpoint(text)
    kind = description.kind
    if kind not in _KINDS:
        near = get_close_matches(kind, _KINDS, n=1)
        is_host = re.fullmatch(r"[^:]+:[0-9]+", text)
        if near or is_host or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", kind):
            raise InvalidValueError(
                f"{text!r} cannot be parsed: no kind of endpoint is called {kind!r}",
                f"Did you mean {near[0]!r}?" if near else _spelling(text),
            )
    if kind in _WITH_PORT:
        _check_port(text, description)
    if kind == "unix" and not (description.arguments or "address" in description.keywords):
        raise InvalidValueError(f"{text!r} cannot be parsed: it names no path")
    return text


def describe_endpoint(text: str) -> Description:
    """Split a description at its colons; a backslash takes the meaning from the next character.

    Raises `InvalidValueError` when there is no colon at all.
    """
    kind, *rest = [part.replace(r"\:", ":") for part in re.split(r"(?<!\\):", text)]
    if not rest:
        raise InvalidValueError(f"{text!r} is not an endpoint description", _spelling(text))
    keywords = dict(part.split("=", 1) for part in rest if "=" in part)
    return Description(kind, tuple(part for part in rest if "=" not in part), keywords)


def loopback_url(text: str) -> str | None:
    """Return the http URL of a checked description that listens on loopback only, else None."""
    if not is_loopback_only(text):
        return None
    description = describe_endpoint(text)
    interface = description.keywords.get("interface", "")
    port = _port(description)
    host = f"[{interface}]" if ":" in interface else interface
    return f"http://{host}:{port}" if port not in ("", "0") else None


def is_loopback_only(text: str) -> bool:
    """Tell whether a checked description listens where only this machine can connect.

    A Unix socket is no such place: it is there for a proxy, which others reach.
    """
    description = describe_endpoint(text)
    is_tcp = description.kind in ("tcp", "tcp4", "tcp6")
    return is_tcp and is_loopback(description.keywords.get("interface", ""))


def tcp_endpoint(host: str, port: int) -> str:
    """Return the description that listens on one address and port."""
    return f"tcp:{port}:interface=" + host.replace(":", r"\:")


def _check_port(text: str, description: Description) -> None:
    port = _port(description)
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > _MOST_PORT:
        raise InvalidValueError(
            f"{text!r} cannot be parsed: {port!r} is not a port", "Ports are 0 to 65535."
        )
    unknown = [name for name in description.keywords if name not in _TCP_KEYWORDS]
    if description.kind != "ssl" and (unknown or len(description.arguments) > 1):
        extra = unknown[0] if unknown else description.arguments[1]
        raise InvalidValueError(
            f"{text!r} cannot be parsed: {extra!r} is not understood", _spelling(text)
        )


def _port(description: Description) -> str:
    return description.keywords.get("port", (*description.arguments, "")[0])


def _spelling(text: str) -> str:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if port.isdigit() and re.fullmatch(r"[0-9A-Za-z.:-]*", host):
        return f"Write '{tcp_endpoint(host or '127.0.0.1', int(port))}'."
    return "Write for example 'tcp:8787:interface=127.0.0.1'."

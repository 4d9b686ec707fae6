"""Where the suite is run: the servers themselves, and the endpoints of tunnels in front of them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.interop import environments
from tests.interop.cases import CASES, ServerCase
from tests.interop.drivers import call
from tests.interop.processes import free_port
from tests.interop.tunnel import ServerEntry, Tunnel

_BY_NAME = {case.name: case for case in CASES}
_SERVERS = Path(__file__).with_name("servers")
_STDIO = "from mcp_everything_server.server import mcp; mcp.run(transport='stdio')"

HTTP: Final[ServerCase] = _BY_NAME["reference-http"]
STDIO: Final[ServerCase] = _BY_NAME["reference"]


def _modern_stdio() -> list[str]:
    python = str(environments.python_mcp_2().python)
    return [python, str(_SERVERS / "modern_stdio.py"), python, "-c", _STDIO]


def _modern_http(port: int) -> tuple[list[str], Mapping[str, str]]:
    python = str(environments.python_mcp_2().python)
    return [python, str(_SERVERS / "modern_http.py"), str(port)], {}


def _legacy_stdio() -> list[str]:
    return [str(environments.python_mcp_1().python), "-c", _STDIO]


def _legacy_http(port: int) -> tuple[list[str], Mapping[str, str]]:
    python = str(environments.python_mcp_1().python)
    words = ["-m", "mcp_everything_server", "--port", str(port), "--log-level", "WARNING"]
    return [python, *words], {}


_SIMPLE: Final = call("test_simple_text")

PLACES: Final[Mapping[str, ServerCase]] = {
    "http": HTTP,
    "stdio": STDIO,
    "modern-http": ServerCase("modern-http", _SIMPLE, "", http=_modern_http),
    "modern-stdio": ServerCase("modern-stdio", _SIMPLE, "", command=_modern_stdio),
    "legacy-http": ServerCase("legacy-http", _SIMPLE, "", http=_legacy_http),
    "legacy-stdio": ServerCase("legacy-stdio", _SIMPLE, "", command=_legacy_stdio),
}
"""The reference server of the 2.x SDK, which speaks both eras; the same without the older one; and that
of the 1.x SDK, which knows the older alone. Each over HTTP and over stdio."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL, and the token that opens it."""

    url: str
    token: str = ""


@contextmanager
def places(name: str, folder: Path) -> Iterator[dict[str, Place]]:
    """Run a server, and a tunnel in front of it whose hub leaves names alone.

    The places are `transparent`, `hub` and, over HTTP, `direct`.
    """
    case, found = PLACES[name], {}
    with ExitStack() as stack:
        url = ""
        if case.http is not None:
            url = stack.enter_context(_running(case, folder))
            found["direct"] = Place(url)
        command = case.command() if case.command is not None else ()
        entry = ServerEntry(case.name, command=command, url=url, prefix="")
        tunnel = stack.enter_context(Tunnel(folder, [entry]))
        found["transparent"] = Place(f"{tunnel.origin}/servers/{case.name}/mcp", tunnel.token)
        found["hub"] = Place(tunnel.url, tunnel.token)
        yield found


@contextmanager
def _running(case: ServerCase, folder: Path) -> Iterator[str]:
    """Run an HTTP server; its URL. It knows itself as localhost, and refuses other names."""
    port = free_port()
    with case.start(port, folder):
        yield f"http://localhost:{port}/mcp"

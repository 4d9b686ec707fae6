"""`/`, `/health` and `/ready`: a page for people, JSON for programs."""

from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request

import mcptunnel
from mcptunnel.config.relay import RelayConfig
from mcptunnel.relay.devices import Devices
from mcptunnel.relay.draining import Draining
from mcptunnel.relay.web.answers import send_json
from mcptunnel.relay.web.not_found import NotFound
from mcptunnel.relay.web.pages.kinds import IndexPage
from mcptunnel.relay.web.pages.render import Pages


def _only_read(request: Request, answer: Callable[[Request], int]) -> int:
    """Answer GET and HEAD, on the path itself."""
    if request.postpath:
        return NotFound().render(request)
    if request.method not in (b"GET", b"HEAD"):
        return send_json(
            request,
            405,
            {"error": "method_not_allowed", "error_description": "This can only be read"},
            headers={b"allow": b"GET, HEAD"},
        )
    return answer(request)


class Health(Resource):
    """`/health`: alive, and whether an agent is connected, or at least held for its next link."""

    isLeaf = True

    def __init__(self, devices: Devices, draining: Draining) -> None:
        super().__init__()
        self._devices = devices
        self._draining = draining

    def describe(self) -> dict[str, Any]:
        """Return what `/health` says."""
        resuming = self._devices.resuming_count
        linked = self._devices.connected_count - resuming
        return {
            "status": "draining" if self._draining.is_on else "ok",
            "tunnel": "connected" if linked else "resuming" if resuming else "disconnected",
            "devices": linked,
            "version": mcptunnel.__version__,
        }

    def render(self, request: Request) -> int:
        return _only_read(request, self._answer)

    def _answer(self, request: Request) -> int:
        return send_json(request, 200, self.describe(), headers={b"cache-control": b"no-store"})


class Ready(Resource):
    """`/ready`: whether new requests are taken, for whoever spreads them over several relays."""

    isLeaf = True

    def __init__(self, draining: Draining) -> None:
        super().__init__()
        self._draining = draining

    def render(self, request: Request) -> int:
        return _only_read(request, self._answer)

    def _answer(self, request: Request) -> int:
        headers = {b"cache-control": b"no-store"}
        if not self._draining.is_on:
            return send_json(request, 200, {"status": "ready"}, headers=headers)
        headers[b"retry-after"] = b"%d" % self._draining.retry_after
        return send_json(request, 503, {"status": "draining"}, headers=headers)


class Index(Resource):
    """`/`: HTML if the client prefers it, JSON otherwise."""

    isLeaf = True

    def __init__(self, config: RelayConfig, health: Health) -> None:
        super().__init__()
        self._mcp_url = f"{config.public_url}/mcp"
        self._mode = config.auth.mode
        self._health = health
        self._pages = Pages(config.public_url)

    def render(self, request: Request) -> int:
        return _only_read(request, self._answer)

    def _answer(self, request: Request) -> int:
        described = {"name": "mcptunnel", "mcp": self._mcp_url, **self._health.describe()}
        accept = request.getHeader(b"accept") or b""
        request.setHeader(b"vary", b"accept")
        if b"text/html" not in accept:
            return send_json(request, 200, described)
        page = IndexPage(
            mcp_url=self._mcp_url,
            mode=self._mode,
            tunnel=described["tunnel"],
            version=described["version"],
        )
        return self._pages.send(request, 200, page)

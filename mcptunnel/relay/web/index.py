"""`/`, `/health` and `/ready`: a page for people, JSON for programs."""

from collections.abc import Callable
from html import escape
from typing import Any, Final

from twisted.web.resource import Resource
from twisted.web.server import Request

import mcptunnel
from mcptunnel.relay.devices import Devices
from mcptunnel.relay.draining import Draining
from mcptunnel.relay.web.answers import send_body, send_json
from mcptunnel.relay.web.not_found import NotFound

_POLICY: Final = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>mcptunnel relay</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }}
code {{ font: .95em ui-monospace, monospace; overflow-wrap: anywhere }}
dt {{ font-weight: 600 }}
</style>
</head>
<body>
<h1>mcptunnel relay</h1>
<p>This relay connects AI applications to MCP servers on their users' own machines.</p>
<dl>
<dt>MCP endpoint</dt><dd><code>{mcp_url}</code></dd>
<dt>Tunnel</dt><dd>{tunnel}</dd>
<dt>Version</dt><dd>{version}</dd>
</dl>
<p>An application needs the endpoint and a key in the header
<code>Authorization: Bearer …</code>. Whoever runs this relay makes keys with
<code>mcptunnel keys create --config relay.toml --user NAME --scope mcp</code>.</p>
</body>
</html>
"""


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

    def __init__(self, public_url: str, health: Health) -> None:
        super().__init__()
        self._mcp_url = f"{public_url}/mcp"
        self._health = health

    def render(self, request: Request) -> int:
        return _only_read(request, self._answer)

    def _answer(self, request: Request) -> int:
        described = {"name": "mcptunnel", "mcp": self._mcp_url, **self._health.describe()}
        accept = request.getHeader(b"accept") or b""
        if b"text/html" not in accept:
            return send_json(request, 200, described)
        page = _PAGE.format(
            mcp_url=escape(self._mcp_url),
            tunnel=escape(described["tunnel"]),
            version=escape(described["version"]),
        )
        return send_body(
            request,
            200,
            page.encode(),
            content_type=b"text/html; charset=utf-8",
            headers={
                b"content-security-policy": _POLICY,
                b"x-frame-options": b"DENY",
                b"referrer-policy": b"no-referrer",
                b"vary": b"accept",
            },
        )

"""`/assets/…`: the stylesheet and the logo. A name holds the hash of its content, so it never changes."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from twisted.web.resource import Resource
from twisted.web.server import Request

from mcptunnel.relay.web.answers import send_body, send_json
from mcptunnel.relay.web.not_found import NotFound

_TYPES: Final = {"style.css": b"text/css; charset=utf-8", "logo.svg": b"image/svg+xml"}
_HASH_CHARS: Final = 16
_HEADERS: Final = {
    b"cache-control": b"public, max-age=31536000, immutable",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
}


@dataclass(frozen=True, slots=True)
class Asset:
    path: str
    content_type: bytes
    body: bytes


@cache
def assets() -> dict[str, Asset]:
    """Return what there is, by the names of the files."""
    folder = files("mcptunnel.relay.web.pages") / "static"
    found = {}
    for name, content_type in _TYPES.items():
        body = (folder / name).read_bytes()
        stem, _, ending = name.partition(".")
        mark = sha256(body).hexdigest()[:_HASH_CHARS]
        found[name] = Asset(f"/assets/{stem}-{mark}.{ending}", content_type, body)
    return found


class Assets(Resource):
    """Everything below `/assets`. It is the same for everyone, so any Host may ask."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self._by_path = {asset.path.encode(): asset for asset in assets().values()}

    def render(self, request: Request) -> int:
        asset = self._by_path.get(request.path)
        if asset is None:
            return NotFound().render(request)
        if request.method not in (b"GET", b"HEAD"):
            return send_json(
                request, 405, {"error": "method_not_allowed"}, headers={b"allow": b"GET, HEAD"}
            )
        return send_body(
            request, 200, asset.body, content_type=asset.content_type, headers=_HEADERS
        )

"""`/assets`: the stylesheet and the logo."""

from hashlib import sha256

import pytest

from mcptunnel.relay.web.pages.assets import assets
from tests.relay.web.site import HOST, MemorySite, head_of

TYPES = {"style.css": "text/css; charset=utf-8", "logo.svg": "image/svg+xml"}


@pytest.mark.parametrize("name", TYPES)
def test_an_asset_may_be_kept_for_ever(name: str) -> None:
    """Its name holds the hash of its content."""
    asset = assets()[name]
    assert sha256(asset.body).hexdigest()[:16] in asset.path
    answer = MemorySite().ask("GET", asset.path)
    assert (answer.status, answer.body) == (200, asset.body)
    assert answer.headers["content-type"] == TYPES[name]
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path", ["", "/", "/style.css", "/style-0000000000000000.css", "/../templates/base.html"]
)
def test_nothing_else_is_there(path: str) -> None:
    assert MemorySite().ask("GET", f"/assets{path}").status == 404


def test_assets_can_only_be_read() -> None:
    path = assets()["style.css"].path
    answer = MemorySite().ask("POST", path)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    connection = MemorySite().connection()
    connection.send(head_of("HEAD", path, {"host": HOST}))
    head, _, body = connection.wire.value().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""

"""The headers of every page (threats 3, 11, 14 and 16)."""

import re
from collections.abc import Collection
from typing import Final

from twisted.web.http import Request

from mcptunnel.relay.web.answers import send_body

_SOURCE: Final = re.compile(r"[a-z][a-z0-9+.-]*:(?://[a-z0-9.-]+(?::[0-9]{1,5})?)?")
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action {}; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_FEATURES: Final = (
    "camera",
    "clipboard-read",
    "display-capture",
    "geolocation",
    "microphone",
    "payment",
    "usb",
)
_HEADERS: Final = {
    b"cache-control": b"no-store",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": ", ".join(f"{name}=()" for name in _FEATURES).encode(),
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
}
STRICT_TRANSPORT: Final = b"max-age=31536000"
"""For a year, and this host alone: other hosts of the domain are not ours to decide about."""


def send_page(
    request: Request,
    status: int,
    html: bytes,
    *,
    form_action: Collection[str] = (),
    strict_transport: bool = False,
) -> int:
    """Answer with a page and finish. Returns what `render` must return.

    `form_action` names where an answer to the page's forms may redirect to besides this origin, also
    after several redirects (`auth.redirects.form_action_source`): Chrome holds a form to that.
    Raises ValueError for what is no source. `Pages.send` knows `strict_transport`.
    """
    headers = _HEADERS | {b"content-security-policy": content_policy(form_action)}
    if strict_transport:
        headers[b"strict-transport-security"] = STRICT_TRANSPORT
    return send_body(
        request, status, html, content_type=b"text/html; charset=utf-8", headers=headers
    )


def content_policy(form_action: Collection[str] = ()) -> bytes:
    """Return the Content-Security-Policy. Raises ValueError for a source that could say something else."""
    for source in form_action:
        if not _SOURCE.fullmatch(source):
            raise ValueError(f"This is no source of a policy: {source!r}")
    return _POLICY.format(" ".join(dict.fromkeys(["'self'", *form_action]))).encode()

"""The headers of every page."""

from typing import Any

import pytest
from twisted.web.test.requesthelper import DummyRequest

from mcptunnel.auth.redirects import form_action_source
from mcptunnel.relay.web.pages.render import Pages
from mcptunnel.relay.web.pages.sending import content_policy, send_page
from tests.relay.web.pages.samples import PAGES
from tests.relay.web.test_answers import headers_of, request

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{}; "
    "frame-ancestors 'none'; base-uri 'none'"
)


def test_every_header() -> None:
    """Threats 11, 16 and 17: no script, no frame, no referrer, no copy in a cache, no guessing of types."""
    made = request()
    send_page(made, 403, b"<p>")
    assert made.responseCode == 403
    assert b"".join(made.written) == b"<p>"
    headers = {name.decode(): b"; ".join(v).decode() for name, v in headers_of(made).items()}
    assert headers.pop("permissions-policy").startswith("camera=(), ")
    assert headers == {
        "cache-control": "no-store",
        "content-length": "3",
        "content-security-policy": POLICY.format(""),
        "content-type": "text/html; charset=utf-8",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }


@pytest.mark.parametrize(
    ("redirect", "source"),
    [
        ("https://claude.ai/api/mcp/auth_callback", "https://claude.ai"),
        ("http://localhost:33418/callback", "http://localhost:33418"),
        ("http://[::1]:33418/callback", "http:"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
    ],
)
def test_a_form_may_lead_to_the_client(redirect: str, source: str) -> None:
    """Threat 16: Chrome holds the redirect after a post to `form-action`, too."""
    policy = content_policy([form_action_source(redirect)]).decode()
    assert policy == POLICY.format(f" {source}")


def test_sources_stand_once() -> None:
    policy = content_policy(["https://a.example", "https://a.example"]).decode()
    assert policy == POLICY.format(" https://a.example")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "*",
        "'unsafe-inline'",
        "https://a.example; script-src *",
        "https://a.example https://b.example",
        "https://a.example,",
        "https://a.example\r\nx: y",
        "https://a.example\n",
        "https://*.example",
        "HTTPS://a.example",
    ],
)
def test_nothing_else_gets_into_the_policy(source: str) -> None:
    with pytest.raises(ValueError, match="no source"):
        content_policy([source])


@pytest.mark.parametrize(
    ("public_url", "strict"),
    [
        ("https://relay.example.com", [b"max-age=31536000"]),
        ("http://relay.example.com", None),
        ("http://localhost:8787", None),
    ],
)
@pytest.mark.parametrize("is_secure", [True, False])
def test_only_an_https_relay_asks_for_https(
    public_url: str, strict: list[bytes] | None, is_secure: bool
) -> None:
    """The configuration decides: behind a proxy every connection of ours is plain."""
    made: Any = DummyRequest([b""])
    made.isSecure = lambda: is_secure
    Pages(public_url).send(made, 200, PAGES["signed-out"], form_action=["https://a.example"])
    headers = headers_of(made)
    assert headers.get(b"strict-transport-security") == strict
    assert headers[b"content-security-policy"] == [POLICY.format(" https://a.example").encode()]
    assert b"You are signed out" in b"".join(made.written)

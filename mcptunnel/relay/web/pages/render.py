"""Pages as HTML. The only file that knows Jinja."""

from collections.abc import Collection
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from twisted.web.http import Request

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.urls import split_url
from mcptunnel.relay.web.pages.asked import MAX_SHOWN_CHARS, scopes_shown, servers_shown
from mcptunnel.relay.web.pages.assets import assets
from mcptunnel.relay.web.pages.kinds import AnyPage
from mcptunnel.relay.web.pages.sending import send_page

_HTTPS: Final = "https"


class Pages:
    """The pages of one relay. `public_url` is its origin."""

    def __init__(self, public_url: str) -> None:
        url = split_url(public_url)
        if url is None:
            raise ValueError("The public URL was not checked")
        self._relay = url.origin.partition("://")[2]
        self._is_https = url.scheme == _HTTPS
        self._environment = _environment()

    def render(self, page: AnyPage) -> bytes:
        """Return a page as HTML in UTF-8."""
        values = {one.name: getattr(page, one.name) for one in fields(page)}
        template = self._environment.get_template(page.template)
        return template.render(values, page=page, relay=self._relay).encode()

    def send(
        self, request: Request, status: int, page: AnyPage, *, form_action: Collection[str] = ()
    ) -> int:
        """Answer with a page, as `send_page` does; an https relay also asks to be called only so.

        `public_url` decides, not the connection: a proxy may have ended TLS. An http relay never sends
        Strict-Transport-Security (RFC 6797, section 7.2).
        """
        html = self.render(page)
        return send_page(
            request, status, html, form_action=form_action, strict_transport=self._is_https
        )


@cache
def _environment() -> Environment:
    """Return the templates, all of them compiled: no visitor waits for that."""
    environment = Environment(
        loader=PackageLoader("mcptunnel.relay.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "time": time_shown, "timestamp": timestamp}
    environment.globals |= {
        "asset": {name: asset.path for name, asset in assets().items()},
        "scopes_shown": scopes_shown,
        "servers_shown": servers_shown,
    }
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def shown(text: Any) -> str:
    """Return what a stranger chose as one line that cannot pretend to be something else (threat 3)."""
    return clean_text(text, MAX_SHOWN_CHARS)


def time_shown(epoch_s: float) -> str:
    """Return a time for people. The page cannot know their zone, so it names its own."""
    at = datetime.fromtimestamp(epoch_s, UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def timestamp(epoch_s: float) -> str:
    """Return a time for programs."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds")

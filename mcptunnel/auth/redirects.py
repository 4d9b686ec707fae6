"""Redirect URIs: which may be registered, and whether a presented one is registered.

Exact string comparison (RFC 9700, section 2.1), except that the port of a loopback redirect is the
client's to choose (RFC 8252, section 7.3). Clients use `localhost` in the same way, so that counts too.
Private-use schemes (RFC 8252, section 7.1) are allowed, because editors have nothing else.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

from mcptunnel.auth.urls import Url, split_url

MAX_URI_CHARS: Final = 2048

_BLOCKED: Final = """
    about afp blob brave chrome chrome-extension chrome-search chrome-untrusted cid content data devtools
    edge feed file filesystem firefox firefox-focus ftp ftps googlechrome googlechromes hcp intent its
    itms-services jar javascript ldap ldaps livescript mailto mhtml microsoft-edge microsoft-edge-http
    microsoft-edge-https mid mk mocha moz-extension ms-access ms-appinstaller ms-excel
    ms-infopath ms-its ms-msdt ms-officecmd ms-powerpoint ms-project ms-publisher ms-spd ms-visio
    ms-word nfs opera opera-http opera-https res resource safari-extension safari-web-extension search
    search-ms shell smb sms ssh tel telnet touch-http touch-https urn vbscript view-source vivaldi vnc
    ws wss x-safari-http x-safari-https
"""
BLOCKED_SCHEMES: Final = frozenset(_BLOCKED.split())
"""Schemes that run code, read files, or go to something that is not the client's own program.

So do those by which a browser or an office program opens any URL: such a client would be a web site
that poses as a program on the person's machine.
"""

_URL_INSIDE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CSP_HOST: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")


def redirect_fault(uri: str) -> str | None:
    """Return why a URI cannot be a redirect URI, as a sentence, or None when it can (threat 4)."""
    url = split_url(uri, max_chars=MAX_URI_CHARS)
    if url is None:
        return "A redirect URI is not an absolute URL in ASCII"
    if url.fragment is not None:
        return "A redirect URI has a fragment"
    if url.has_userinfo:
        return "A redirect URI has a user name in it"
    if "*" in uri:
        return "A redirect URI has a wildcard, which matches nothing here"
    if url.scheme in BLOCKED_SCHEMES:
        return "The scheme of a redirect URI is not allowed"
    return _fault_of_place(url)


def is_registered(registered: Iterable[str], presented: str) -> bool:
    """Tell whether a presented redirect URI is one of the registered ones."""
    if redirect_fault(presented) is not None:
        return False
    return any(_same(one, presented) for one in registered)


def is_loopback(uri: str) -> bool:
    """Tell whether a redirect goes to the person's own machine over http, where anyone may listen."""
    url = split_url(uri, max_chars=MAX_URI_CHARS)
    return url is not None and url.scheme == "http" and url.is_loopback


def is_private_scheme(uri: str) -> bool:
    """Tell whether a redirect goes to a program that claims a scheme of its own."""
    url = split_url(uri, max_chars=MAX_URI_CHARS)
    return url is not None and url.scheme not in ("http", "https")


def stays_here(uri: str) -> bool:
    """Tell whether a redirect goes to a program on the person's machine, and to no web site."""
    return is_loopback(uri) or is_private_scheme(uri)


def form_action_source(uri: str) -> str:
    """Return the CSP `form-action` source that lets a form's answer redirect to a checked URI (threat 16).

    A source cannot name an IPv6 address or a private host: then it is the scheme alone.
    """
    url = split_url(uri, max_chars=MAX_URI_CHARS)
    if url is None:
        raise ValueError("The redirect URI was not checked")
    if url.scheme in ("http", "https") and url.host and _CSP_HOST.fullmatch(url.host):
        return url.origin
    return f"{url.scheme}:"


def with_parameters(uri: str, members: Iterable[tuple[str, str]]) -> str:
    """Return a redirect URI with parameters added to its query, which is kept (RFC 6749, 3.1.2)."""
    base, mark, query = uri.partition("?")
    added = urlencode(list(members))
    return f"{base}?{query}&{added}" if mark and query else f"{base}?{added}"


def _fault_of_place(url: Url) -> str | None:
    if url.scheme not in ("http", "https"):
        if url.host is None and _URL_INSIDE.match(url.path):
            return "A redirect URI has another URL in it"
        return None if url.host or url.path.strip("/") else "A redirect URI names no place"
    if not url.host:
        return "A redirect URI has no host"
    if url.scheme == "http" and not url.is_loopback:
        return "A redirect URI has to be https, or http to this machine itself"
    return None


def _same(registered: str, presented: str) -> bool:
    if registered == presented:
        return True
    one, other = (split_url(uri, max_chars=MAX_URI_CHARS) for uri in (registered, presented))
    if one is None or other is None or not (one.is_loopback and other.is_loopback):
        return False
    return _but_for_the_port(one) == _but_for_the_port(other) and one.scheme == "http"


def _but_for_the_port(url: Url) -> tuple[object, ...]:
    # An empty path is "/" in http (RFC 3986, 6.2.3); VS Code registers the one and uses the other.
    return (url.scheme, url.host, url.path or "/", url.query, url.fragment, url.has_userinfo)

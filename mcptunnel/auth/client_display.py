"""What a person is told about a client before they agree (threat 3): facts first, then what it says of itself."""

import unicodedata
from dataclasses import dataclass
from typing import Final

from mcptunnel.auth.clients import Client, ClientKind
from mcptunnel.auth.redirects import stays_here
from mcptunnel.auth.urls import split_url

MAX_SHOWN_CHARS: Final = 80
_MAX_MARKS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDisplay:
    """A client as a consent page shows it; all texts are one line without control characters.

    `vouched_by` is the host of a client document, or "" when nobody vouches for the name (`verified`
    is false) or the relay's configuration does. `redirect_to` is a host, or a scheme with a colon.
    """

    name: str
    vouched_by: str
    verified: bool
    redirect_to: str
    this_machine: bool
    """The answer goes to a program on the person's machine: any program there may pose as the client."""
    only_this_machine: bool
    """All redirects of the client are like that: nothing but the person can tell who asks."""


def client_display(client: Client, redirect_uri: str) -> ClientDisplay:
    """Return what to show about a client that asks for an answer to a checked redirect URI."""
    host = _host_of(client.id) if client.kind is ClientKind.DOCUMENT else ""
    return ClientDisplay(
        name=clean_text(client.name, MAX_SHOWN_CHARS) or host or "Unnamed application",
        vouched_by=host,
        verified=client.kind is not ClientKind.REGISTERED,
        redirect_to=_place(redirect_uri),
        this_machine=stays_here(redirect_uri),
        only_this_machine=all(map(stays_here, client.redirect_uris)),
    )


def clean_text(value: object, max_chars: int) -> str:
    """Return a text as one line that is safe to show: no control, bidirectional or invisible characters.

    "" for what is no text. What is too long is cut and ends in an ellipsis; letters carry at most two
    combining marks, so that nothing is drawn over its neighbours.
    """
    if not isinstance(value, str):
        return ""
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", value[: 8 * max_chars]):
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category[0] == "Z" or char in "\t\r\n":
            kept.append(" ")
        elif category[0] != "C" and marks <= _MAX_MARKS:
            kept.append(char)
    text = " ".join("".join(kept).split())
    return text if len(text) <= max_chars else text[: max_chars - 1].rstrip() + "…"


def _place(uri: str) -> str:
    url = split_url(uri)
    if url is None:
        raise ValueError("The redirect URI was not checked")
    return url.host or "" if url.scheme in ("http", "https") else f"{url.scheme}:"


def _host_of(uri: str) -> str:
    url = split_url(uri)
    return (url.host or "") if url else ""

"""How a relay gives tokens to clients and agents."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from mcptunnel.config.errors import Complaint, InvalidValueError
from mcptunnel.config.schema import Bounds, Option
from mcptunnel.config.secret import Secret

_DAY_S = 86_400.0
_MAX_CLIENT_ID_CHARS = 255


def parse_client_id(text: str) -> str:
    """Return the id of a client: printable ASCII without spaces. Raises `InvalidValueError`."""
    if not text or len(text) > _MAX_CLIENT_ID_CHARS or not all("!" <= c <= "~" for c in text):
        raise InvalidValueError(f"{text!r} cannot be a client's id", "Use letters, digits and `-`.")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClientConfig:
    """A client that is known without registering; its id is the name of its table."""

    name: str
    title: Annotated[
        str | None,
        Option("What people are told that it is called.", default_text="its id"),
    ] = None
    redirect_uris: Annotated[
        tuple[str, ...],
        Option(
            "Where answers may be sent; the port of a loopback address is free.",
            example='["https://app.example.org/callback"]',
        ),
    ] = ()
    secret: Annotated[
        Secret | None,
        Option("What it proves itself with.", default_text="none: a public client"),
    ] = None

    @staticmethod
    def rules(values: Mapping[str, Any]) -> Iterator[Complaint]:
        """Complain about a client that can do nothing."""
        if values.get("redirect_uris") == ():
            yield Complaint(
                "redirect_uris",
                "is missing, so there is nowhere to send an answer to",
                'Write for example redirect_uris = ["https://app.example.org/callback"].',
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthConfig:
    """The authorization server."""

    access_lifetime_s: Annotated[
        float,
        Option("Seconds that an access token lives.", Bounds(least=10, most=_DAY_S)),
    ] = 3600.0
    refresh_idle_s: Annotated[
        float,
        Option(
            "Seconds after which a client that did not come back has to ask its user again.",
            Bounds(least=3600, most=365 * _DAY_S),
        ),
    ] = 30 * _DAY_S
    grant_lifetime_s: Annotated[
        float,
        Option(
            "Seconds after which every client has to ask its user again.",
            Bounds(least=3600, most=3650 * _DAY_S),
        ),
    ] = 90 * _DAY_S
    refresh_grace_s: Annotated[
        float,
        Option(
            "Seconds for which a refresh token that was used may be used again.",
            Bounds(least=0, most=120),
        ),
    ] = 60.0
    registration: Annotated[
        Literal["open", "token", "off"],
        Option("Whether clients may register themselves: all, those with a token, or none."),
    ] = "open"
    registration_token: Annotated[
        Secret | None,
        Option('The token for `registration = "token"`.', example='"${REGISTRATION_TOKEN}"'),
    ] = None
    max_clients: Annotated[
        int,
        Option("Clients that may be registered at once.", Bounds(least=1, most=10_000_000)),
    ] = 10_000
    client_documents: Annotated[
        bool,
        Option("Take clients whose id is the URL of a document about them."),
    ] = True
    document_hosts: Annotated[
        tuple[str, ...],
        Option(
            "The only hosts that such documents may be on; `.example.org` means all below it.",
            default_text="all public ones",
        ),
    ] = ()
    refused_document_hosts: Annotated[
        tuple[str, ...],
        Option("Hosts that such documents may not be on."),
    ] = ()
    pinned_documents: Annotated[
        Path | None,
        Option("A JSON file with documents by their URL, which are never fetched."),
    ] = None
    origin_wide_tokens: Annotated[
        bool,
        Option(
            "Give a client that names no endpoint a token for all of them; otherwise for `/mcp`."
        ),
    ] = True
    device_codes: Annotated[
        bool,
        Option("Let agents on machines without a browser sign in by a code."),
    ] = True
    requests_per_minute: Annotated[
        int,
        Option(
            "How often one address may ask each endpoint of the authorization server.",
            Bounds(least=10, most=1_000_000),
        ),
    ] = 120
    clients: Annotated[
        tuple[OAuthClientConfig, ...],
        Option(
            "Clients that are known without registering, each a table under its id.",
            parse=parse_client_id,
        ),
    ] = field(default=())

    @staticmethod
    def rules(values: Mapping[str, Any]) -> Iterator[Complaint]:
        """Complain about fields that contradict each other."""
        has_token = values.get("registration_token") is not None
        if values.get("registration") == "token" and not has_token:
            yield Complaint(
                "registration_token", "is missing", "Say which token registering takes."
            )
        if values.get("registration") != "token" and has_token:
            yield Complaint(
                "registration_token",
                'is only for registration = "token"',
                'Write registration = "token", or remove it.',
            )

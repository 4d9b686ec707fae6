"""Who may use a relay, and how people sign in to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from mcptunnel.config.errors import Complaint, Findings, InvalidValueError
from mcptunnel.config.listen import is_loopback_only
from mcptunnel.config.oauth import OAuthConfig
from mcptunnel.config.private_file import PrivateFile
from mcptunnel.config.schema import Bounds, Option
from mcptunnel.config.secret import Secret
from mcptunnel.config.urls import is_loopback, is_plain_remote
from mcptunnel.model import LOCAL_ISSUER

OIDC: Final = "oidc"
LOCAL: Final = "local"
KEYS: Final = "keys"
NONE: Final = "none"

_DAY_S: Final = 86_400.0
_ISSUER_EXAMPLE: Final = "https://accounts.google.com"


def parse_issuer(text: str) -> str:
    """Return a provider's issuer as it is: a slash at its end counts. Raises `InvalidValueError`."""
    remedy = f"Write what the provider calls itself, for example {_ISSUER_EXAMPLE!r}."
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not text.isprintable() or " " in text:
        raise InvalidValueError("is not an http or https URL", remedy)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidValueError("has more than scheme, host, port and path", remedy)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """Who may use the relay."""

    mode: Annotated[
        Literal["oidc", "local", "keys", "none"],
        Option(
            "How people prove who they are. `oidc`: at a provider. `local`: by passwords of this"
            " relay. `keys`: API keys alone. `none`: not at all, on one machine only.",
            default_text="`oidc` with an `issuer`, else `keys`",
        ),
    ] = "keys"
    issuer: Annotated[
        str | None,
        Option(
            "The provider's name for itself, exactly as it writes it.",
            parse=parse_issuer,
            example=f'"{_ISSUER_EXAMPLE}"',
        ),
    ] = None
    client_id: Annotated[
        str | None,
        Option("What the provider calls the relay.", example='"mcptunnel"'),
    ] = None
    client_secret: Annotated[
        Secret | None,
        Option(
            "What the relay proves itself with to the provider.",
            default_text="none: a public client",
            example='"${OIDC_SECRET}"',
        ),
    ] = None
    client_secret_file: Annotated[
        Path | None,
        Option("Instead of `client_secret`: a file with it alone, which nobody else may read."),
    ] = None
    scopes: Annotated[
        tuple[str, ...],
        Option(
            "What the provider is asked for.",
            default_text="`openid`, `profile` and `email`",
            example='["openid", "profile", "email"]',
        ),
    ] = ("openid", "profile", "email")
    user_claim: Annotated[
        str,
        Option("The claim that names a user; another one later makes everybody a new user."),
    ] = "sub"
    allowed_users: Annotated[
        tuple[str, ...],
        Option("Users who may come in, by `user_claim`. Whoever is on one of the lists may."),
    ] = ()
    allowed_emails: Annotated[
        tuple[str, ...],
        Option("Addresses that may come in, if the provider has verified them."),
    ] = ()
    allowed_domains: Annotated[
        tuple[str, ...],
        Option("Domains of such addresses that may come in."),
    ] = ()
    allowed_groups: Annotated[tuple[str, ...], Option("Groups that may come in.")] = ()
    groups_claim: Annotated[str, Option("The claim that lists a user's groups.")] = "groups"
    extra_parameters: Annotated[
        Mapping[str, str],
        Option(
            "More parameters for the provider's sign-in page.", example='{ hd = "example.org" }'
        ),
    ] = field(default_factory=dict, hash=False)
    ca_file: Annotated[
        Path | None,
        Option("Certificates that the provider's has to be from, instead of the usual ones."),
    ] = None
    session_idle_s: Annotated[
        float,
        Option(
            "Seconds without use after which a browser has to sign in again.",
            Bounds(least=60, most=90 * _DAY_S),
        ),
    ] = _DAY_S
    session_lifetime_s: Annotated[
        float,
        Option(
            "Seconds after which every browser has to sign in again.",
            Bounds(least=300, most=365 * _DAY_S),
        ),
    ] = 14 * _DAY_S
    oauth: Annotated[OAuthConfig, Option("How clients and agents get tokens.")] = field(
        default_factory=OAuthConfig
    )

    @property
    def has_sign_in(self) -> bool:
        """Whether people sign in, and clients get tokens."""
        return self.mode in (OIDC, LOCAL)

    @property
    def user_issuer(self) -> str:
        """The issuer of a user whom somebody names without one."""
        return self.issuer if self.mode == OIDC and self.issuer is not None else LOCAL_ISSUER

    @property
    def is_open(self) -> bool:
        """Whether everybody may come in whom the provider lets sign in."""
        lists = (
            self.allowed_users,
            self.allowed_emails,
            self.allowed_domains,
            self.allowed_groups,
        )
        return self.mode == OIDC and not any(lists)

    @staticmethod
    def rules(values: Mapping[str, Any]) -> Iterator[Complaint]:
        """Complain about fields that contradict each other."""
        mode = values.get("mode")
        if mode == OIDC:
            yield from _missing(values)
        elif mode is not None:
            for name in _FOR_PROVIDERS:
                if values.get(name):
                    yield Complaint(
                        name,
                        f'is only for mode = "oidc", and this is "{mode}"',
                        'Remove it, or write mode = "oidc".',
                    )
        idle_s, lifetime_s = values.get("session_idle_s"), values.get("session_lifetime_s")
        if idle_s is not None and lifetime_s is not None and idle_s > lifetime_s:
            yield Complaint(
                "session_idle_s",
                f"{idle_s:g} is more than session_lifetime_s, {lifetime_s:g}",
                "No session lasts so long.",
            )


_FOR_PROVIDERS: Final = (
    "issuer",
    "client_id",
    "client_secret",
    "allowed_users",
    "allowed_emails",
    "allowed_domains",
    "allowed_groups",
    "extra_parameters",
    "ca_file",
)


def _missing(values: Mapping[str, Any]) -> Iterator[Complaint]:
    if "issuer" in values and values["issuer"] is None:
        yield Complaint("issuer", "is missing", f'Write for example issuer = "{_ISSUER_EXAMPLE}".')
    if "client_id" in values and not values["client_id"]:
        yield Complaint(
            "client_id",
            "is missing",
            "Register the relay at the provider, and write the id that it got there.",
        )
    if values.get("scopes") == ():
        yield Complaint("scopes", "is empty", 'Write at least scopes = ["openid"].')


def complaints_about_open(values: Mapping[str, Any]) -> Iterator[Complaint]:
    """Complain when a relay would let in everybody who can reach it, unless `insecure` allows it."""
    auth, listen, url = values.get("auth"), values.get("listen"), values.get("public_url")
    if auth is None or auth.mode != NONE or listen is None or url is None:
        return
    is_private = is_loopback_only(listen) and is_loopback(urlsplit(url).hostname or "")
    if not (is_private or values.get("insecure")):
        yield Complaint(
            "auth.mode",
            '"none" would let everybody in who reaches the relay, from other machines, too',
            'Write "local", "oidc" or "keys"; or let listen and public_url be on loopback; or set'
            " insecure = true if something else keeps others out.",
        )


def complaints_about_provider(values: Mapping[str, Any]) -> Iterator[Complaint]:
    """Complain when sign-ins would go unencrypted to a provider, unless `insecure` allows it."""
    auth = values.get("auth")
    if auth is None or auth.issuer is None or values.get("insecure"):
        return
    if is_plain_remote(auth.issuer):
        yield Complaint(
            "auth.issuer",
            f"{auth.issuer!r} would be asked unencrypted over the network",
            "Use https, or set insecure = true if something else protects the way.",
        )


def place_auth(
    tree: dict[str, Any],
    environ: Mapping[str, str],
    base: Path,
    findings: Findings,
    *,
    has_mode: bool = False,
) -> None:
    """Bring the section to the form that is read: with a mode, and the secret out of its file.

    With a top-level `mode` the file is one of `mcp-local-tunnel`, whose defaults hold.
    """
    auth = tree.get("auth")
    if not isinstance(auth, dict):
        return
    if auth.get("issuer") is not None:
        auth.setdefault("mode", OIDC)
    if has_mode and auth.get("mode") == OIDC:
        auth.setdefault("client_id", "mcp-local-tunnel")
        auth.setdefault("scopes", ["openid"])
    if isinstance(auth.get("scopes"), str):  # as OAuth writes them
        auth["scopes"] = auth["scopes"].split()
    if auth.get("client_secret_file") is not None:
        _place_secret(auth, environ, base, findings)


def _place_secret(
    auth: dict[str, Any], environ: Mapping[str, str], base: Path, findings: Findings
) -> None:
    if auth.get("client_secret") is not None:
        findings.add(
            "auth.client_secret_file", "contradicts auth.client_secret", "Remove one of them."
        )
        return
    file = PrivateFile(
        key="auth.client_secret_file",
        what="client secret",
        reader="relay",
        make=lambda _path: "Write the secret into it that the provider gave you.",
        again=lambda _path: "Copy it from the provider again.",
        check=lambda text: "" if text.isprintable() else "has more than one line",
    )
    # Something has to stand there; with a finding nothing of the tree is used.
    secret = file.read(auth["client_secret_file"], environ, base, findings)
    auth["client_secret"] = secret or "missing"

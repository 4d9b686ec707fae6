"""The provider as a process, and a browser without eyes that goes through its pages."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from tests.auth.signing import private_key
from tests.interop import environments
from tests.interop.processes import Process, is_open, wait_until

CLIENT_ID = "mcptunnel"
SECRET = "a secret: %/+&"
REDIRECT_URI = "https://relay.example/callback"
SCRIPT = Path(__file__).with_name("op.mjs")
START_TIMEOUT_S = 30.0
PAGE_TIMEOUT_S = 20.0
MAX_PAGES = 20

USERS: Mapping[str, Mapping[str, Any]] = {
    "alice": {
        "email": "alice@example.org",
        "email_verified": True,
        "name": "Alice Ä",
        "groups": ["staff", "admins"],
    },
    "bob": {
        "email": "bob@example.org",
        "email_verified": True,
        "name": "Bob B",
        "groups": ["staff"],
    },
    "mallory": {"email": "alice@example.org", "email_verified": False, "name": "Mallory"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """How a provider is set up; `more` are options of the package."""

    port: int
    path: str = ""
    redirect_uri: str = REDIRECT_URI
    auth_method: str = "client_secret_basic"
    algorithm: str = "RS256"
    keys: Mapping[str, int] = field(default_factory=lambda: {"k1": 1})
    """Key ids, and which of the keys of the tests they are."""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def members(self) -> dict[str, Any]:
        """Return what the script wants to know."""
        client = {
            "client_id": CLIENT_ID,
            "redirect_uris": [self.redirect_uri],
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "token_endpoint_auth_method": self.auth_method,
            "id_token_signed_response_alg": self.algorithm,
        }
        if self.auth_method != "none":
            client["client_secret"] = SECRET
        keys = [_private_jwk(self.algorithm, kid, number) for kid, number in self.keys.items()]
        return {
            "issuer": self.issuer,
            "port": self.port,
            "clients": [client],
            "jwks": {"keys": keys},
            "users": USERS,
            "more": self.more,
        }


def _private_jwk(algorithm: str, kid: str, number: int) -> dict[str, Any]:
    from jwt.algorithms import get_default_algorithms  # noqa: PLC0415 - PyJWT fills it when asked

    made: Any = get_default_algorithms()[algorithm]
    members = json.loads(made.to_jwk(private_key(algorithm, number)))
    return {**members, "kid": kid, "alg": algorithm, "use": "sig"}


class RunningOp:
    """A provider that runs; a context manager."""

    def __init__(self, op: Op, folder: Path) -> None:
        made = environments.provider_packages()
        told = folder / f"op-{op.port}.json"
        told.write_text(json.dumps(op.members()))
        argv = [made.node, SCRIPT, made.folder, told]
        self.op = op
        self._process = Process("provider", argv, log=folder / f"op-{op.port}.log")

    def __enter__(self) -> Self:
        def is_up() -> bool:
            self._process.check_running()
            return is_open(self.op.port)

        wait_until(is_up, START_TIMEOUT_S, "the provider")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        return None


class Browser:
    """Keeps cookies, and follows redirects until the relay's own URL comes. `pages` are those it filled in."""

    def __init__(self, redirect_uri: str = REDIRECT_URI) -> None:
        self._redirect_uri = redirect_uri
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        proxies = urllib.request.ProxyHandler({})
        self.pages: list[str] = []
        self._opener = urllib.request.build_opener(cookies, proxies, _NoRedirect)

    def go(self, url: str, **answer: str) -> dict[str, str]:
        """Fill in each page with the answer; return the parameters of the way back."""
        for _ in range(MAX_PAGES):
            if url.startswith(self._redirect_uri):
                return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
            status, location, page = self._open(url, None)
            if status == 200:
                self.pages.append(page)
                status, location, page = self._open(url, urlencode(answer).encode())
            if not location:
                raise AssertionError(f"{url} answered {status}: {page}")
            url = urljoin(url, location)
        raise AssertionError("The provider sends the browser around in circles.")

    def _open(self, url: str, form: bytes | None) -> tuple[int, str, str]:
        try:
            with self._opener.open(url, form, timeout=PAGE_TIMEOUT_S) as got:
                return got.status, "", got.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Location", ""), error.read().decode()

"""A relay at which people sign in by the npm package `oidc-provider`, an agent of alice's, and its clients."""

import hashlib
import json
import secrets
import shlex
import sqlite3
import sys
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.interop.drivers import Endpoint, SignIn
from tests.interop.environments import ROOT
from tests.interop.oidc_provider.provider import CLIENT_ID, SECRET, Op, RunningOp
from tests.interop.processes import free_port
from tests.interop.tunnel import ServerEntry, Tunnel
from tests.interop.walker import Walk, Walker, read_walks

_BY_HAND = "http://127.0.0.1:9/by-hand"


_GRANTS = """
    SELECT subject, scopes, revoked_s IS NOT NULL,
        (SELECT count(*) FROM refresh_token WHERE family_id = token_family.id)
    FROM token_family WHERE client_id = ? ORDER BY created_s
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the relay knows of one consent, and how many refresh tokens came of it."""

    user: str
    scopes: frozenset[str]
    is_revoked: bool
    refresh_tokens: int


class Client:
    """One installation of a client: its folder, and the person before it."""

    def __init__(
        self,
        origin: str,
        name: str,
        folder: Path,
        user: str,
        answers: Sequence[str],
        document_url: str | None = None,
    ) -> None:
        self.origin = origin
        self.folder = folder
        self._record = folder / "walks"
        folder.mkdir()
        words = [sys.executable, "-m", "tests.interop.walker", "--user", user]
        words += ["--record", str(self._record), *(f"--answer={one}" for one in answers)]
        browser = ["env", f"PYTHONPATH={ROOT}", *words]
        program = folder / "browser"
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*browser, "--fetch"])} "$1"\n')
        program.chmod(0o700)
        self.sign_in = SignIn(name, folder, browser, program, document_url)

    def endpoint(self, prefix: str, *, refreshes: bool = True) -> Endpoint:
        sign_in = replace(self.sign_in, refreshes=refreshes)
        return Endpoint(f"{self.origin}/mcp", prefix=prefix, sign_in=sign_in)

    def walks(self) -> list[Walk]:
        """Return how often its browser was opened, and what came of it."""
        return read_walks(self._record)

    def give_back(self) -> None:
        """End the grant, with the newest refresh token that it keeps somewhere."""
        (client_id,) = {walk.asked["client_id"] for walk in self.walks()}
        files = (path for path in self.folder.rglob("*") if path.is_file())
        tokens = [token for path in files for token in _refresh_tokens(path)]
        assert tokens
        for token in tokens:
            form = urlencode({"client_id": client_id, "token": token}).encode()
            with urllib.request.urlopen(f"{self.origin}/revoke", form, timeout=30) as got:
                assert got.status == 200


def _refresh_tokens(path: Path) -> Iterator[str]:
    try:
        yield from _values(json.loads(path.read_text()), "refresh_token")
    except ValueError:  # not JSON, or no text
        return


def _values(value: Any, name: str) -> Iterator[str]:
    """Give the texts of that name anywhere in a JSON value, and in JSON that is a text of it."""
    if isinstance(value, str) and value.startswith("{"):
        yield from _values(json.loads(value), name)
    members = value.items() if isinstance(value, dict) else ()
    for key, inner in members:
        if key == name and isinstance(inner, str):
            yield inner
        yield from _values(inner, name)
    for inner in value if isinstance(value, list) else ():
        yield from _values(inner, name)


def _post(url: str, content: str, body: str) -> dict[str, Any]:
    headers = {"Content-Type": f"application/{content}"}
    request = urllib.request.Request(url, body.encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as got:
        answer: dict[str, Any] = json.loads(got.read())
    return answer


class SignedIn:
    """The running relay, and the clients that were made for it."""

    def __init__(self, tunnel: Tunnel, op: Op, folder: Path) -> None:
        self.tunnel = tunnel
        self.op = op
        self._folder = folder

    def client(
        self,
        name: str,
        folder: str,
        *answers: str,
        user: str = "alice",
        document_url: str | None = None,
    ) -> Client:
        """Install a client that has never been here; the answers are the user's, on the consent pages."""
        place = self._folder / folder
        return Client(self.tunnel.origin, name, place, user, answers, document_url)

    def token(self, user: str = "alice") -> str:
        """Return an access token for the hub, as a client gets it."""
        origin, verifier = self.tunnel.origin, secrets.token_urlsafe(48)
        metadata = {"client_name": "by hand", "redirect_uris": [_BY_HAND]}
        client_id = _post(f"{origin}/register", "json", json.dumps(metadata))["client_id"]
        digest = hashlib.sha256(verifier.encode()).digest()
        wanted = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": _BY_HAND,
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "resource": self.tunnel.url,
        }
        came = Walker(user).go(f"{origin}/authorize?{urlencode(wanted)}").came
        exchange = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": came["code"],
            "code_verifier": verifier,
            "redirect_uri": _BY_HAND,
        }
        answer = _post(f"{origin}/token", "x-www-form-urlencoded", urlencode(exchange))
        return str(answer["access_token"])

    def registered(self, client_id: str) -> bool:
        """Return whether a client has registered itself."""
        with self._store() as opened:
            found = opened.execute("SELECT 1 FROM client WHERE id = ?", (client_id,)).fetchall()
        return bool(found)

    def grants(self, client: Client) -> list[Grant]:
        """Return what the relay keeps of a client's grants, the oldest first."""
        (client_id,) = {walk.asked["client_id"] for walk in client.walks()}
        with self._store() as opened:
            rows = opened.execute(_GRANTS, (client_id,)).fetchall()
        return [
            Grant(user, frozenset(scopes.split()), bool(revoked), count)
            for user, scopes, revoked, count in rows
        ]

    def _store(self) -> closing[sqlite3.Connection]:
        (database,) = self.tunnel.state_dir.glob("*.db")
        return closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True))


@contextmanager
def signed_in(
    folder: Path, servers: Sequence[ServerEntry], *oauth_lines: str
) -> Iterator[SignedIn]:
    """Run provider, relay and agent; the lines are those of `[auth.oauth]` and what follows it."""
    port = free_port()
    op = Op(port=free_port(), redirect_uri=f"http://127.0.0.1:{port}/callback")
    auth = [
        f'issuer = "{op.issuer}"',
        f'clientId = "{CLIENT_ID}"',
        f"clientSecret = {json.dumps(SECRET)}",
        'scopes = ["openid", "profile", "email", "groups"]',
        "[auth.oauth]",
        *oauth_lines,
    ]
    with ExitStack() as stack:
        stack.enter_context(RunningOp(op, folder))
        tunnel = stack.enter_context(Tunnel(folder, servers, auth=auth, port=port))
        yield SignedIn(tunnel, op, folder)

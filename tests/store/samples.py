"""People, digests, records and short ways that the tests of the store share."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.oauth.access import AccessToken
from mcptunnel.store.oauth.clients import Client, ClientKind
from mcptunnel.store.oauth.codes import AuthCode
from mcptunnel.store.oauth.device_codes import DeviceCode
from mcptunnel.store.oauth.families import Family
from mcptunnel.store.oauth.requests import AuthRequest
from mcptunnel.store.people.browsers import BrowserSession

ALICE, BOB = Principal("local", "alice"), Principal("https://idp.example/", "bob")
CLIENT = "https://client.example/mcp.json"
RESOURCE = "https://relay.example/mcp"
RACERS = 8

_T = TypeVar("_T")


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def race(database: Database, work: Callable[[Connection], _T]) -> list[_T]:
    """Let `RACERS` threads do the same at the same moment; return what each got."""
    barrier = threading.Barrier(RACERS, timeout=30)

    def run(_number: int) -> _T:
        barrier.wait()
        return database.write(work)

    with ThreadPoolExecutor(RACERS) as threads:
        return list(threads.map(run, range(RACERS)))


def family(
    family_id: str = "f1",
    principal: Principal = ALICE,
    client_id: str = CLIENT,
    *,
    expires_s: float = 1000.0,
) -> Family:
    """A grant of time 1."""
    return Family(
        id=family_id,
        principal=principal,
        client_id=client_id,
        resource=RESOURCE,
        scopes=frozenset({"mcp", "offline_access"}),
        created_s=1.0,
        last_used_s=1.0,
        expires_s=expires_s,
    )


def access_token(
    secret: str = "at", family_id: str = "f1", *, expires_s: float = 100.0
) -> AccessToken:
    """An access token of time 1."""
    return AccessToken(
        token_hash=digest(secret),
        family_id=family_id,
        audience=RESOURCE,
        scopes=frozenset({"mcp"}),
        created_s=1.0,
        expires_s=expires_s,
    )


def auth_code(
    secret: str = "ac",
    family_id: str = "f1",
    principal: Principal = ALICE,
    client_id: str = CLIENT,
) -> AuthCode:
    """A code that is good from time 1 to time 61."""
    return AuthCode(
        code_hash=digest(secret),
        principal=principal,
        client_id=client_id,
        redirect_uri="http://127.0.0.1:7777/callback",
        challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        resource=RESOURCE,
        scopes=frozenset({"mcp"}),
        family_id=family_id,
        created_s=1.0,
        expires_s=61.0,
    )


def device_code(secret: str = "dc", user_code: str = "BCDF-GHJK") -> DeviceCode:
    """A device code that is good from time 1 to time 601."""
    return DeviceCode(
        code_hash=digest(secret),
        user_code_hash=digest(user_code),
        client_id=CLIENT,
        resource=RESOURCE,
        scopes=frozenset({"agent", "offline_access"}),
        details={"hostname": "laptop"},
        interval_s=5,
        created_s=1.0,
        expires_s=601.0,
    )


def client(
    client_id: str = CLIENT, created_s: float = 1.0, expires_s: float | None = 1000.0
) -> Client:
    """A client without a secret that registered itself, each with metadata of its own."""
    return Client(
        id=client_id,
        kind=ClientKind.DCR,
        metadata={"client_name": client_id, "redirect_uris": ["http://127.0.0.1/callback"]},
        created_s=created_s,
        expires_s=expires_s,
    )


def browser_session(
    session_id: str = "s1", secret: str = "cookie", principal: Principal | None = ALICE
) -> BrowserSession:
    """A session of time 1, good until time 1000."""
    return BrowserSession(
        id=session_id,
        secret_hash=digest(secret),
        principal=principal,
        sealed_csrf="sealed",
        label="Firefox",
        created_s=1.0,
        last_used_s=1.0,
        expires_s=1000.0,
    )


def auth_request(secret: str = "request", session_id: str = "s1") -> AuthRequest:
    """A request of time 1, good until time 601."""
    return AuthRequest(
        id_hash=digest(secret),
        session_id=session_id,
        parameters={"client_id": CLIENT, "scope": "mcp", "state": "the client's"},
        created_s=1.0,
        expires_s=601.0,
    )

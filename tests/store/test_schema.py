"""All tables together."""

from pathlib import Path

from sqlalchemy import Connection

from mcptunnel.store.audit import AuditEvent, AuditLog
from mcptunnel.store.database import Database
from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.oauth.codes import AuthCodes
from mcptunnel.store.oauth.device_codes import DeviceCodes
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.refresh import RefreshTokens, Successor
from mcptunnel.store.oauth.requests import AuthRequests
from mcptunnel.store.people.browsers import BrowserSessions
from mcptunnel.store.people.invitations import Invitation, InvitationKind, Invitations
from mcptunnel.store.people.passwords import Passwords
from tests.store.samples import (
    ALICE,
    access_token,
    auth_code,
    auth_request,
    browser_session,
    client,
    device_code,
    digest,
    family,
)

_NAMES = "access refresh next again code request state cookie renewed device user invited"
_SECRETS = {name: f"mcpt_xx_{name}S3cretS3cretS3cret" for name in _NAMES.split()}


def _live(connection: Connection) -> None:
    """Do everything once that has to do with a secret."""
    s = _SECRETS
    Clients(connection).put(client())
    Passwords(connection).put("alice", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$b2xk", 1.0)
    made = Invitation(
        token_hash=digest(s["invited"]),
        kind=InvitationKind.INVITATION,
        created_s=1.0,
        expires_s=9.0,
    )
    Invitations(connection).add(made)
    BrowserSessions(connection).add(browser_session(secret=s["cookie"]), at_most=9)
    BrowserSessions(connection).renew(
        digest(s["cookie"]),
        digest(s["renewed"]),
        principal=ALICE,
        sealed_csrf="sealed",
        expires_s=99.0,
        now_s=2.0,
    )
    AuthRequests(connection).add(auth_request(s["request"]), at_most=9)
    AuthRequests(connection).go_upstream(
        digest(s["request"]), "s1", state_hash=digest(s["state"]), sealed="sealed", now_s=2.0
    )
    AuthCodes(connection).add(auth_code(s["code"]))
    AuthCodes(connection).take(digest(s["code"]), 2.0)
    Families(connection).add(family())
    AccessTokens(connection).add(access_token(s["access"]))
    tokens = RefreshTokens(connection)
    first, after, again = (
        Successor(token_hash=digest(s[name]), expires_s=99.0)
        for name in ("refresh", "next", "again")
    )
    tokens.add("f1", first, 1.0)
    tokens.rotate(first.token_hash, after, 2.0)
    tokens.reuse(first.token_hash, again, rotated_since_s=0.0, at_most=1, now_s=3.0)
    DeviceCodes(connection).add(device_code(s["device"], s["user"]), at_most=9)
    AuditLog(connection).add(AuditEvent(at_s=1.0, event="mistake", detail=s))


def test_no_secret_is_in_the_file_but_its_digest_is(tmp_path: Path) -> None:
    """Whoever gets hold of a backup cannot sign in with it."""
    with Database(tmp_path / "x.db") as database:
        database.write(_live)
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"S3cret" not in content
    replaced = {"cookie"}
    for name in _SECRETS.keys() - replaced:
        assert digest(_SECRETS[name]) in content, name

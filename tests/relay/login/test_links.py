"""Links in a browser session."""

from dataclasses import replace
from functools import partial

import pytest
from twisted.internet.task import Clock

from mcptunnel.auth.tokens import TokenKind, hash_token, mint, parse
from mcptunnel.relay.login.changes import offer
from mcptunnel.relay.login.links import HELD_S, PATHS, TOKEN_KINDS, HeldLinks, link_url
from mcptunnel.store.people.browsers import BrowserSessions
from mcptunnel.store.people.invitations import InvitationKind
from tests.relay.coroutines import now
from tests.relay.store_at_once import StoreAtOnce
from tests.store.samples import browser_session

INVITATION = InvitationKind.INVITATION
FIRST = mint(TokenKind.INVITATION, b"1" * 32)
SECOND = mint(TokenKind.INVITATION, b"2" * 32)


@pytest.fixture
def session_id(store: StoreAtOnce) -> str:
    session = replace(browser_session(), expires_s=1e9)
    store.database.write(lambda c: BrowserSessions(c).add(session, at_most=9))
    for token in (FIRST, SECOND):
        token_hash = hash_token(token)
        store.database.write(partial(offer, kind=INVITATION, token_hash=token_hash, now_s=0.0))
    return session.id


def test_a_session_has_the_last_link_that_it_came_by(store: StoreAtOnce, session_id: str) -> None:
    clock = Clock()
    links = HeldLinks(store, clock.seconds)
    assert now(links.held(session_id, INVITATION)) is None
    for token in (FIRST, SECOND):
        assert now(links.hold(session_id, INVITATION, token))
        held = now(links.held(session_id, INVITATION))
        assert held is not None
        assert held.token_hash == hash_token(token)
    assert now(links.held(session_id, InvitationKind.SETUP)) is None
    clock.advance(HELD_S)
    assert now(links.held(session_id, INVITATION)) is None


def test_a_link_can_be_followed_again_when_it_is_no_longer_held(
    store: StoreAtOnce, session_id: str
) -> None:
    """In the same session, which lasts longer once somebody is signed in; nothing was purged since."""
    clock = Clock()
    links = HeldLinks(store, clock.seconds)
    for _ in range(2):
        assert now(links.hold(session_id, INVITATION, FIRST))
        assert now(links.held(session_id, INVITATION)) is not None
        clock.advance(HELD_S)


@pytest.mark.parametrize("token", ["", "x", FIRST[:-1], mint(TokenKind.SETUP, b"1" * 32)])
def test_what_is_no_link_is_not_kept(store: StoreAtOnce, session_id: str, token: str) -> None:
    links = HeldLinks(store, Clock().seconds)
    assert not now(links.hold(session_id, INVITATION, token))
    assert not now(links.hold(session_id, InvitationKind.SETUP, FIRST))
    assert now(links.held(session_id, INVITATION)) is None


def test_every_kind_has_its_path_and_a_token_that_scanners_know() -> None:
    for kind in InvitationKind:
        token = mint(TOKEN_KINDS[kind], b"x" * 32)
        assert link_url("https://r", kind, token) == f"https://r{PATHS[kind]}?token={token}"
        assert parse(token) is not None

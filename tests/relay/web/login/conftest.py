"""The relays that the tests of signing in visit."""

import pytest

from mcptunnel.store.people.invitations import InvitationKind
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.login.site import LoginSite, ProviderSite, Visitor


@pytest.fixture
def site(store: StoreAtOnce) -> LoginSite:
    """A relay whose first user is Anna."""
    made = LoginSite(store=store)
    assert Visitor(made).choose(made.link(InvitationKind.SETUP), "anna").status == 303
    return made


@pytest.fixture
def new_site(store: StoreAtOnce) -> LoginSite:
    """A relay without users."""
    return LoginSite(store=store)


@pytest.fixture
def provider_site(store: StoreAtOnce) -> ProviderSite:
    return ProviderSite(store=store)

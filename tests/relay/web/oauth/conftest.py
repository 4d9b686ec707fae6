"""What the tests of the authorization server share."""

import pytest

from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import OAuthSite


@pytest.fixture
def site(store: StoreAtOnce) -> OAuthSite:
    return OAuthSite(store=store)

"""What the tests of the authorization server's parts share."""

import pytest

from tests.relay.oauth.parts import Parts
from tests.relay.store_at_once import StoreAtOnce


@pytest.fixture
def parts(store: StoreAtOnce) -> Parts:
    return Parts(store, store.database)

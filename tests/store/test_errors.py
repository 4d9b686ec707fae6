"""Store errors are told to people like every other error of the package."""

from mcptunnel.errors import McpTunnelError
from mcptunnel.store.errors import StoreError


def test_it_is_one_of_ours() -> None:
    assert issubclass(StoreError, McpTunnelError)

"""Who a request comes from."""

from mcptunnel.auth.keys import Scope
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access, client_of
from mcptunnel.relay.web.mcp import asker_of


def test_the_holder_of_a_key_has_one_name() -> None:
    """By which its streams are found when the key is revoked."""
    access = Access(Principal("local", "alice"), client_of("k1"), "k1", Scope.MCP)
    assert asker_of(access).client == client_of(access.key_id) == "key:k1"
    assert asker_of(access).principal == "local|alice"


def test_each_session_of_a_client_is_an_asker_of_its_own() -> None:
    """The credential is the same: who may do what depends on that alone."""
    access = Access(Principal("local", "alice"), client_of("k1"), "k1", Scope.MCP)
    one, other = access.of_session("1"), access.of_session("2")
    assert (access.asker, one.asker, other.asker) == (
        "key:k1",
        "key:k1 session:1",
        "key:k1 session:2",
    )
    assert one.client == other.client == access.client
    assert asker_of(one) == asker_of(access)

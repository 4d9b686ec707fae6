"""What the settings say in the metadata."""

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.relay.oauth.settings import OAuthSettings
from tests.relay.oauth.parts import ISSUER


def test_the_metadata_say_what_is_on() -> None:
    features = OAuthSettings(issuer=ISSUER).features
    assert features.registration
    assert features.client_documents
    assert features.device_grant
    off = OAuthSettings(
        issuer=ISSUER, registration=False, client_documents=False, device_grant=False
    ).features
    assert not off.registration
    assert not off.client_documents
    assert not off.device_grant


def test_agents_are_always_known() -> None:
    assert AGENT_CLIENT_ID in OAuthSettings(issuer=ISSUER).clients

"""What is particular about some providers."""

import pytest

from mcptunnel.auth.oidc.providers import quirks_of


def test_google_uses_two_names_for_itself() -> None:
    quirks = quirks_of("https://accounts.google.com")
    assert quirks.issuer_aliases == ("accounts.google.com",)
    assert quirks.domain_claim == "hd"


def test_entra_does_not_verify_addresses() -> None:
    assert (
        quirks_of("https://login.microsoftonline.com/0-1-2/v2.0").verified_email_claim == "xms_edov"
    )


@pytest.mark.parametrize(
    "issuer",
    ["https://keycloak.example/realms/x", "https://accounts.google.com.evil.example", "nonsense"],
)
def test_others_follow_the_standard(issuer: str) -> None:
    quirks = quirks_of(issuer)
    assert quirks.issuer_aliases == ()
    assert quirks.verified_email_claim == "email_verified"

"""The words that every floor shares."""

from mcptunnel.model import LOCAL_ISSUER, Principal


def test_a_user_is_shown_without_an_issuer_that_is_the_relay_itself() -> None:
    assert Principal(LOCAL_ISSUER, "alice").shown == "alice"
    assert Principal("https://id.test", "alice").shown == "https://id.test|alice"

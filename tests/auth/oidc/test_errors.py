"""Why a person could not sign in."""

from mcptunnel.auth.oidc.errors import SignInError


def test_keys_are_not_stale_unless_said_so() -> None:
    """Fetching keys again is rare."""
    assert not SignInError("No").stale_keys
    assert SignInError("No", stale_keys=True).stale_keys

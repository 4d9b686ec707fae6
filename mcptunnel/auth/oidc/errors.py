"""Why a person could not sign in."""

from mcptunnel.errors import McpTunnelError


class ProviderError(McpTunnelError):
    """The provider, or what the configuration says of it, cannot be used; for the operator to read."""


class SignInError(McpTunnelError):
    """This one sign-in failed; `str()` may be shown to the person and holds no secret.

    `stale_keys` says that fetching the provider's keys again may help, `is_temporary` that the provider is
    not in order and nobody was refused.
    """

    def __init__(
        self, message: str, *, stale_keys: bool = False, is_temporary: bool = False
    ) -> None:
        super().__init__(message)
        self.stale_keys = stale_keys
        self.is_temporary = is_temporary

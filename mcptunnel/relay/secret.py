"""The secret that seals what the relay hands out and wants back: configured, or made once and kept."""

from pathlib import Path

from mcptunnel.config.secret import Secret
from mcptunnel.store.kept_file import kept_secret


def relay_secret(configured: Secret | None, state_dir: Path) -> bytes:
    """Return the secret: the configured one, else that in `state_dir`, made (0600) if it is missing.

    Raises McpTunnelError if the file cannot be used or holds too little.
    """
    if configured is not None:
        return configured.reveal().encode()
    return kept_secret(state_dir, "Give `secret`, or another state_dir.")

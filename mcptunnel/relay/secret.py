"""The secret that seals what the relay hands out and wants back: configured, or made once and kept."""

import os
import secrets
from pathlib import Path
from typing import Final

from mcptunnel.config.secret import Secret
from mcptunnel.errors import McpTunnelError
from mcptunnel.sealing import LEAST_SECRET_BYTES

FILE_NAME: Final = "secret"
MADE_BYTES: Final = 32


def relay_secret(configured: Secret | None, state_dir: Path) -> bytes:
    """Return the secret: the configured one, else that in `state_dir`, made (0600) if it is missing.

    Raises McpTunnelError if the file cannot be used or holds too little.
    """
    if configured is not None:
        return configured.reveal().encode()
    path = state_dir / FILE_NAME
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write(path, secrets.token_hex(MADE_BYTES))
        path.chmod(0o600)
        found = path.read_bytes().strip()
    except OSError as error:
        raise McpTunnelError(
            f"{path} cannot be used: {error.strerror}. Give `secret`, or another state_dir."
        ) from error
    if len(found) < LEAST_SECRET_BYTES:
        raise McpTunnelError(f"{path} does not hold a secret. Remove it; a new one is made then.")
    return found


def _write(path: Path, text: str) -> None:
    """Write a whole file or none, for its owner alone, and let the first of several writers win."""
    temporary = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()

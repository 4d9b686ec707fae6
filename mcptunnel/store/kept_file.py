"""Small files that are made once, for their owner alone, and kept: ids and secrets."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mcptunnel.errors import McpTunnelError
from mcptunnel.sealing import LEAST_SECRET_BYTES

KEPT_AS: Final = "secret"
MADE_BYTES: Final = 32


def kept(path: Path, make: Callable[[], str]) -> bytes:
    """Return what a file holds, without the line's end; `make` says it if the file is missing.

    The directory is made as well (0700). The file is for its owner alone (0600), whole or not there,
    and the first of several writers wins. Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _write(path, make())
    path.chmod(0o600)
    return path.read_bytes().strip()


def kept_secret(state_dir: Path, remedy: str) -> bytes:
    """Return the secret of a program, made if it is missing: at least 32 bytes.

    Raises McpTunnelError if the file cannot be used, with what to do, or holds too little.
    """
    path = state_dir / KEPT_AS
    try:
        found = kept(path, lambda: secrets.token_hex(MADE_BYTES))
    except OSError as error:
        raise McpTunnelError(f"{path} cannot be used: {error.strerror}. {remedy}") from error
    if len(found) < LEAST_SECRET_BYTES:
        raise McpTunnelError(f"{path} does not hold a secret. Remove it; a new one is made then.")
    return found


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(descriptor)  # else a file could be there after a power cut, and empty
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()

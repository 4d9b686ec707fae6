"""Which installation this is: a random id, made once and kept in the agent's state directory."""

import re
import secrets
from pathlib import Path

from mcptunnel.errors import McpTunnelError
from mcptunnel.store.kept_file import kept

FILE_NAME = "installation-id"
_ID = re.compile(r"[0-9a-f]{32}")


def installation_id(state_dir: Path) -> str:
    """Return the id of this installation; make it, and the directory (0700), if it is missing.

    Raises McpTunnelError if the directory cannot be used or the file holds something else.
    """
    path = state_dir / FILE_NAME
    try:
        found = kept(path, lambda: secrets.token_hex(16)).decode("ascii", errors="replace")
    except OSError as error:
        is_file = isinstance(error, FileExistsError)
        reason = "it is a file, not a directory" if is_file else error.strerror
        raise McpTunnelError(
            f"state_dir: cannot use {state_dir}: {reason}. Name a directory that you own."
        ) from error
    if _ID.fullmatch(found) is None:
        raise McpTunnelError(
            f"{path} does not hold an installation id. Remove the file; a new one is made then."
        )
    return found

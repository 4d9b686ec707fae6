"""The agent's key: in the file, in a file of its own, or in the environment."""

import errno
import os
import shlex
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mcptunnel.config.agent import KEY_VARIABLE, AgentConfig
from mcptunnel.config.errors import Findings

# Something has to stand there; with a finding nothing of the tree is used.
_PLACEHOLDER = "missing"


def make_key_command(output: str) -> str:
    """Return the command that makes an agent's key and writes it to the file `output`."""
    words = "mcptunnel keys create --config relay.toml --user NAME --scope agent -o"
    return f"{words} {shlex.quote(output)}"


def key_place(config: AgentConfig, environ: Mapping[str, str]) -> str:
    """Return where the key of a configuration stands, as its user wrote it."""
    if config.key_file is not None:
        return "key_file"
    return f"${KEY_VARIABLE}" if environ.get(KEY_VARIABLE) else "key"


def place_key(
    tree: dict[str, Any],
    environ: Mapping[str, str],
    base: Path,
    check_key: Callable[[str], str],
    findings: Findings,
) -> None:
    """Put the key into `tree["key"]`, wherever it stands; tell what is wrong with the place.

    `check_key` says what is wrong with a key's text, as a predicate, or nothing.
    """
    places = [name for name in ("key", "key_file") if tree.get(name) is not None]
    if environ.get(KEY_VARIABLE):
        places.append(f"${KEY_VARIABLE}")
    if len(places) != 1:
        if places:
            findings.add("key", f"is given by {' and '.join(places)}", "Keep exactly one.")
        else:
            remedy = f"Give key_file, key, or the variable {KEY_VARIABLE}."
            findings.add("key", "is missing", remedy)
        tree["key"] = _PLACEHOLDER
        return
    again = f"Copy it again, or make one: {make_key_command('agent.key')}"
    if places == ["key_file"]:
        tree["key"] = _key_from_file(tree["key_file"], base, check_key, findings) or _PLACEHOLDER
    elif places == ["key"]:
        text = tree["key"]
        # The reader complains of what is no text, or an empty one.
        if isinstance(text, str) and text.strip() and (wrong := check_key(text.strip())):
            findings.add("key", wrong, again)
    else:
        tree["key"] = environ[KEY_VARIABLE]
        if wrong := check_key(tree["key"].strip()):
            findings.add_about(f"${KEY_VARIABLE}", wrong, again)


def _key_from_file(
    value: object, base: Path, check_key: Callable[[str], str], findings: Findings
) -> str:
    if not isinstance(value, str):
        return ""  # The reader says it, where it reads `key_file`.
    path = Path(value)
    try:
        path = base / path.expanduser()
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        findings.add("key_file", *_unreadable(path, error))
        return ""
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        remedy = f"Run: chmod 600 {shlex.quote(str(path))}"
        findings.add("key_file", f"{path} can be read by others", remedy)
    again = f"Make a key into another file: {make_key_command(f'{path}.new')}"
    if not text:
        findings.add("key_file", f"{path} is empty", again)
    elif wrong := check_key(text):
        findings.add("key_file", f"{path} {wrong}", again)
    return text


def _unreadable(path: Path, error: Exception) -> tuple[str, str]:
    """Return what is wrong with a file that cannot be read, and what to do."""
    if isinstance(error, FileNotFoundError):
        return f"{path} is not there", f"Make a key: {make_key_command(str(path))}"
    if isinstance(error, IsADirectoryError):
        return f"{path} is a directory", "Name the file in it that has the key."
    if isinstance(error, PermissionError):
        return f"{path} is not for this user to read", "Run the agent as the file's owner."
    if isinstance(error, UnicodeDecodeError):
        return f"{path} is not UTF-8 text, so it has no key", "Name the file that has the key."
    if isinstance(error, OSError):
        return f"{path} cannot be read: {os.strerror(error.errno or errno.EIO)}", "Look at it."
    return f"{path} is below a home directory that is not known", "Write the whole path."

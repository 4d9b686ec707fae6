"""The agent's key: in the file, in a file of its own, or in the environment."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mcptunnel.config.agent import KEY_VARIABLE, AgentConfig
from mcptunnel.config.errors import Findings
from mcptunnel.config.private_file import PrivateFile

SignInFault = Callable[[str], tuple[str, str] | None]
"""Says for a relay's origin why no sign-in there can be used, and the remedy; None if one can."""

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
    """Put the key into `tree["key"]`, if there is one; tell what is wrong with the place.

    `check_key` says what is wrong with a key's text, as a predicate, or nothing.
    """
    places = [name for name in ("key", "key_file") if tree.get(name) is not None]
    if environ.get(KEY_VARIABLE):
        places.append(f"${KEY_VARIABLE}")
    if not places:
        tree.pop("key", None)
        return
    if len(places) > 1:
        findings.add("key", f"is given by {' and '.join(places)}", "Keep exactly one.")
        tree["key"] = _PLACEHOLDER
        return
    again = f"Copy it again, or make one: {make_key_command('agent.key')}"
    if places == ["key_file"]:
        file = PrivateFile(
            key="key_file",
            what="key",
            reader="agent",
            make=lambda path: f"Make a key: {make_key_command(str(path))}",
            again=lambda path: f"Make a key into another file: {make_key_command(f'{path}.new')}",
            check=check_key,
        )
        tree["key"] = file.read(tree["key_file"], environ, base, findings) or _PLACEHOLDER
    elif places == ["key"]:
        text = tree["key"]
        # The reader complains of what is no text, or an empty one.
        if isinstance(text, str) and text.strip() and (wrong := check_key(text.strip())):
            findings.add("key", wrong, again)
    else:
        tree["key"] = environ[KEY_VARIABLE]
        if wrong := check_key(tree["key"].strip()):
            findings.add_about(f"${KEY_VARIABLE}", wrong, again)


def require_credential(
    values: Mapping[str, Any], sign_in_fault: SignInFault, findings: Findings
) -> None:
    """Tell when an agent has no key, and no sign-in at its relay either; `values` are what was read."""
    if "relay" not in values or values.get("key", _PLACEHOLDER) is not None:
        return
    fault = sign_in_fault(values["relay"])
    if fault is not None:
        message, remedy = fault
        give = f"Or give an API key: in key_file, key, or the variable {KEY_VARIABLE}."
        findings.add("key", f"is missing, and {message}", f"{remedy} {give}")

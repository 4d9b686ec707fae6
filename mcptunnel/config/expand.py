"""`${NAME}` in values stands for an environment variable."""

import re
from collections.abc import Mapping
from typing import Any

from mcptunnel.config.errors import Findings
from mcptunnel.config.spelling import join_key

# `$${` is a plain `${`; `${env:NAME}` is how some editors write it.
_REFERENCE = re.compile(r"\$\$\{|\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


class LooseText(str):
    """A text from outside the file, which may stand for a number or a truth value too."""

    __slots__ = ()


def expand(
    tree: Mapping[str, Any], environ: Mapping[str, str], findings: Findings
) -> dict[str, Any]:
    """Return `tree` with every reference in its texts replaced; keys are left alone.

    Adds variables that are not set to `findings`, and a `${` that is not understood.
    """
    return {
        name: _expand_value(value, environ, findings, join_key("", name))
        for name, value in tree.items()
    }


def _expand_value(value: Any, environ: Mapping[str, str], findings: Findings, key: str) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _expand_value(entry, environ, findings, join_key(key, name))
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [
            _expand_value(entry, environ, findings, f"{key}[{number}]")
            for number, entry in enumerate(value)
        ]
    if isinstance(value, str) and "${" in value:
        return _expand_text(value, environ, findings, key)
    return value


def _expand_text(text: str, environ: Mapping[str, str], findings: Findings, key: str) -> str:
    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            findings.add(
                key, "has a '${' that is not ${NAME}", "Write '$${' where '${' itself is meant."
            )
        elif match[1] not in environ:
            findings.add(
                key, f"the environment variable {match[1]} is not set", "Set it, or remove it here."
            )
        return environ.get(match[1] or "", "")

    return LooseText(_REFERENCE.sub(replacement, text))

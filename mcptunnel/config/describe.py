"""The effective configuration as a text."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mcptunnel.config.schema import FieldSpec, fields_of
from mcptunnel.config.secret import MASK, Secret

# Values of these tables are often credentials.
_MASKED_TABLES = ("env", "headers")


def describe(config: Any) -> str:
    """Return a configuration dataclass as TOML, fields without a value left out.

    It can be read again: a secret is a masked comment, because it has its own place.
    """
    return "\n".join(_lines(config, "")) + "\n"


def _lines(section: Any, prefix: str) -> Iterator[str]:
    kind: type = type(section)
    specs = fields_of(kind)
    for spec in specs:
        value = getattr(section, spec.name)
        if not (spec.is_section or spec.item or value is None or value == {}):
            mark = "# " if isinstance(value, Secret) else ""
            yield f"{mark}{spec.name} = {_value(value, spec)}"
    for spec in specs:
        value = getattr(section, spec.name)
        if spec.is_section:
            yield from _section(value, prefix + spec.name)
        elif spec.item:
            for entry in value:
                yield from _section(entry, f"{prefix}{spec.name}.{entry.name}")


def _section(section: Any, name: str) -> Iterator[str]:
    yield ""
    yield f"[{name}]"
    yield from _lines(section, f"{name}.")


def _value(value: Any, spec: FieldSpec) -> str:
    if isinstance(value, Mapping):
        shown = {
            key: MASK if spec.name in _MASKED_TABLES else entry for key, entry in value.items()
        }
        return "{ " + ", ".join(f"{_text(k)} = {_text(v)}" for k, v in shown.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:.12g}"
    return _text(value)


def _text(value: str | Path | Secret) -> str:
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", r"\u007f")

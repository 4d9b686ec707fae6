"""Keys as people spell them, brought to the names of the dataclasses."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from mcptunnel.config.errors import Findings
from mcptunnel.config.schema import FieldSpec, camel_case, fields_of, file_only


def canonical(tree: Mapping[str, Any], section: type, findings: Findings) -> dict[str, Any]:
    """Return `tree` with canonical keys, tables in it included.

    Adds to `findings` every key that is unknown, naming the nearest one, or given in two spellings.
    Values of a wrong type stay as they are, for the reader to complain.
    """
    return _Canonical(section, findings).table(tree, section, "")


def join_key(prefix: str, name: str) -> str:
    """Return the dotted key of `name` in the section `prefix`."""
    return f"{prefix}.{name}" if prefix else name


class _Canonical:
    def __init__(self, root: type, findings: Findings) -> None:
        self._root = root
        self._findings = findings

    def table(self, tree: Mapping[str, Any], section: type, prefix: str) -> dict[str, Any]:
        names = _names(section)
        specs = {spec.name: spec for spec in fields_of(section)}
        spelled: dict[str, str] = {}
        result: dict[str, Any] = {}
        for written, value in tree.items():
            name = names.get(written)
            if name is None:
                self._unknown(written, section, prefix)
            elif name in spelled:
                self._findings.add(
                    join_key(prefix, name),
                    f"is given twice, as {spelled[name]!r} and as {written!r}",
                    "Remove one.",
                )
            else:
                spelled[name] = written
                result[name] = self._value(value, specs.get(name), join_key(prefix, name))
        return result

    def _value(self, value: Any, spec: FieldSpec | None, key: str) -> Any:
        if spec is None or not isinstance(value, Mapping):
            return value
        if spec.is_section:
            return self.table(value, spec.kind, key)
        if spec.item is not None:
            return {
                name: self.table(entry, spec.item, join_key(key, name))
                if isinstance(entry, Mapping)
                else entry
                for name, entry in value.items()
            }
        return value

    def _unknown(self, written: str, section: type, prefix: str) -> None:
        known = _names(section)
        near = get_close_matches(written, known, n=1)
        elsewhere = [path for path in _paths(self._root) if path.endswith(f".{written}")]
        if near:
            remedy = f"Did you mean {known[near[0]]!r}?"
        elif elsewhere:
            remedy = f"It belongs to {elsewhere[0]!r}."
        else:
            known_names = ", ".join(spec.name for spec in fields_of(section))
            remedy = f"Known here are {known_names}."
        self._findings.add(join_key(prefix, written), "is not a known key", remedy)


def _names(section: type) -> dict[str, str]:
    names = {name: name for name in file_only(section)}
    names |= {camel_case(name): name for name in file_only(section)}
    for spec in fields_of(section):
        names |= dict.fromkeys(spec.spellings, spec.name)
    return names


def _paths(section: type) -> Iterable[str]:
    for spec in fields_of(section):
        if spec.is_section:
            yield from (f"{spec.name}.{path}" for path in _paths(spec.kind))
        yield spec.name

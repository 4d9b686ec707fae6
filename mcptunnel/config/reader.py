"""Reads a section from a plain tree, by the table of its fields; collects what is wrong.

The tree has canonical keys. Library converters stop at the first error or speak of their own
types; this one tells everything at once, in the words of the file.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from mcptunnel.config.errors import Findings, InvalidValueError
from mcptunnel.config.expand import LooseText
from mcptunnel.config.schema import FieldSpec, fields_of
from mcptunnel.config.secret import Secret
from mcptunnel.config.spelling import join_key

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Reader:
    """Reads sections whose relative paths start at `base`."""

    def __init__(self, base: Path, findings: Findings) -> None:
        self._base = base
        self._findings = findings
        self._readers: dict[Any, Callable[[Any], Any]] = {
            str: read_text,
            int: read_int,
            float: read_float,
            bool: read_bool,
            Secret: _read_secret,
            Path: self._read_path,
            tuple: _read_texts,
            Mapping: _read_table,
        }

    def section(self, tree: Mapping[str, Any], section: Any, prefix: str = "") -> dict[str, Any]:
        """Return the values of the fields that could be read, defaults included, after the rules.

        What could not be read is in the findings and missing in the result.
        """
        values: dict[str, Any] = {}
        for spec in fields_of(section):
            key = join_key(prefix, spec.name)
            if spec.name in tree:
                self._read_field(tree[spec.name], spec, key, values)
            elif spec.default is not MISSING:
                values[spec.name] = spec.default
            else:
                why = spec.option.no_default or spec.option.doc
                self._findings.add(key, "is missing", f"{why} Write for example: {spec.example}")
        if hasattr(section, "rules"):
            for complaint in section.rules(values):
                self._findings.add(
                    join_key(prefix, complaint.key), complaint.message, complaint.remedy
                )
        return values

    def _read_field(self, value: Any, spec: FieldSpec, key: str, values: dict[str, Any]) -> None:
        before = len(self._findings)
        try:
            result = self._value(value, spec, key)
        except InvalidValueError as error:
            remedy = error.remedy or f"Write for example: {spec.example}"
            self._findings.add(f"{key}{error.part}", error.message, remedy)
            return
        if len(self._findings) == before:
            values[spec.name] = result

    def _value(self, value: Any, spec: FieldSpec, key: str) -> Any:
        if value is None and spec.optional:
            return None
        if spec.is_section:
            values = self.section(_table(value), spec.kind, key)
            return self._built(spec.kind, values)
        if spec.item is not None:
            return self._named_sections(_table(value), spec, key)
        result = self._readers[spec.kind](value)
        if spec.choices and result not in spec.choices:
            known = ", ".join(spec.choices)
            raise InvalidValueError(f"{result!r} is not known", f"Known here: {known}.")
        _check_bounds(result, spec)
        return spec.option.parse(result) if spec.option.parse else result

    def _named_sections(self, table: Mapping[str, Any], spec: FieldSpec, key: str) -> Any:
        sections = []
        for name, entry in table.items():
            entry_key = join_key(key, name)
            try:
                if spec.option.parse:
                    spec.option.parse(name)
                values = self.section(_table(entry), spec.item, entry_key)
            except InvalidValueError as error:
                self._findings.add(
                    entry_key, error.message, error.remedy or f"Write a section [{entry_key}]."
                )
            else:
                sections.append(self._built(spec.item, {"name": name, **values}))
        return tuple(sections)

    def _built(self, section: Any, values: dict[str, Any]) -> Any:
        # With a problem somewhere nothing is used, so a section may be incomplete until then.
        complete = all(spec.name in values for spec in fields_of(section))
        return section(**values) if complete else None

    def _read_path(self, value: Any) -> Path:
        text = read_text(value)
        if not text:
            raise InvalidValueError("is empty")
        try:
            return self._base / Path(text).expanduser()
        except RuntimeError as error:
            raise InvalidValueError(f"{text!r} names a home directory that is not known") from error


def read_text(value: Any) -> str:
    """Return a text. Raises `InvalidValueError`."""
    if not isinstance(value, str):
        raise _wrong_type(value, "a text in quotes")
    if "\0" in value:
        raise InvalidValueError("has a NUL character in it", "Remove it.")
    return str(value)


def read_int(value: Any) -> int:
    """Return a whole number. Raises `InvalidValueError`."""
    if isinstance(value, LooseText):
        try:
            return int(value)
        except ValueError as error:
            raise InvalidValueError(f"{str(value)!r} is not a whole number") from error
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(value, "a whole number")
    return value


def read_float(value: Any) -> float:
    """Return a finite number. Raises `InvalidValueError`."""
    try:
        number = float(value) if isinstance(value, LooseText) else value
    except ValueError as error:
        raise InvalidValueError(f"{str(value)!r} is not a number") from error
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise _wrong_type(value, "a number")
    if not math.isfinite(number):
        raise InvalidValueError("is not a finite number")
    return float(number)


def read_bool(value: Any) -> bool:
    """Return a truth value. Raises `InvalidValueError`."""
    if isinstance(value, LooseText):
        value = _TRUTH.get(value.lower(), value)
    if not isinstance(value, bool):
        raise _wrong_type(value, "true or false")
    return value


def _read_secret(value: Any) -> Secret:
    text = read_text(value).strip()
    if not text:
        raise InvalidValueError("is empty", "Write the secret, or remove the key.")
    return Secret(text)


def _read_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong_type(value, "a list of texts")
    return tuple(_read_part(entry, f"[{number}]") for number, entry in enumerate(value))


def _read_table(value: Any) -> dict[str, str]:
    return {name: _read_part(entry, f".{name}") for name, entry in _table(value).items()}


def _read_part(value: Any, part: str) -> str:
    try:
        return read_text(value)
    except InvalidValueError as error:
        raise InvalidValueError(
            error.message, error.remedy or "Write it in quotes.", part
        ) from error


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong_type(value, "a table")
    return value


def _check_bounds(value: Any, spec: FieldSpec) -> None:
    bounds = spec.option.bounds
    if bounds and not bounds.least <= value <= bounds.most:
        raise InvalidValueError(
            f"{value:g} is out of range", f"Choose from {bounds.least:g} to {bounds.most:,.12g}."
        )


def _wrong_type(value: Any, wanted: str) -> InvalidValueError:
    # The value itself is not shown: it may be a secret in the wrong place.
    names = {dict: "a table", list: "a list", bool: "true or false", type(None): "null"}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    got = "a number" if is_number else names.get(type(value), "a text")
    return InvalidValueError(f"is {got}, not {wanted}")

"""The fields of a configuration, as its dataclasses tell them.

A field is `name: Annotated[type, Option("meaning", …)] = default`. Reading, describing and the
reference page all work from these, so a new field is one line in its dataclass.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mcptunnel.config.secret import Secret

_EXAMPLES: dict[Any, str] = {
    str: '"text"',
    Secret: '"mcpt_ak_..."',
    Path: '"./path"',
    bool: "true",
    tuple: '["one", "two"]',
    Mapping: '{ NAME = "text" }',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The least and the greatest value of a number, both allowed."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Option:
    """What a field means and takes.

    `parse` turns the read value into the one that is kept and raises `InvalidValueError`;
    `aliases` are other names in files; `default_text` describes a default that is worked out, and
    `no_default` says why there may be none; `example` is a value as a file has it.

    A section may have `rules(values)`, which gives the `Complaint`s about several of its fields; it
    sees only the values that are well.
    """

    doc: str
    bounds: Bounds | None = None
    parse: Callable[[Any], Any] | None = None
    aliases: tuple[str, ...] = ()
    default_text: str = ""
    no_default: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One field: its name, its type without `None`, and what its `Option` says.

    `kind` is a plain type, `tuple` or `Mapping` of texts, or a dataclass; `choices` are the texts
    of a `Literal`; `item` is the dataclass of a table of named sections.
    """

    name: str
    kind: Any
    option: Option
    optional: bool = False
    choices: tuple[str, ...] = ()
    item: type | None = None
    default: Any = MISSING

    @property
    def is_section(self) -> bool:
        return dataclasses.is_dataclass(self.kind)

    @property
    def example(self) -> str:
        """A line, or the heading of a section, as a TOML file could have it."""
        if self.item is not None:
            return f"[{self.name}.files]"
        if self.is_section:
            return f"[{self.name}]"
        if self.option.example or self.kind not in _EXAMPLES:
            value = self.option.example or f"{self.default:.12g}"
        else:
            value = f'"{self.choices[0]}"' if self.choices else _EXAMPLES[self.kind]
        return f"{self.name} = {value}"

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name this field may have in a file, the canonical one first."""
        names = (self.name, *self.option.aliases)
        return tuple(dict.fromkeys([*names, *map(camel_case, names)]))


def camel_case(name: str) -> str:
    """Return the camelCase spelling of a snake_case name."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


@cache
def fields_of(section: type) -> tuple[FieldSpec, ...]:
    """Return the fields of a configuration dataclass that a file can give."""
    hints = get_type_hints(section, include_extras=True)
    return tuple(
        _spec(field, hints[field.name])
        for field in dataclasses.fields(section)
        if get_origin(hints[field.name]) is Annotated
    )


def file_only(section: type) -> tuple[str, ...]:
    """Return the keys that `section` takes in a file but does not keep under that name."""
    names: tuple[str, ...] = getattr(section, "file_only", ())
    return names


def _spec(field: "dataclasses.Field[Any]", hint: Any) -> FieldSpec:
    annotated, option = get_args(hint)
    kind, optional = _without_none(annotated)
    choices: tuple[str, ...] = ()
    item: type | None = None
    if get_origin(kind) is Literal:
        kind, choices = str, get_args(kind)
    elif get_origin(kind) is tuple:
        element: type = get_args(kind)[0]
        kind = tuple
        if dataclasses.is_dataclass(element):
            item = element
    elif get_origin(kind) is Mapping:
        kind = Mapping
    default = field.default
    if default is MISSING and field.default_factory is not MISSING:
        default = field.default_factory()
    return FieldSpec(
        name=field.name,
        kind=kind,
        option=option,
        optional=optional,
        choices=choices,
        item=item,
        default=default,
    )


def _without_none(annotated: Any) -> tuple[Any, bool]:
    if get_origin(annotated) not in (Union, UnionType):
        return annotated, False
    (kind,) = [part for part in get_args(annotated) if part is not NoneType]
    return kind, True

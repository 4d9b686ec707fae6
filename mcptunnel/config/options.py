"""The options of both `twistd` commands: every plain field of a configuration, and two more.

Options win over the file. A secret is no option: the arguments of a process are for all to see.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from twisted.python import usage

import mcptunnel
from mcptunnel.config.describe import describe
from mcptunnel.config.errors import ConfigError
from mcptunnel.config.schema import FieldSpec, fields_of
from mcptunnel.config.surroundings import warnings

_PLAIN = (str, int, float, bool, Path)


class ConfigOptions(usage.Options):
    """Options that end in a configuration; subclasses name its `section` and how to `load` it."""

    section: ClassVar[type]
    load: ClassVar[Callable[..., Any]]
    optParameters: ClassVar[list[Any]] = []
    optFlags: ClassVar = [
        ["check-config", None, "Say what is wrong and exit, or show the configuration and exit."]
    ]

    def __init_subclass__(cls) -> None:
        cls.optParameters = [
            ["config", "c", None, "The configuration file, TOML or JSON."],
            *(
                [option_of(key), None, None, f"{spec.option.doc} ({key})"]
                for key, spec in plain_fields(cls.section)
            ),
        ]

    def opt_version(self) -> NoReturn:
        """Show the version and exit."""
        print(f"mcptunnel {mcptunnel.__version__}")  # noqa: T201 - this is the answer
        sys.exit(0)

    def postOptions(self) -> None:
        """Load the configuration into `config`. Exits if that is not possible, or was all."""
        path = None if self["config"] is None else Path(self["config"])
        overrides = {
            key: self[option_of(key)]
            for key, _spec in plain_fields(type(self).section)
            if self[option_of(key)] is not None
        }
        try:
            self.config = type(self).load(path, os.environ, Path.cwd(), overrides)
        except ConfigError as error:
            sys.exit(str(error))
        if self["check-config"]:
            print(describe(self.config), end="")  # noqa: T201 - this is the answer
            for warning in warnings(self.config, os.environ):
                print(f"Warning: {warning}", file=sys.stderr)  # noqa: T201 - the same
            sys.exit(0)


def plain_fields(section: type, prefix: str = "") -> Iterator[tuple[str, FieldSpec]]:
    """Give the dotted keys and fields of a configuration that one text can set."""
    for spec in fields_of(section):
        if spec.is_section:
            yield from plain_fields(spec.kind, f"{prefix}{spec.name}.")
        elif spec.kind in _PLAIN:
            yield prefix + spec.name, spec


def option_of(key: str) -> str:
    """Return the long option for a dotted key: `tunnel.ping_after_s` is `tunnel-ping-after-s`."""
    return key.replace(".", "-").replace("_", "-")

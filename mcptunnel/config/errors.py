"""What is wrong with a configuration: every problem of a file at once, each with its remedy."""

from collections.abc import Iterable
from dataclasses import dataclass

from mcptunnel.errors import McpTunnelError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `str()` is the line for a person.

    `source` is the file, variable or place the value came from, `key` its dotted name (empty when
    the whole source is meant), `remedy` what to do, as a sentence of its own.
    """

    source: str
    key: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        line = ": ".join(part for part in (self.source, self.key, self.message) if part)
        return f"{line}. {self.remedy}" if self.remedy else f"{line}."


class ConfigError(McpTunnelError):
    """A configuration that cannot be used; `problems` has all that was found, one line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class InvalidValueError(Exception):
    """A value that its field cannot take; whoever reads the field adds where it stands.

    `part` is the entry of a table (`.NAME`) or list (`[0]`) that is meant; empty for the whole.
    """

    def __init__(self, message: str, remedy: str = "", part: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.part = part


@dataclass(frozen=True, slots=True)
class Complaint:
    """A problem as a section's own rule tells it: `key` is relative to the section."""

    key: str
    message: str
    remedy: str = ""


class Findings:
    """Collects problems while a configuration is read."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._problems: list[Problem] = []
        self._origins: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._problems)

    def came_from(self, key: str, source: str) -> None:
        """Remember that the value at the dotted `key` was not in the file but in `source`."""
        self._origins[key] = source

    def add(self, key: str, message: str, remedy: str = "") -> None:
        """Add a problem at the dotted `key`."""
        self._problems.append(Problem(self._origins.get(key, self.source), key, message, remedy))

    def add_about(self, source: str, message: str, remedy: str = "") -> None:
        """Add a problem with a whole `source` beside the file, such as a variable."""
        self._problems.append(Problem(source, "", message, remedy))

    def raise_if_any(self) -> None:
        """Raise `ConfigError` with everything collected, if there is anything."""
        if self._problems:
            raise ConfigError(self._problems)

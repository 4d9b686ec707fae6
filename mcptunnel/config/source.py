"""Where a configuration comes from: a file, `MCPTUNNEL_CONFIG`, or the working directory."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcptunnel.config.errors import ConfigError, Problem

_COMMENT = re.compile(r"^\s*(//|/\*|#)|[\"\w,{\[\]}]\s+(//|/\*|#)", re.MULTILINE)
VARIABLE = "MCPTUNNEL_CONFIG"
FILE_NAMES = ("mcptunnel.toml", "mcptunnel.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The document as it was written.

    `label` names it in messages, `base` is the directory relative paths start from, `path` the
    file, or None for text from the environment.
    """

    label: str
    base: Path
    path: Path | None
    data: dict[str, Any]


def find_source(path: Path | None, environ: Mapping[str, str], cwd: Path) -> Source:
    """Read the configuration from `path`, else the environment, else `cwd`.

    Raises `ConfigError` when there is none, when there are two, or when it cannot be read.
    """
    given = environ.get(VARIABLE, "").strip()
    if path is not None:
        return _read_file(path, cwd)
    if _is_text(given, cwd):
        return Source(label=VARIABLE, base=cwd, path=None, data=_parse(given, VARIABLE, ""))
    if given:
        return _read_file(Path(given), cwd)
    found = [name for name in FILE_NAMES if (cwd / name).exists()]
    if len(found) > 1:
        raise _error(str(cwd), "both mcptunnel.toml and mcptunnel.json are here", "Remove one.")
    if not found:
        raise _error(
            "",
            "there is no configuration",
            f"Name a file with --config, set {VARIABLE}, or write mcptunnel.toml here.",
        )
    return _read_file(Path(found[0]), cwd)


def _is_text(given: str, cwd: Path) -> bool:
    if given.startswith("{") or "\n" in given:
        return True
    return "=" in given and not (cwd / given).exists()


def _read_file(path: Path, cwd: Path) -> Source:
    label = str(path)
    try:
        full = cwd / path.expanduser()
        text = full.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(label, "is not UTF-8 text", "Save it in UTF-8.") from error
    except FileNotFoundError as error:
        raise _error(label, "there is no such file", "Look at the path.") from error
    except RuntimeError as error:
        raise _error(label, "names a home directory that is not known") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise _error(label, f"cannot be read: {reason}") from error
    return Source(
        label=label, base=full.parent, path=full, data=_parse(text, label, full.suffix.lower())
    )


def _parse(text: str, label: str, suffix: str) -> dict[str, Any]:
    is_json = suffix == ".json" or (suffix != ".toml" and text.lstrip().startswith("{"))
    try:
        data = _parse_json(text) if is_json else tomllib.loads(text)
    except ValueError as error:
        raise _error(label, *_wrong_form(text, label, error, is_json=is_json)) from error
    except RecursionError as error:
        raise _error(label, "is nested too deeply") from error
    return data


def _wrong_form(text: str, label: str, error: ValueError, *, is_json: bool) -> tuple[str, str]:
    """Return why a text cannot be parsed, and what to do."""
    looks_like_json = text.lstrip().startswith("{")
    if is_json and _COMMENT.search(text):
        return "is not JSON: it has comments", "Remove them, or write TOML, which has them with #."
    if is_json and not looks_like_json and "=" in text:
        return "this looks like TOML", f"Name it {Path(label).stem}.toml."
    if not is_json and looks_like_json:
        return "this looks like JSON", f"Name it {Path(label).stem}.json."
    form = "JSON" if is_json else "TOML"
    return f"is not {form}: {error}", f"Correct the {form}."


def _parse_json(text: str) -> dict[str, Any]:
    data = json.loads(text, object_pairs_hook=_without_duplicates)
    if not isinstance(data, dict):
        raise ValueError("the outermost value is not an object")  # noqa: TRY004 - told like the others
    return data


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return table


def _error(label: str, message: str, remedy: str = "") -> ConfigError:
    return ConfigError([Problem(label, "", message, remedy)])

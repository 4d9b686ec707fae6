"""Where a relay keeps what outlives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from mcptunnel.config.errors import Findings, InvalidValueError
from mcptunnel.config.private_file import PrivateFile
from mcptunnel.config.schema import Option
from mcptunnel.config.secret import Secret

_SCHEMES = ("postgresql", "postgres")
_EXAMPLE = "postgresql://mcptunnel@db.example.org/mcptunnel"


def parse_store_url(url: Secret) -> Secret:
    """Return the URL of a PostgreSQL database. Raises `InvalidValueError`, which does not quote it."""
    if wrong := _wrong(url.reveal()):
        raise InvalidValueError(wrong, f"Write for example {_EXAMPLE!r}.")
    return url


def _wrong(url: str) -> str:
    """Say what is wrong with a URL, as a predicate, or nothing."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return "is not a URL"
    return "" if scheme in _SCHEMES else "does not begin with postgresql://"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """The database: an SQLite file in `state_dir`, unless there is a URL."""

    url: Annotated[
        Secret | None,
        Option(
            "The URL of a PostgreSQL database, with user and password if it asks for them.",
            parse=parse_store_url,
            default_text="none: an SQLite file in `state_dir`",
            example='"${STORE_URL}"',
        ),
    ] = None
    url_file: Annotated[
        Path | None,
        Option("Instead of `url`: a file with the URL alone, which nobody else may read."),
    ] = None


def place_store_url(
    tree: dict[str, Any], environ: Mapping[str, str], base: Path, findings: Findings
) -> None:
    """Put the URL into `tree["store"]["url"]` when it has a file of its own; tell what is wrong."""
    section = tree.get("store")
    if not isinstance(section, dict) or section.get("url_file") is None:
        return
    if section.get("url") is not None:
        findings.add("store.url_file", "contradicts store.url", "Remove one of them.")
        return
    file = PrivateFile(
        key="store.url_file",
        what="URL",
        reader="relay",
        make=_remedy,
        again=_remedy,
        check=_wrong,
    )
    url = file.read(section["url_file"], environ, base, findings)
    # What is wrong with it is told already; something has to stand there, and will not be used.
    tree["store"] = {**section, "url": _EXAMPLE if not url or _wrong(url) else url}


def _remedy(_path: Path) -> str:
    return f"Write the URL into it, for example {_EXAMPLE!r}."

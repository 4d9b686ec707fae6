"""The tutorial's files, with nothing replaced but names, ports and folders of a real machine."""

import re
import shlex
from collections.abc import Sequence

from tests.docs.pages import CHECKOUT

FILES = CHECKOUT / "docs" / "tutorial" / "files"
HOST = "relay.example.org"
RELAY_PORT = "8787"


def text_of(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


def exec_start(unit: str) -> Sequence[str]:
    """Return the command of a unit."""
    return shlex.split(setting(unit, "ExecStart"))


def setting(unit: str, name: str) -> str:
    """Return the one value of a setting of a unit."""
    (found,) = re.findall(rf"^{name}=(.*)$", text_of(unit), re.MULTILINE)
    return str(found)


def substituted(text: str, *pairs: tuple[str, str]) -> str:
    """Return a text in which each of the first is one of the second; all of them have to be there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text

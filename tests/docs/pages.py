"""Pages as a person follows them: their blocks of code, with what stands before each."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGES: Sequence[Path] = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*/*.md")))

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the heading that it is under, the line before it, its language and text."""

    heading: str
    before: str
    language: str
    text: str

    def commands(self) -> list[str]:
        """Return the commands of a `console` block, each with its lines that go on."""
        return [part.strip() for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE) if part]


def blocks(page: Path) -> Iterator[Block]:
    """Give the blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        above = text[: match.start()]
        headings = re.findall(r"^#+ (.*)$", above, re.MULTILINE)
        lines = [line for line in above.splitlines() if line.strip()]
        yield Block(headings[-1] if headings else "", lines[-1], match[1], match[2])

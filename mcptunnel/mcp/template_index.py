"""Many URI templates, in order of the text that they begin with: which of them a URI fits best."""

from collections.abc import Callable, Iterable
from typing import Final

from mcptunnel.mcp.names import Target
from mcptunnel.mcp.uri_templates import literal_start, matched_chars

Place = tuple[str, str]
"""(device_key, server)"""

MAX_EXPRESSIONS: Final = 16
"""A template with more than so many fits nothing: the time for one URI grows with them."""

_STEP_EXPRESSIONS: Final = 4


class TemplateIndex:
    """The templates of some places. `steps` grows with the work that is done: one takes about a microsecond."""

    __slots__ = ("_by_start", "_lengths", "steps")

    def __init__(self, templates: Iterable[tuple[Place, str]]) -> None:
        self.steps = 0
        self._by_start: dict[str, list[tuple[int, str, Place]]] = {}
        for number, (place, template) in enumerate(templates):
            if template.count("{") > MAX_EXPRESSIONS:
                continue
            same = self._by_start.setdefault(literal_start(template), [])
            same.append((number, template, place))
        self._lengths = sorted({len(start) for start in self._by_start})

    def best(self, uri: str, may_be: Callable[[str, Place], bool]) -> Target | None:
        """Return the place of the template that has most of the URI literally, of several the first.

        Only templates count that `may_be` theirs whose place they are listed for.
        """
        found: tuple[int, int, Place] | None = None
        for length in self._lengths:
            self.steps += 1
            for number, template, place in self._by_start.get(uri[:length], ()):
                self.steps += 1 + template.count("{") // _STEP_EXPRESSIONS
                chars = matched_chars(template, uri)
                if chars is None:
                    continue
                candidate = (chars, -number, place)
                if (found is None or candidate[:2] > found[:2]) and may_be(template, place):
                    found = candidate
        return None if found is None else Target(*found[2], uri)

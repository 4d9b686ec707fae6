"""Which URIs a template can make (RFC 6570), well enough to tell whose a URI is.

A simple expression `{name}` stands for text without `/`, `?` and `#`, every other one for any text.
Time is linear in the URI, whatever the template.
"""

import re
from functools import lru_cache
from typing import Final

_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_OPERATORS: Final = "+#./;?&=,!@|"
_ENDS: Final = re.compile(r"[/?#]")
_TEMPLATES_CACHED: Final = 4096


def matched_chars(template: str, uri: str) -> int | None:
    """Return how many characters of the URI the template has literally; None if it cannot make it.

    The more there are the closer is the match.
    """
    literals, simple = _read(template)
    if not uri.startswith(literals[0]) or (not simple and uri != literals[0]):
        return None
    position = len(literals[0])
    for number, is_simple in enumerate(simple):
        literal = literals[number + 1]
        if number == len(simple) - 1:
            end = len(uri) - len(literal)
            if end < position or not uri.endswith(literal):
                return None
        else:
            end = uri.find(literal, position)
            if end < 0:
                return None
        if is_simple and _ENDS.search(uri, position, end):
            return None
        position = end + len(literal)
    return sum(map(len, literals))


def literal_start(template: str) -> str:
    """Return what every URI made of a template begins with."""
    return template.partition("{")[0] if _EXPRESSION.search(template) else template


@lru_cache(_TEMPLATES_CACHED)
def _read(template: str) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Return the literal texts, and of each expression between two of them whether it is simple."""
    parts = _EXPRESSION.split(template)
    simple = (not expression.startswith(tuple(_OPERATORS)) for expression in parts[1::2])
    return tuple(parts[0::2]), tuple(simple)

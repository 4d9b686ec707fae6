"""The agent's configuration, its key included: that is no text of any form, but an API key."""

import re
from functools import partial

from mcptunnel.auth import keys
from mcptunnel.config.load import load_agent

_ODDITIES = (
    (r"\ufeff", "begins with a byte order mark"),
    (r"[\"'`]|.*[\"'`]$", "has quotes around it"),
    (r"(?i)authorization\s*:", "begins with Authorization"),
    (r"(?i)bearer\b", "begins with Bearer"),
    (r"(?s).*[\r\n]", "has several lines"),
    (r".*\s", "has spaces in it"),
    (rf"(?!{keys.PREFIX})", f"does not begin with {keys.PREFIX}"),
)


def wrong_with_key(text: str) -> str:
    """Return what is wrong with the text of a key, as a predicate, or "" for nothing.

    The text is never repeated.
    """
    if keys.parse(text) is not None:
        return ""
    seen = (told for pattern, told in _ODDITIES if re.match(pattern, text))
    return f"is not a whole API key: it {next(seen, 'has a wrong or a missing character')}"


load = partial(load_agent, check_key=wrong_with_key)
"""Loads as `config.load.load_agent` does, and says as well what is wrong with the key."""

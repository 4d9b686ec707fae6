"""The agent's configuration, its credential included: a key that is one, or a sign-in that is there."""

import re
from functools import partial

from mcptunnel.agent.sign_in.kept import KeptGrant, KeptGrantError, login_command
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


def wrong_with_sign_in(relay: str) -> tuple[str, str] | None:
    """Return why no sign-in at a relay can be used, and what to do; None if one can."""
    try:
        if KeptGrant(relay).read() is not None:
            return None
    except KeptGrantError as error:
        return error.message, f"{error.remedy.rstrip('.')}."
    return f"nobody is signed in at {relay}", f"Run: {login_command(relay)}."


load = partial(load_agent, check_key=wrong_with_key, sign_in_fault=wrong_with_sign_in)
"""Loads as `config.load.load_agent` does, and says as well what is wrong with key or sign-in."""

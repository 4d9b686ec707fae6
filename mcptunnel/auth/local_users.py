"""Names and passwords of the built-in login: what they may be, and when two are the same.

Texts are compared in NFC: one keyboard types an umlaut as one character, another as two.
"""

import unicodedata
from typing import Final

from mcptunnel.auth.client_display import clean_text

MAX_NAME_CHARS: Final = 64
_MAX_TYPED_CHARS: Final = 4 * MAX_NAME_CHARS
"""A letter may be typed as several; to compare a text that has no end takes long."""

LEAST_PASSWORD_CHARS: Final = 10
MAX_PASSWORD_CHARS: Final = 256


def user_name(typed: str) -> str:
    """Return a name as it is stored, from what a person typed; of what is longer than any name, a part."""
    return unicodedata.normalize("NFC", typed[:_MAX_TYPED_CHARS]).strip()


def folded(name: str) -> str:
    """Return what is the same for names that people take for one another, such as Anna and anna."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def name_fault(name: str) -> str:
    """Say what is wrong with a new user's name, as a sentence, or nothing."""
    if not name:
        return "Choose a name."
    if len(name) > MAX_NAME_CHARS:
        return f"The name has more than {MAX_NAME_CHARS} characters."
    if clean_text(name, MAX_NAME_CHARS) != name or not name.isprintable():
        return "The name has characters in it that cannot be shown. Choose another one."
    return ""


def password(typed: str) -> str:
    """Return a password as it is hashed (RFC 8265, section 4.2.1)."""
    return unicodedata.normalize("NFC", typed)


def password_fault(chosen: str, name: str) -> str:
    """Say what is wrong with a new password, as a sentence, or nothing. Length is what makes it good."""
    if len(chosen) < LEAST_PASSWORD_CHARS:
        return f"The password has fewer than {LEAST_PASSWORD_CHARS} characters."
    if len(chosen) > MAX_PASSWORD_CHARS:
        return f"The password has more than {MAX_PASSWORD_CHARS} characters."
    if folded(chosen) == folded(name) or len(set(chosen)) == 1:
        return "Everybody would try this password first. Choose another one."
    return ""

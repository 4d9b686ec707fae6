"""Numbers in base62 of a fixed width: digits that survive a double click and need no escape."""

from typing import Final

SECRET_CHARS: Final = 43
"""The width of 256 bits."""

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base62(number: int, width: int) -> str:
    """Return the last `width` digits of a number, with zeros before them."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))

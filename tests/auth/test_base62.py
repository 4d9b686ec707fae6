"""Numbers in base62."""

from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.base62 import SECRET_CHARS, base62

_BITS_256 = st.integers(0, 2**256 - 1)


def test_digits_then_upper_then_lower_case() -> None:
    """The order of the digits is part of every key that people hold."""
    assert [base62(n, 2) for n in (0, 9, 10, 35, 36, 61, 62)] == [
        "00",
        "09",
        "0A",
        "0Z",
        "0a",
        "0z",
        "10",
    ]


@given(_BITS_256, _BITS_256)
def test_256_bits_fit(one: int, other: int) -> None:
    """No two secrets have one text."""
    assert len(base62(one, SECRET_CHARS)) == SECRET_CHARS
    assert (base62(one, SECRET_CHARS) == base62(other, SECRET_CHARS)) == (one == other)

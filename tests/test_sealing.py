"""Sealed texts come back whole, or not at all."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.sealing import LEAST_SECRET_BYTES, NONCE_BYTES, SealBrokenError, Sealer

SECRET = bytes(range(32))
NONCE = b"n" * NONCE_BYTES
SEALER = Sealer(SECRET, "cursor")


@given(st.binary(max_size=200), st.binary(max_size=40), st.binary(min_size=12, max_size=12))
def test_what_is_sealed_opens_again(plain: bytes, context: bytes, nonce: bytes) -> None:
    """Any bytes come back under the same purpose, context and before the time is over."""
    text = SEALER.seal(plain, nonce=nonce, expires_s=100, context=context)
    assert SEALER.open(text, now_s=99.9, context=context) == plain
    assert text.replace("-", "").replace("_", "").isalnum()


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_breaks_it(position: int, change: int) -> None:
    """Whatever bit of the text is turned, the expiry included, it opens no more."""
    text = SEALER.seal(b"plain text", nonce=NONCE, expires_s=100)
    raw = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[position % len(raw)] ^= change
    with pytest.raises(SealBrokenError):
        SEALER.open(urlsafe_b64encode(raw).rstrip(b"=").decode(), now_s=0)


@given(st.text(max_size=100))
def test_any_other_text_is_refused(text: str) -> None:
    """No text makes it raise anything else."""
    with pytest.raises(SealBrokenError):
        SEALER.open(text, now_s=0)


def test_it_is_bound_to_time_purpose_context_and_secret() -> None:
    """An expired text, another purpose, another context, another secret: all are refused alike."""
    text = SEALER.seal(b"x", nonce=NONCE, expires_s=100, context=b"alice")
    others = [
        (SEALER, 100.0, b"alice"),
        (Sealer(SECRET, "state"), 0.0, b"alice"),
        (SEALER, 0.0, b"bob"),
        (Sealer(SECRET[::-1], "cursor"), 0.0, b"alice"),
    ]
    for sealer, now_s, context in others:
        with pytest.raises(SealBrokenError, match="not valid"):
            sealer.open(text, now_s=now_s, context=context)


def test_a_short_secret_is_refused() -> None:
    """Fewer than 32 bytes are no secret."""
    with pytest.raises(ValueError, match=str(LEAST_SECRET_BYTES)):
        Sealer(b"short", "cursor")

"""Parameters of OAuth requests."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.parameters import FORM_TYPE, MAX_BYTES, parse_form, parse_parameters


def _refusal(raw: bytes) -> ErrorCode | None:
    try:
        parse_form(raw, FORM_TYPE)
    except OAuthError as error:
        return error.code
    return None


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(st.dictionaries(_TEXT, _TEXT, max_size=20))
def test_what_was_encoded_is_parsed(values: dict[str, str]) -> None:
    assert parse_parameters(urlencode(values).encode()).values == values


@given(st.binary())
def test_any_bytes_give_parameters_or_invalid_request(raw: bytes) -> None:
    """The parser raises nothing but its error."""
    assert _refusal(raw) in (None, ErrorCode.INVALID_REQUEST)


def test_a_value_that_is_empty_is_omitted() -> None:
    """RFC 6749, 3.1."""
    assert parse_parameters(b"a=&b&c=1&&").values == {"c": "1"}


def test_repeated_parameters_are_refused() -> None:
    """RFC 6749, 3.1 and 3.2; also when one is empty, or both are the same, or the name is unknown."""
    for raw in (b"a=1&a=2", b"a=1&a=1", b"a=&a=1", b"a&a"):
        parameters = parse_parameters(raw + b"&b=2")
        assert parameters.get("b") == "2"
        with pytest.raises(OAuthError, match="repeated"):
            parameters.get("a")
        with pytest.raises(OAuthError, match="repeated"):
            parse_form(raw, FORM_TYPE)


@pytest.mark.parametrize(
    "raw", [b"a=%ff", b"a=\xff", b"%C3=1", b"a=%00", b"x" * (MAX_BYTES + 1), b"a=1" + b"&a=1" * 64]
)
def test_malformed_or_large_forms(raw: bytes) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_form(raw, FORM_TYPE)
    assert caught.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("kind", [None, "", "application/json", "multipart/form-data; boundary=x"])
def test_a_form_has_the_media_type_of_forms(kind: str | None) -> None:
    with pytest.raises(OAuthError, match="urlencoded"):
        parse_form(b"a=1", kind)
    assert parse_form(b"a=1", f"{FORM_TYPE.upper()}; charset=utf-8").get("a") == "1"


def test_what_is_missing() -> None:
    with pytest.raises(OAuthError, match="missing"):
        parse_parameters(b"").require("code")


def test_secrets_do_not_show_in_a_repr() -> None:
    assert "s3cret" not in repr(parse_parameters(b"client_secret=s3cret"))

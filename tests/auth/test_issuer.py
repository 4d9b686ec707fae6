"""One issuer string for every URL."""

import pytest

from mcptunnel.auth.issuer import Endpoint, endpoint, parse_issuer


@pytest.mark.parametrize(
    "text", ["https://relay.example", "https://relay.example/", "HTTPS://Relay.Example:443/"]
)
def test_every_spelling_gives_one_issuer_without_a_slash(text: str) -> None:
    """Byte for byte the same, since clients compare it so (RFC 8414, 3.3)."""
    issuer = parse_issuer(text)
    assert issuer == "https://relay.example"


def test_fastmcp_broke_on_a_double_slash_in_the_token_endpoint() -> None:
    """ChatGPT signs for the token endpoint byte for byte; `https://host//token` locked it out elsewhere."""
    assert (
        endpoint(parse_issuer("https://relay.example/"), Endpoint.TOKEN)
        == "https://relay.example/token"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "relay.example",
        "ftp://relay.example",
        "https://relay.example/x",
        "https://u@relay.example",
        "https://relay.example/?a",
        "https://relay.example#a",
        "https:///x",
    ],
)
def test_what_is_no_origin_is_no_issuer(text: str) -> None:
    with pytest.raises(ValueError, match="public URL"):
        parse_issuer(text)

"""Headers: what agrees with the body, what is refused, and that what we write agrees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp import headers, jsonrpc, meta
from mcptunnel.mcp.jsonrpc import HEADER_MISMATCH, JsonRpcError, Notification, Request
from mcptunnel.model import Headers, header

VERSION = "2026-07-28"
META = meta.RequestMeta(protocol_version=VERSION)
texts = st.text(st.characters(codec="utf-8"))


def call(method: str = "tools/call", **params: str) -> Request:
    return Request(7, method, {name: jsonrpc.raw(value) for name, value in params.items()})


def said(method: str | None = "tools/call", name: str | None = "read") -> Headers:
    fields = (
        ("host", "x"),
        ("mcp-protocol-version", VERSION),
        ("mcp-method", method),
        ("mcp-name", name),
    )
    return tuple((key, value) for key, value in fields if value is not None)


@given(texts)
def test_a_value_says_the_same_after_encoding_and_decoding(text: str) -> None:
    assert headers.decode_value(headers.encode_value(text)) == text


@given(texts)
def test_an_encoded_value_fits_into_a_header(text: str) -> None:
    value = headers.encode_value(text)
    assert all(" " <= char <= "~" for char in value)
    assert value == value.strip()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("us-west1", "us-west1"),
        ("a b", "a b"),
        ("caf\u00e9", "=?base64?Y2Fmw6k=?="),
        (" x", "=?base64?IHg=?="),
        ("x ", "=?base64?eCA=?="),
        ("a\nb", "=?base64?YQpi?="),
        ("a\tb", "=?base64?YQli?="),
        ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ("=?BASE64?YQ==?=", "=?BASE64?YQ==?="),
    ],
)
def test_only_what_needs_it_is_encoded(text: str, value: str) -> None:
    assert headers.encode_value(text) == value


@pytest.mark.parametrize("payload", ["!", "YQ", "YQ=", "YR==", "/w==", "Y Q==", "YQ==\n", "\u00e9"])
def test_malformed_base64_says_nothing(payload: str) -> None:
    assert headers.decode_value(f"=?base64?{payload}?=") is None


def test_headers_that_agree_pass() -> None:
    assert headers.check(said(), call(name="read"), META) is None
    assert (
        headers.check(said("resources/read", "a:b"), call("resources/read", uri="a:b"), META)
        is None
    )
    assert headers.check(said("tools/list", None), call("tools/list"), META) is None
    encoded = said(name=headers.encode_value("caf\u00e9"))
    assert headers.check(encoded, call(name="caf\u00e9"), META) is None
    assert headers.check(said("tools/list", "x"), call("tools/list"), META) is None


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_a_name_is_needed_where_the_body_has_one(method: str) -> None:
    error = headers.check(said(method, None), call(method, name="a", uri="a"), META)
    assert error is not None
    assert (error.code, error.request_id) == (HEADER_MISMATCH, 7)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        said(method=None),
        said(method="Tools/Call"),
        said(name="Read"),
        said(name="=?base64?!?="),
        said()[2:],
        (("mcp-protocol-version", "2025-11-25"), *said()[2:]),
        (*said(), ("mcp-name", "read")),
        (*said(), ("mcp-name", "write")),
        (*said(), ("mcp-method", "tools/call")),
        (*said(), ("mcp-protocol-version", VERSION)),
        (*said(), ("mcp-session-id", "a"), ("mcp-session-id", "b")),
    ],
)
def test_missing_different_and_doubled_headers_are_refused(fields: Headers) -> None:
    error = headers.check(fields, call(name="read"), META)
    assert error is not None
    assert (error.code, error.request_id) == (HEADER_MISMATCH, 7)


def test_a_name_that_the_body_does_not_have_is_refused() -> None:
    assert headers.check(said(), call(), META) is not None
    assert headers.check(said(name=None), call(), META) is None


@given(st.sampled_from(["tools/call", "prompts/get", "resources/read", "tools/list", "x/y"]), texts)
def test_the_headers_we_write_agree_with_the_body(method: str, name: str) -> None:
    request = call(method, name=name, uri=name)
    fields = headers.modern_headers(request, VERSION)
    assert headers.check(fields, request, META) is None
    assert headers.accepts(fields) == (True, True)
    assert headers.is_json(header(fields, "content-type"))


@given(texts)
def test_no_method_breaks_out_of_its_header(method: str) -> None:
    try:
        fields = headers.modern_headers(Notification(method), VERSION)
    except JsonRpcError:
        assert not method.isprintable() or not method.isascii() or method != method.strip()
    else:
        assert header(fields, "mcp-method") == method
        assert method.isascii()
        assert method.isprintable()


def test_a_method_that_fits_no_header_is_refused_to_its_id() -> None:
    with pytest.raises(JsonRpcError) as caught:
        headers.modern_headers(Request(7, "a\r\nb"), VERSION)
    assert caught.value.request_id == 7


@pytest.mark.parametrize(
    ("accept", "verdict"),
    [
        ("application/json, text/event-stream", (True, True)),
        ("text/event-stream,application/json;q=0.9", (True, True)),
        ("application/json", (True, False)),
        ("text/event-stream", (False, True)),
        ("*/*", (True, True)),
        ("APPLICATION/*", (True, False)),
        ("text/*;q=0.1", (False, True)),
        ("application/json; q=0, */*", (False, True)),
        ("application/json; Q = 0.000, */*;q=0.1", (False, True)),
        ("application/json;profile=q;q=1", (True, False)),
        ("*/*;q=0", (False, False)),
        ("text/html", (False, False)),
        ("nonsense;;,,", (False, False)),
        ("", (True, True)),
    ],
)
def test_accept_is_understood(accept: str, verdict: tuple[bool, bool]) -> None:
    assert headers.accepts((("accept", accept),)) == verdict


def test_accept_may_be_absent_or_spread_over_fields() -> None:
    assert headers.accepts(()) == (True, True)
    spread = (("accept", "application/json"), ("host", "x"), ("accept", "text/event-stream"))
    assert headers.accepts(spread) == (True, True)


@pytest.mark.parametrize(
    ("content_type", "verdict"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        ("application/json-patch", False),
        ("text/plain", False),
        ("", False),
        (None, False),
    ],
)
def test_json_is_known_by_its_content_type(content_type: str | None, *, verdict: bool) -> None:
    assert headers.is_json(content_type) is verdict

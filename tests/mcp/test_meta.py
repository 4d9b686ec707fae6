"""`_meta`: what is read, what is refused, and that what we write is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members

tokens = st.text(st.characters(codec="utf-8")) | st.integers()


def params(members: Members) -> Members:
    return {meta.META: jsonrpc.raw(members)}


@given(tokens | st.none(), st.sampled_from(["debug", "emergency", None]))
def test_what_we_write_is_read_back(token: str | int | None, level: meta.LogLevel | None) -> None:
    written = meta.modern_meta(
        client_info=Raw(b'{"name":"x"}'), log_level=level, progress_token=token
    )
    read = meta.read(params(written))
    assert read.protocol_version == "2026-07-28"
    assert (read.log_level, read.progress_token) == (level, token)
    assert type(read.progress_token) is type(token)
    assert read.client_info is not None
    assert read.client_capabilities is not None
    assert bytes(read.client_info) == b'{"name":"x"}'
    assert bytes(read.client_capabilities) == b"{}"


def test_only_what_is_said_is_written() -> None:
    assert set(meta.modern_meta()) == {meta.PROTOCOL_VERSION, meta.CLIENT_CAPABILITIES}
    other = meta.modern_meta(version="2030-01-01", client_capabilities=Raw(b'{"a":{}}'))
    assert bytes(other[meta.PROTOCOL_VERSION]) == b'"2030-01-01"'
    assert bytes(other[meta.CLIENT_CAPABILITIES]) == b'{"a":{}}'


def test_nothing_said_is_nothing_read() -> None:
    assert meta.read({}) == meta.RequestMeta()
    assert meta.read({meta.META: Raw(b"null")}) == meta.RequestMeta()
    assert meta.read({meta.META: Raw(b'{"vendor.example/x":[1]}')}) == meta.RequestMeta()


@pytest.mark.parametrize(
    "key",
    [meta.PROTOCOL_VERSION, meta.CLIENT_CAPABILITIES, meta.CLIENT_INFO, meta.LOG_LEVEL, meta.PROGRESS_TOKEN],
)  # fmt: skip
def test_null_counts_as_absent(key: str) -> None:
    assert meta.read(params({key: Raw(b"null")})) == meta.RequestMeta()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (meta.PROTOCOL_VERSION, b"20260728"),
        (meta.CLIENT_CAPABILITIES, b"[]"),
        (meta.CLIENT_CAPABILITIES, b'"{}"'),
        (meta.CLIENT_INFO, b"1"),
        (meta.LOG_LEVEL, b'"loud"'),
        (meta.PROGRESS_TOKEN, b"1.5"),
        (meta.PROGRESS_TOKEN, b"true"),
        (meta.PROGRESS_TOKEN, b"{}"),
    ],
)
def test_a_wrong_type_is_invalid_params_and_names_the_key(key: str, value: bytes) -> None:
    with pytest.raises(JsonRpcError, match=key) as caught:
        meta.read(params({key: Raw(value)}))
    assert caught.value.code == INVALID_PARAMS


@pytest.mark.parametrize(
    "value", [b"[]", b"1", b'"x"', b"{", b'{"a":' * 50_000 + b"1" + b"}" * 50_000]
)
def test_a_meta_that_is_no_object_is_invalid_params(value: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        meta.read({meta.META: Raw(value)})
    assert caught.value.code == INVALID_PARAMS


def test_of_duplicate_keys_the_last_one_counts() -> None:
    twice = Raw(b'{"progressToken":1,"progressToken":2}')
    assert meta.read({meta.META: twice}).progress_token == 2

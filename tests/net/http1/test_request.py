import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.net.http1 import RequestError
from mcptunnel.net.http1.request import encode_head, parse_origin


def test_a_head_has_our_host_and_length_and_the_callers_fields_in_order() -> None:
    headers = (("content-type", "application/json"), ("mcp-name", "caf\xe9"), ("x", ""))
    assert encode_head("POST", "/mcp", "127.0.0.1:80", headers, 12) == (
        b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:80\r\ncontent-type: application/json\r\n"
        b"mcp-name: caf\xe9\r\nx: \r\ncontent-length: 12\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "body_bytes", "told"),
    [("POST", 0, True), ("GET", 0, False), ("GET", 3, True), ("DELETE", 0, False)],
)
def test_a_length_is_told_when_it_means_something(method: str, body_bytes: int, told: bool) -> None:
    head = encode_head(method, "/", "h", (), body_bytes)
    assert (b"content-length: %d\r\n" % body_bytes in head) is told


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "expect", "accept-encoding", "connection"],
)
def test_fields_about_the_connection_are_ours(name: str) -> None:
    assert encode_head("GET", "/", "h", ((name, "x"),), 0) == b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "name", "value"),
    [
        ("GET /x", "/", "a", "b"),
        ("GET", "/ HTTP/1.1\r\nx: y", "a", "b"),
        ("GET", "x", "a", "b"),
        ("GET", "/\u00e9", "a", "b"),
        ("", "/", "a", "b"),
        ("GET", "/", "a", "b\r\nevil: 1"),
        ("GET", "/", "a", "b\nevil: 1"),
        ("GET", "/", "a", "b\0"),
        ("GET", "/", "a: b\r\nevil", "c"),
        ("GET", "/", "a b", "c"),
        ("GET", "/", "", "c"),
        ("GET", "/", "a", "\u20ac"),
        ("GET", "/", "a", "b\r\n"),
        ("GET", "/", "a", "\r\n\r\nGET / HTTP/1.1"),
    ],
)
def test_what_could_change_the_framing_is_refused(
    method: str, target: str, name: str, value: str
) -> None:
    with pytest.raises(RequestError):
        encode_head(method, target, "h", ((name, value),), 0)


@given(st.text(max_size=10), st.text(max_size=10), st.text(max_size=10))
def test_a_head_has_as_many_lines_as_it_should(target: str, name: str, value: str) -> None:
    try:
        head = encode_head("GET", "/" + target, "h", (("a", value), (name + "z", "c")), 0)
    except RequestError:
        return
    assert len(head.split(b"\r\n")) == 6
    assert head.count(b"\r") == head.count(b"\n") == 5


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("http://127.0.0.1:3000", "127.0.0.1:3000", "/"),
        ("http://127.0.0.1:3000/", "127.0.0.1:3000", "/"),
        ("http://localhost/mcp", "localhost", "/mcp"),
        ("http://localhost:80/mcp/", "localhost", "/mcp"),
        ("https://[::1]:8443/a?key=k", "[::1]:8443", "/a?key=k"),
        ("https://example.com:443", "example.com", "/"),
    ],
)
def test_an_address_gives_host_and_path(url: str, authority: str, target: str) -> None:
    origin = parse_origin(url)
    assert (origin.authority, origin.target("")) == (authority, target)


def test_paths_stand_below_the_base() -> None:
    origin = parse_origin("http://h/base?key=k")
    assert origin.target("/x") == "/base/x?key=k"
    assert origin.target("/x?y=1") == "/base/x?key=k&y=1"
    assert parse_origin("http://h").target("?y=1") == "/?y=1"
    assert str(origin) == "http://h"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:80",
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h:99999",
        "http://[::1",
        "http://h#x",
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(RequestError):
        parse_origin(url)

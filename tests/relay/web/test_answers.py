"""Short answers: complete, typed, and never sniffed."""

import json
from typing import Any

import pytest
from twisted.web.test.requesthelper import DummyRequest

from mcptunnel.relay.web.answers import error_body, send_body, send_json


def request(method: bytes = b"GET") -> Any:
    made: Any = DummyRequest([b""])
    made.method = method
    return made


def headers_of(made: Any) -> dict[bytes, list[bytes]]:
    return {name.lower(): values for name, values in made.responseHeaders.getAllRawHeaders()}


def test_a_body_has_its_length_and_type() -> None:
    made = request()
    send_body(made, 200, b"text", content_type=b"text/plain", headers={b"x-more": b"1"})
    assert b"".join(made.written) == b"text"
    assert made.responseCode == 200
    assert made.finished == 1
    headers = headers_of(made)
    assert headers[b"content-type"] == [b"text/plain"]
    assert headers[b"content-length"] == [b"4"]
    assert headers[b"x-content-type-options"] == [b"nosniff"]
    assert headers[b"x-more"] == [b"1"]


def test_json() -> None:
    made = request()
    send_json(made, 400, {"a": ["ä", None]})
    assert json.loads(b"".join(made.written)) == {"a": ["ä", None]}
    assert headers_of(made)[b"content-type"] == [b"application/json"]


def test_head_gets_no_body() -> None:
    made = request(b"HEAD")
    send_body(made, 200, b"text")
    assert not made.written
    assert headers_of(made)[b"content-length"] == [b"4"]


def test_no_content_has_neither_length_nor_type() -> None:
    made = request()
    send_body(made, 204, b"")
    assert {b"content-type", b"content-length"}.isdisjoint(headers_of(made))


@pytest.mark.parametrize(("data", "more"), [(None, {}), ({"a": 1}, {"data": {"a": 1}})])
def test_an_error_without_an_id(data: Any, more: dict[str, Any]) -> None:
    assert json.loads(error_body(-1, "no", data)) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -1, "message": "no", **more},
    }

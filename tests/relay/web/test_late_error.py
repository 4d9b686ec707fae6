"""Errors of the relay's own, addressed to the request if its beginning says who it is."""

import json

import pytest

from mcptunnel.relay.web.late_error import MAX_KEPT_BYTES, Beginning
from tests.relay.web.site import Connection
from tests.relay.web.transparent_site import TransparentSite


def beginning(*pieces: bytes, complete: bool = True) -> Beginning:
    found = Beginning()
    for piece in pieces:
        found.add(piece)
    if complete:
        found.end()
    return found


def of_size(size: int) -> bytes:
    """Return a request of so many bytes with the id 7."""
    start = b'{"jsonrpc":"2.0","id":7,"method":"'
    return start + b"x" * (size - len(start) - 2) + b'"}'


@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        (of_size(100), 7),
        (of_size(MAX_KEPT_BYTES), 7),
        (of_size(MAX_KEPT_BYTES + 1), None),
        (b'{"id":"a"}', "a"),
        (b'{"method":"m"}', None),
        (b'{"id":1,"result":{}}', None),
        (b"[]", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_the_id_is_the_requests(body: bytes, request_id: object) -> None:
    assert beginning(body[:5], body[5:]).request_id == request_id


def test_half_a_body_says_nothing() -> None:
    part = beginning(of_size(100), complete=False)
    assert part.request_id is None
    assert not part.is_known


def test_a_long_body_is_not_kept() -> None:
    long = beginning(*[bytes(1024)] * 1000, complete=False)
    assert long.is_known
    assert long._parts is None


# On a connection: the device is away, so every request is refused.


@pytest.fixture
def site() -> TransparentSite:
    site = TransparentSite()
    site.joined.lose(site.agent)
    return site


def error_id(connection: Connection) -> object:
    answer = connection.answer
    assert answer.status == 503
    assert answer.is_complete
    return json.loads(answer.body)["id"]


def test_the_answer_waits_for_a_short_body(site: TransparentSite) -> None:
    connection = site.begin(fields={"content-length": "100"})
    assert not connection.answers
    connection.send(of_size(100))
    assert error_id(connection) == 7


def test_the_answer_waits_for_no_long_body(site: TransparentSite) -> None:
    """What is still to come is dropped, and the connection can be used again."""
    connection = site.begin(fields={"content-length": str(10 * MAX_KEPT_BYTES)})
    connection.send(bytes(MAX_KEPT_BYTES + 1))
    assert error_id(connection) is None
    connection.send(bytes(9 * MAX_KEPT_BYTES - 1))
    connection.send(b"GET /health HTTP/1.1\r\nHost: relay.test\r\n\r\n")
    assert connection.answers[1].json["status"] == "ok"


def test_a_client_that_waits_for_100_is_answered_at_once(site: TransparentSite) -> None:
    fields = {"content-length": "100", "expect": "100-continue"}
    connection = site.begin(fields=fields)
    assert error_id(connection) is None
    assert connection.answer.headers["connection"] == "close"


def test_a_client_that_goes_before_gets_no_answer(site: TransparentSite) -> None:
    connection = site.begin(fields={"content-length": "100"})
    connection.hang_up()
    assert not connection.answers

"""The order of checks on every endpoint, and the answer when something of ours fails."""

from types import SimpleNamespace

import pytest

from tests.conftest import LoggedFailures
from tests.relay.web.site import MemorySite, head_of


@pytest.fixture
def site() -> MemorySite:
    return MemorySite(allowed_hosts=("other.test",), allowed_origins=("https://app.test",))


def test_host_and_origin_come_before_the_token(site: MemorySite) -> None:
    token = {"authorization": f"Bearer {site.key()}"}
    for path in ("/mcp", "/tunnel", "/ws"):
        assert site.ask("POST", path, {**token, "host": "evil.test"}).status == 421
        assert site.ask("POST", path, {**token, "origin": "http://evil.test"}).status == 403
        assert site.ask("POST", path, {"origin": "http://evil.test"}).status == 403
    assert not site.keys.asked


def test_what_is_allowed_comes_in(site: MemorySite) -> None:
    client = site.client()
    for headers in ({"host": "other.test:99"}, {"origin": "https://app.test"}):
        answer = client.modern("tools/list", **headers).answer  # type: ignore[arg-type]  # headers
        assert answer.status == 200


def test_two_hosts_are_none(site: MemorySite) -> None:
    connection = site.connection()
    connection.send(b"GET /mcp HTTP/1.1\r\nHost: relay.test\r\nHost: evil.test\r\n\r\n")
    assert connection.answer.status == 400


@pytest.mark.parametrize(("version", "status"), [("1.1", 400), ("1.0", 421)])
def test_no_host_is_none(site: MemorySite, version: str, status: int) -> None:
    """HTTP/1.1 demands one (RFC 9112, section 3.2); HTTP/1.0 does not, and we do."""
    connection = site.connection()
    connection.send(b"GET /mcp HTTP/%b\r\n\r\n" % version.encode())
    assert connection.answer.status == status


def test_statuses_have_their_phrases(site: MemorySite) -> None:
    """The framework does not know all of them."""
    connection = site.connection()
    connection.send(b"GET /mcp HTTP/1.1\r\nHost: evil.test\r\n\r\n")
    assert connection.wire.value().startswith(b"HTTP/1.1 421 Misdirected Request\r\n")


def test_a_mistake_of_ours_is_500(
    site: MemorySite, monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    def boom(*_values: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(site.endpoint, "_endpoint", SimpleNamespace(answer=boom))
    client = site.client()
    answer = client.modern("tools/list").answer
    assert answer.status == 500
    assert answer.json["error"] == {"code": -32603, "message": "Internal error"}
    assert logged_failures.take(ZeroDivisionError)


def test_a_mistake_after_the_answer_began_ends_the_connection(
    site: MemorySite, monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    def boom(http: object, *_values: object) -> None:
        http.write(b"half an")  # type: ignore[attr-defined]  # a reply
        raise ZeroDivisionError

    monkeypatch.setattr(site.endpoint, "_endpoint", SimpleNamespace(answer=boom))
    connection = site.client().modern("tools/list")
    assert connection.answer.body == b"half an"
    assert not connection.answer.is_complete
    assert connection.is_lost
    assert logged_failures.take(ZeroDivisionError)


def test_a_mistake_before_a_client_that_left(
    site: MemorySite, monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    connection = site.connection()

    def boom(*_values: object) -> None:
        connection.close()
        raise ZeroDivisionError

    monkeypatch.setattr(site.endpoint, "_endpoint", SimpleNamespace(answer=boom))
    client = site.client()
    connection.send(head_of("POST", "/mcp", {**client.headers, "content-length": "0"}))
    assert not connection.answers
    assert logged_failures.take(ZeroDivisionError)

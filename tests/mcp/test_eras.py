"""Eras: every row of the decision table, and that the answer goes to the right id."""

import itertools

import pytest
from msgspec import Raw

from mcptunnel.mcp import eras, jsonrpc
from mcptunnel.mcp.eras import Classified, Initialize, InSession, Modern, Refused
from mcptunnel.mcp.jsonrpc import Batch, JsonRpcError, Message, Notification, Request, Response
from mcptunnel.mcp.meta import CLIENT_CAPABILITIES, META, PROTOCOL_VERSION, modern_meta
from mcptunnel.mcp.versions import LEGACY_VERSIONS, Era
from mcptunnel.model import Headers

MODERN = "2026-07-28"
SESSION = ("mcp-session-id", "s1")
REQUEST = Request("r", "tools/list")
NOTIFICATION = Notification("notifications/cancelled")
RESPONSE = Response(4, Raw(b"{}"))


def version(value: str) -> tuple[str, str]:
    return ("mcp-protocol-version", value)


def claiming(value: str = MODERN, method: str = "tools/list") -> Request:
    return Request("r", method, {META: jsonrpc.raw(modern_meta(version=value))})


def refusal(verdict: Classified) -> tuple[int, int, object]:
    assert isinstance(verdict, Refused)
    return verdict.status, verdict.error.code, verdict.error.request_id


HEADERS: Headers = (version(MODERN), ("mcp-method", "tools/list"))


def test_a_claim_makes_it_modern_and_the_session_is_ignored() -> None:
    for fields in (HEADERS, (*HEADERS, SESSION)):
        verdict = eras.classify_post(fields, claiming())
        assert isinstance(verdict, Modern)
        assert verdict.meta.protocol_version == MODERN
        assert verdict.message.method == "tools/list"


@pytest.mark.parametrize(
    "method", ["initialize", "ping", "logging/setLevel", "resources/subscribe"]
)
def test_what_modern_clients_have_no_more_is_an_unknown_method(method: str) -> None:
    """Whatever the server knows; a modern-only client must not be given a session."""
    fields = (version(MODERN), ("mcp-method", method))
    verdict = eras.classify_post(fields, claiming(method=method))
    assert isinstance(verdict, Refused)
    assert (verdict.status, verdict.error.code, verdict.error.request_id) == (404, -32601, "r")


@pytest.mark.parametrize(
    "fields",
    [
        (),
        HEADERS[:1],
        HEADERS[1:],
        (version("2025-11-25"), HEADERS[1]),
        (*HEADERS, version(MODERN)),
    ],
)
def test_a_claim_that_the_headers_do_not_share_is_a_mismatch(fields: Headers) -> None:
    assert refusal(eras.classify_post(fields, claiming())) == (400, -32020, "r")


@pytest.mark.parametrize("claimed", ["2099-01-01", "2025-11-25", ""])
def test_a_claimed_version_that_is_not_modern_is_unsupported(claimed: str) -> None:
    verdict = eras.classify_post((version(claimed), HEADERS[1]), claiming(claimed))
    assert refusal(verdict) == (400, -32022, "r")
    assert isinstance(verdict, Refused)
    assert verdict.error.data == {"supported": [MODERN], "requested": claimed}


def test_a_claim_without_capabilities_is_incomplete() -> None:
    request = Request("r", "tools/list", {META: jsonrpc.raw({PROTOCOL_VERSION: MODERN})})
    verdict = eras.classify_post(HEADERS, request)
    assert refusal(verdict) == (400, -32602, "r")
    assert isinstance(verdict, Refused)
    assert CLIENT_CAPABILITIES in verdict.error.message


def test_an_ill_typed_meta_is_refused_in_both_eras() -> None:
    request = Request("r", "initialize", {META: Raw(b"[]")})
    assert refusal(eras.classify_post((), request)) == (400, -32602, "r")


def test_a_claiming_notification_needs_a_modern_version_and_no_headers() -> None:
    modern = Notification("notifications/x", {META: jsonrpc.raw({PROTOCOL_VERSION: MODERN})})
    assert isinstance(eras.classify_post((), modern), Modern)
    other = Notification("notifications/x", {META: jsonrpc.raw({PROTOCOL_VERSION: "1"})})
    assert refusal(eras.classify_post((), other)) == (400, -32022, None)


@pytest.mark.parametrize("fields", [(), (version("2025-06-18"),), (version(MODERN),), (SESSION,)])
def test_initialize_without_a_claim_opens_a_session(fields: Headers) -> None:
    request = Request(0, "initialize", {"protocolVersion": Raw(b'"2025-11-25"')})
    assert eras.classify_post(fields, request) == Initialize(request)


def test_a_notification_called_initialize_opens_nothing() -> None:
    assert isinstance(eras.classify_post((), Notification("initialize")), Modern)


@pytest.mark.parametrize("message", [REQUEST, NOTIFICATION, RESPONSE])
@pytest.mark.parametrize("stated", [None, *LEGACY_VERSIONS])
def test_a_session_takes_every_kind_of_message(message: Message, stated: str | None) -> None:
    fields = (SESSION,) if stated is None else (SESSION, version(stated))
    assert eras.classify_post(fields, message) == InSession("s1", message)


def test_without_claim_and_session_a_request_is_told_to_initialize() -> None:
    for fields in ((), (version("2025-06-18"),)):
        verdict = eras.classify_post(fields, REQUEST)
        assert refusal(verdict) == (400, -32600, "r")
        assert isinstance(verdict, Refused)
        assert "initialize" in verdict.error.message


def test_a_modern_header_without_a_claim_is_incomplete() -> None:
    for fields in ((version(MODERN),), (version(MODERN), SESSION)):
        assert refusal(eras.classify_post(fields, REQUEST)) == (400, -32602, "r")


def test_a_notification_without_a_session_is_accepted_and_dropped() -> None:
    """Whatever version the header names: also of a legacy client that begins no session."""
    legacy = [(version(one),) for one in LEGACY_VERSIONS]
    for fields in ((), (version(MODERN),), (version(MODERN), SESSION), *legacy):
        verdict = eras.classify_post(fields, NOTIFICATION)
        assert isinstance(verdict, Modern)
        assert verdict.message is NOTIFICATION


@pytest.mark.parametrize("message", [REQUEST, NOTIFICATION, RESPONSE])
@pytest.mark.parametrize("session", [(), (SESSION,)])
def test_an_unknown_version_is_unsupported(message: Message, session: Headers) -> None:
    verdict = eras.classify_post((version("1999-01-01"), *session), message)
    assert refusal(verdict)[:2] == (400, -32022)


def test_a_response_without_a_session_is_refused_without_an_id() -> None:
    for fields in ((), (version(MODERN),), (version("2025-06-18"),), (version(MODERN), SESSION)):
        assert refusal(eras.classify_post(fields, RESPONSE)) == (400, -32600, None)


def test_batches_need_a_session() -> None:
    """Whether the session may send any depends on its version."""
    for fields in ((), (version(MODERN),), (version("2025-06-18"),), (version(MODERN), SESSION)):
        assert refusal(eras.classify_post(fields, Batch(()))) == (400, -32600, None)
    for fields in ((SESSION,), (version("2025-03-26"), SESSION)):
        assert eras.classify_post(fields, Batch(())) == InSession("s1", Batch(()))


def test_two_session_ids_are_refused() -> None:
    fields = (SESSION, ("mcp-session-id", "s2"))
    assert refusal(eras.classify_post(fields, REQUEST)) == (400, -32020, "r")


def test_every_combination_has_a_verdict() -> None:
    versions = [(), *((version(v),) for v in ("", "x", MODERN, *LEGACY_VERSIONS))]
    for stated, session in itertools.product(versions, [(), (SESSION,), (("mcp-session-id", ""),)]):
        for message in (REQUEST, NOTIFICATION, RESPONSE, claiming(), Batch(())):
            verdict = eras.classify_post((*stated, *session), message)
            assert isinstance(verdict, Modern | InSession | Refused)


@pytest.mark.parametrize(
    ("code", "modern", "legacy"),
    [
        (-32700, 400, 400),
        (-32600, 400, 400),
        (-32601, 404, 200),
        (-32602, 400, 200),
        (-32603, 200, 200),
        (-32020, 400, 200),
        (-32021, 400, 200),
        (-32022, 400, 200),
        (-32002, 200, 200),
        (5, 200, 200),
    ],
)
def test_the_status_of_an_error_follows_code_and_era(code: int, modern: int, legacy: int) -> None:
    error = JsonRpcError(code, "x")
    assert (eras.http_status(error, Era.MODERN), eras.http_status(error, Era.LEGACY)) == (
        modern,
        legacy,
    )

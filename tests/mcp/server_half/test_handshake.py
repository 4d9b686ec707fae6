"""Learning a server's era: what is asked, and what each answer shows."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Response
from mcptunnel.mcp.server_half.handshake import (
    INITIALIZED,
    HandshakeError,
    Offer,
    ServerInfo,
    assumed,
    discover_request,
    initialize_request,
    lesser_offer,
    named_in_error,
    next_offer,
    read_discover,
    read_initialize,
    shown,
    versions_in,
)
from mcptunnel.mcp.versions import LEGACY_VERSIONS, MODERN_VERSIONS, Era
from tests.mcp.server_half.talk import MODERN_META, US, discovered, initialized, plain

MODERN = "2026-07-28"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"
DEEP = b"[" * 100_000 + b"]" * 100_000
BEGUN = b'{"protocolVersion":"2025-11-25","supportedVersions":["2026-07-28"],"instructions":'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
versions = st.lists(st.sampled_from(["2025-11-25", MODERN, "2027-01-01"]))
GOOD = {**initialized(), **discovered(MODERN)}
spoilt = {
    "supportedVersions": versions | json_values,
    "protocolVersion": st.sampled_from([*LEGACY_VERSIONS, MODERN]) | json_values,
    "capabilities": json_values,
    "instructions": json_values,
    "serverInfo": json_values,
    "_meta": json_values.map(lambda value: {SERVER_KEY: value}) | json_values,
}
REFUSAL = {"code": -32022, "message": "no", "data": {"supported": [MODERN]}}
spoilt_refusal = {
    "code": json_values,
    "message": json_values,
    "data": versions.map(lambda listed: {"supported": listed}) | json_values,
}
# Good answers of which some members are replaced: whatever is read must survive each of them.
results = st.fixed_dictionaries({}, optional=spoilt).map(lambda bad: {**GOOD, **bad})
errors = st.fixed_dictionaries({}, optional=spoilt_refusal).map(lambda bad: {**REFUSAL, **bad})
responses = st.one_of(
    (results | json_values).map(lambda result: Response(1, jsonrpc.raw(result))),
    (errors | json_values).map(lambda error: Response(1, error=jsonrpc.raw(error))),
)


def answered(result: object) -> Response:
    return Response(1, jsonrpc.raw(result))


def refused(code: int, data: object = None, message: str = "no") -> Response:
    return JsonRpcError(code, message, data).response(1)


def loaded(value: Raw | None) -> Any:
    return None if value is None else json.loads(bytes(value))


def test_the_probe_names_our_latest_version_and_us() -> None:
    assert plain(discover_request(5, US)) == {
        "jsonrpc": "2.0",
        "id": 5,
        "method": "server/discover",
        "params": {
            "_meta": {
                **MODERN_META,
                "io.modelcontextprotocol/clientInfo": {"name": "mcptunnel", "version": "1"},
            }
        },
    }


@pytest.mark.parametrize(
    ("offer", "capabilities"),
    [
        (
            Offer.FULL,
            {
                "elicitation": {"form": {}, "url": {}},
                "sampling": {"tools": {}},
                "roots": {},
                "extensions": {
                    "io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}
                },
            },
        ),
        (Offer.BARE, {"elicitation": {}, "sampling": {}, "roots": {}}),
        (Offer.NONE, {}),
    ],
)
def test_initialize_names_our_latest_legacy_version_and_what_is_offered(
    offer: Offer, capabilities: object
) -> None:
    assert plain(initialize_request("x", US, offer)) == {
        "jsonrpc": "2.0",
        "id": "x",
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "clientInfo": {"name": "mcptunnel", "version": "1"},
        },
    }


@pytest.mark.parametrize(
    ("code", "said", "is_lessened"),
    [
        (-32602, "?", True),
        (-32700, "?", True),
        (-32600, "?", True),
        (-32603, 'Unrecognized field "form" (class ClientCapabilities$Elicitation)', True),
        (-32603, "no licence", False),
        (-32000, "Cannot deserialize value", True),
        (None, "elicitation", False),
    ],
)
def test_a_server_that_could_not_read_an_offer_gets_a_lesser_one(
    code: int | None, said: str, is_lessened: bool
) -> None:
    """Down to nothing; any other refusal would be the same with another offer."""
    error = HandshakeError("refused", code, said)
    offers = [lesser_offer(offer, error) for offer in Offer]
    assert offers == ([Offer.BARE, Offer.NONE, None] if is_lessened else [None] * 3)


def test_a_process_that_died_of_an_offer_is_followed_by_one_that_gets_a_lesser_one() -> None:
    """And after the least one by the full one: that was not the reason."""
    assert [next_offer(offer) for offer in Offer] == [Offer.BARE, Offer.NONE, Offer.FULL]


def test_the_end_of_the_handshake_is_a_notification_of_one_line() -> None:
    assert INITIALIZED == b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


def test_a_modern_answer_tells_all_about_the_server() -> None:
    said = {**discovered("2025-11-25", MODERN, "2027-01-01"), "instructions": "Be kind."}
    info = read_discover(answered(said))
    assert info is not None
    assert (info.era, info.version, info.instructions) == (Era.MODERN, MODERN, "Be kind.")
    assert loaded(info.capabilities) == {"tools": {}}
    assert loaded(info.server_info) == {"name": "files", "version": "2"}


@pytest.mark.parametrize("said", [{}, {"capabilities": None, "instructions": None, "_meta": None}])
def test_a_modern_server_may_tell_nothing_but_its_versions(said: dict[str, Any]) -> None:
    """It has no capabilities then, unlike one that could not say which."""
    info = read_discover(answered({"supportedVersions": [MODERN], **said}))
    assert info == ServerInfo(Era.MODERN, MODERN, Raw(b"{}"))


@pytest.mark.parametrize("name", ["files", None, 5, ["files"]])
def test_server_info_of_a_modern_server_that_is_no_object_is_left_out(name: object) -> None:
    said = {**discovered(MODERN), "_meta": {SERVER_KEY: name, "vendor/x": 1}}
    info = read_discover(answered(said))
    assert info is not None
    assert info.server_info is None


def test_what_a_modern_server_said_stays_byte_for_byte() -> None:
    said = (
        b'{"supportedVersions":["2026-07-28"],"capabilities":{"x":1.50},"_meta":{"%b": {"n" : 1}}}'
    )
    info = read_discover(Response(1, Raw(said % SERVER_KEY.encode())))
    assert info == ServerInfo(Era.MODERN, MODERN, Raw(b'{"x":1.50}'), Raw(b'{"n" : 1}'))


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "2026-07-28",
        {},
        {"supportedVersions": MODERN},
        {"supportedVersions": [1]},
        {"supportedVersions": []},
        {"supportedVersions": ["2025-11-25", "2027-01-01"]},
        {"supportedVersions": [MODERN], "capabilities": []},
        {"supportedVersions": [MODERN], "instructions": 1},
        {"supportedVersions": [MODERN], "_meta": "x"},
    ],
)
def test_an_answer_in_another_shape_or_without_our_version_shows_no_modern_server(
    said: object,
) -> None:
    assert read_discover(answered(said)) is None


@pytest.mark.parametrize("text", [b"", b"{", BEGUN + DEEP + b"}", b'{"x":%b}' % DEEP])
def test_an_answer_that_cannot_be_read_is_no_handshake(text: bytes) -> None:
    response = Response(1, Raw(text))
    assert read_discover(response) is None
    with pytest.raises(HandshakeError, match="answer to initialize is invalid"):
        read_initialize(response)


def test_an_error_that_lists_our_version_shows_a_modern_server_with_tools() -> None:
    response = refused(-32022, {"supported": ["2027-01-01", MODERN]})
    info = read_discover(response)
    assert info == named_in_error(response) == assumed(MODERN)
    assert assumed("v") == ServerInfo(Era.MODERN, "v", Raw(b'{"tools":{}}'))


@pytest.mark.parametrize(
    "response",
    [
        refused(-32601, {"supported": [MODERN]}),
        refused(-32022),
        refused(-32022, {"supported": ["2025-11-25"]}),
        refused(-32022, {"supported": MODERN}),
        Response(1, error=Raw(b"[]")),
        Response(1, error=Raw(b'{"code":-32022,"data":{"supported":%b}}' % DEEP)),
        Response(1),
    ],
)
def test_other_errors_name_no_modern_server(response: Response) -> None:
    assert named_in_error(response) is None
    assert read_discover(response) is None


def test_a_result_is_no_error_that_names_a_server() -> None:
    assert named_in_error(answered(discovered(MODERN))) is None


@pytest.mark.parametrize(
    ("data", "listed"),
    [
        ({"supported": ["a", "b"], "requested": "c"}, ["a", "b"]),
        ({"supported": []}, []),
        ({"supported": "a"}, []),
        ({"supported": ["a", 1]}, []),
        ({"supported": None}, []),
        ({}, []),
        (["a"], []),
        ("a", []),
        (None, []),
    ],
)
def test_versions_are_read_from_an_errors_list(data: object, listed: list[str]) -> None:
    assert versions_in(JsonRpcError(-32022, "m", data)) == listed


@pytest.mark.parametrize("version", LEGACY_VERSIONS)
def test_a_legacy_answer_tells_all_about_the_server(version: str) -> None:
    info = read_initialize(answered(initialized(version)))
    assert (info.era, info.version, info.instructions) == (Era.LEGACY, version, "Be kind.")
    assert loaded(info.capabilities) == {"tools": {"listChanged": True}, "tasks": {}}
    assert loaded(info.server_info) == {"name": "files", "version": "2"}


@pytest.mark.parametrize(
    "said",
    [{}, {"capabilities": None, "instructions": None, "serverInfo": None}, {"serverInfo": {}}],
)
def test_a_legacy_server_may_tell_nothing_but_its_version(said: dict[str, Any]) -> None:
    info = read_initialize(answered({"protocolVersion": "2025-06-18", **said}))
    assert info == ServerInfo(Era.LEGACY, "2025-06-18", Raw(b"{}"))


@pytest.mark.parametrize(
    "response",
    [
        Response(1),
        answered(None),
        answered([]),
        answered({}),
        answered({"protocolVersion": 5}),
        answered({**initialized(), "capabilities": []}),
        answered({**initialized(), "serverInfo": "files"}),
        answered({**initialized(), "instructions": 1}),
    ],
)
def test_an_answer_to_initialize_in_another_shape_is_an_error_without_code(
    response: Response,
) -> None:
    with pytest.raises(HandshakeError, match="answer to initialize is invalid") as caught:
        read_initialize(response)
    assert caught.value.code is None


@pytest.mark.parametrize("version", [MODERN, "2027-01-01", "", "v" * 500])
def test_a_version_that_is_not_legacy_is_refused_and_shown_short(version: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        read_initialize(answered(initialized(version)))
    sentence = f"The server speaks MCP version {shown(version)}, which is not known here"
    assert (str(caught.value), caught.value.code) == (sentence, None)


@pytest.mark.parametrize("message", ["Not now", "x" * 500])
def test_a_refusal_is_told_with_its_code_and_shown_short(message: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        read_initialize(refused(-32600, message=message))
    sentence = f"The server refused initialize: {shown(message)} (-32600)"
    assert (str(caught.value), caught.value.code) == (sentence, -32600)


def test_a_refusal_in_another_shape_is_a_refusal() -> None:
    with pytest.raises(HandshakeError) as caught:
        read_initialize(Response(1, error=Raw(b'"no"')))
    assert caught.value.code == jsonrpc.INTERNAL_ERROR


@pytest.mark.parametrize(("length", "kept"), [(0, 0), (199, 199), (200, 200), (201, 200)])
def test_long_texts_are_cut_and_say_so(length: int, kept: int) -> None:
    assert shown("é" * length) == "é" * kept + ("…" if kept < length else "")


def greeted(response: Response) -> ServerInfo | None:
    """What `initialize` taught, None if it failed as it may."""
    try:
        return read_initialize(response)
    except HandshakeError:
        return None


@given(responses)
def test_any_answer_shows_a_server_of_its_era_or_none(response: Response) -> None:
    """No answer raises anything else; what is learnt is a version of ours, objects and texts."""
    eras = ((read_discover, Era.MODERN, MODERN_VERSIONS), (greeted, Era.LEGACY, LEGACY_VERSIONS))
    for read, era, ours in eras:
        info = read(response)
        if info is not None:
            assert info.era is era
            assert info.version in ours
            assert isinstance(loaded(info.capabilities), dict)
            assert isinstance(loaded(info.server_info), dict | None)
            assert isinstance(info.instructions, str | None)

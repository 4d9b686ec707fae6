"""Answers of legacy servers as modern ones."""

import json
from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Response
from mcptunnel.mcp.server_half.capabilities import NOTHING, Declared
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.server_half.results import input_required, restored, without_task_tools
from mcptunnel.mcp.versions import Era
from tests.mcp.server_half.talk import plain

LEGACY = ServerInfo(Era.LEGACY, "2025-11-25", Raw(b"{}"), Raw(b'{"name":"files"}'))
MODERN = ServerInfo(Era.MODERN, "2026-07-28", Raw(b"{}"))
URL = Declared(url=True)
ABOUT = {"io.modelcontextprotocol/serverInfo": {"name": "files"}}
ELICITATION = {
    "mode": "url",
    "elicitationId": "550e8400",
    "url": "https://example.org/connect",
    "message": "Sign in first.",
}


def answer(
    method: str, info: ServerInfo = LEGACY, declared: Declared = NOTHING, **content: Any
) -> dict[str, Any]:
    encoded = {name: jsonrpc.raw(value) for name, value in content.items()}
    return plain(restored(Response(3, **encoded), "a", method, info, declared))


def test_a_modern_servers_answer_is_only_readdressed() -> None:
    assert answer("resources/read", MODERN, result={"contents": []})["result"] == {"contents": []}
    error = {"code": -32042, "message": "?"}
    assert answer("tools/call", MODERN, error=error)["error"] == error


@pytest.mark.parametrize("result", [{"contents": []}, {"contents": [], "_meta": {}}])
def test_a_resource_without_contents_is_one_that_is_not_there(result: object) -> None:
    assert answer("resources/read", result=result)["error"] == {
        "code": -32602,
        "message": "Resource not found",
    }


@pytest.mark.parametrize(
    "result", [{"contents": [{"uri": "u", "text": ""}]}, {"contents": 5}, {"x": "y" * 2000}, {}]
)
def test_other_results_of_reading_are_results(result: dict[str, Any]) -> None:
    assert answer("resources/read", result=result)["result"].items() >= result.items()


def test_empty_contents_of_other_methods_mean_nothing() -> None:
    assert "result" in answer("tools/call", result={"contents": []})


TASK = {"name": "t", "execution": {"taskSupport": "required"}}
PLAIN = {"name": "p", "execution": {"taskSupport": "optional"}, "inputSchema": {"required": ["a"]}}


def test_tools_that_must_be_called_as_tasks_are_hidden() -> None:
    result = {"tools": [TASK, PLAIN, {"name": "q", "execution": None}], "nextCursor": ""}
    listed = answer("tools/list", result=result)["result"]
    assert [tool["name"] for tool in listed["tools"]] == ["p", "q"]
    assert (listed["nextCursor"], listed["ttlMs"]) == ("", 0)


@pytest.mark.parametrize(
    "result",
    [
        {"tools": [PLAIN]},
        {"tools": [PLAIN, {"description": '"taskSupport":"required"'}]},
        {"tools": [PLAIN, {"execution": 5}, "taskSupport"]},
        {"tools": "taskSupport", "x": "required"},
    ],
)
def test_other_lists_stay_byte_for_byte(result: object) -> None:
    encoded = jsonrpc.raw(result)
    assert without_task_tools(encoded) is encoded


def test_an_url_to_visit_first_becomes_a_question_without_a_state() -> None:
    """The retry is simply the call once more."""
    error = {"code": -32042, "message": "First this", "data": {"elicitations": [ELICITATION]}}
    assert answer("tools/call", declared=URL, error=error)["result"] == {
        "resultType": "input_required",
        "inputRequests": {
            "url1": {
                "method": "elicitation/create",
                "params": {
                    "mode": "url",
                    "url": "https://example.org/connect",
                    "message": "Sign in first.",
                },
            }
        },
        "_meta": ABOUT,
    }


def test_a_client_that_cannot_be_sent_to_an_url_hears_which_capability_it_lacks() -> None:
    error = {"code": -32042, "message": "First this", "data": {"elicitations": [ELICITATION]}}
    assert answer("tools/call", error=error)["error"] == {
        "code": -32021,
        "message": "First this",
        "data": {"requiredCapabilities": {"elicitation": {"url": {}}}},
    }


@pytest.mark.parametrize("data", [None, {}, {"elicitations": []}, {"elicitations": [{"x": 1}]}])
def test_an_error_of_that_code_without_urls_is_an_error_of_another_code(data: object) -> None:
    error = {"code": -32042, "message": "First this", "data": data}
    assert answer("tools/call", declared=URL, error=error)["error"] == {
        "code": -32603,
        "message": "First this",
    }


def test_the_number_in_another_errors_text_means_nothing() -> None:
    error = {"code": -32603, "message": "-32042"}
    assert answer("tools/call", declared=URL, error=error)["error"] == error


def test_input_required_bears_a_state_if_there_is_one() -> None:
    found = plain(input_required("a", {"1": {"method": "roots/list", "params": {}}}, "s", MODERN))
    assert found["result"] == {
        "resultType": "input_required",
        "inputRequests": {"1": {"method": "roots/list", "params": {}}},
        "requestState": "s",
    }
    assert json.dumps(found)

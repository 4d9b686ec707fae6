"""What a client declared, and which questions that allows."""

import json
from typing import Any

import pytest

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.server_half.capabilities import NOTHING, Declared, read, refusal

ALL = Declared(form=True, url=True, sampling=True, sampling_tools=True, roots=True)


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ({}, NOTHING),
        ({"elicitation": {}}, Declared(form=True)),
        ({"elicitation": {"form": {}}}, Declared(form=True)),
        ({"elicitation": {"url": {}}}, Declared(url=True)),
        ({"elicitation": {"url": {}, "form": {}}}, Declared(form=True, url=True)),
        ({"sampling": {}}, Declared(sampling=True)),
        ({"sampling": {"tools": {}}}, Declared(sampling=True, sampling_tools=True)),
        ({"roots": {"listChanged": True}, "vendor": 1}, Declared(roots=True)),
        ({"roots": None}, NOTHING),
        ({"roots": 5}, NOTHING),
        ([], NOTHING),
    ],
)
def test_what_is_declared_is_read_and_what_is_malformed_declares_nothing(
    declared: object, found: Declared
) -> None:
    assert read(jsonrpc.raw(declared)) == found


def test_no_capabilities_declare_nothing() -> None:
    assert read(None) == NOTHING


@pytest.mark.parametrize(
    ("method", "params", "declared", "code"),
    [
        ("elicitation/create", {}, Declared(form=True), None),
        ("elicitation/create", {"mode": "form"}, Declared(form=True), None),
        ("elicitation/create", {"mode": "url"}, Declared(url=True), None),
        ("elicitation/create", {"mode": "url"}, Declared(form=True), -32602),
        ("elicitation/create", {}, Declared(url=True), -32602),
        ("elicitation/create", {"mode": "voice"}, ALL, -32602),
        ("elicitation/create", {"mode": 5}, ALL, -32602),
        ("sampling/createMessage", {}, Declared(sampling=True), None),
        ("sampling/createMessage", {}, NOTHING, -1),
        ("sampling/createMessage", {"tools": []}, Declared(sampling=True), -32602),
        ("sampling/createMessage", {"tools": []}, ALL, None),
        ("roots/list", {}, Declared(roots=True), None),
        ("roots/list", {}, NOTHING, -32601),
        ("tasks/get", {}, ALL, -32601),
    ],
)
def test_a_question_is_refused_as_its_client_would(
    method: str, params: dict[str, Any], declared: Declared, code: int | None
) -> None:
    encoded = {name: jsonrpc.raw(value) for name, value in params.items()}
    refused = refusal(method, encoded, declared)
    assert (None if refused is None else refused.code) == code
    assert refused is None or json.loads(json.dumps(refused.message))

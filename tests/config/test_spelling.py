"""Keys in any spelling."""

from typing import Any

import pytest

from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.errors import ConfigError, Findings
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.spelling import canonical, join_key


def _canonical(tree: dict[str, Any], section: type = RelayConfig) -> dict[str, Any]:
    findings = Findings("x")
    result = canonical(tree, section, findings)
    findings.raise_if_any()
    return result


def _told(tree: dict[str, Any], section: type = RelayConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        _canonical(tree, section)
    return str(caught.value)


def test_camel_case_and_aliases_at_every_depth() -> None:
    assert _canonical({"publicUrl": "u", "limits": {"maxSessions": 1}}) == {
        "public_url": "u",
        "limits": {"max_sessions": 1},
    }
    assert _canonical({"issuerUrl": "u"}) == {"public_url": "u"}
    tree = {"mcpServers": {"camelName": {"timeoutS": 1, "type": "http", "env": {"aB": "c"}}}}
    assert _canonical(tree, AgentConfig) == {
        "servers": {"camelName": {"timeout_s": 1, "kind": "http", "env": {"aB": "c"}}}
    }


@pytest.mark.parametrize(
    "tree",
    [
        {"publicUrl": "u", "public_url": "u"},
        {"issuerUrl": "u", "public_url": "u"},
        {"limits": {"maxSessions": 1, "max_sessions": 1}},
    ],
)
def test_two_spellings_of_one_key_are_an_error(tree: dict[str, Any]) -> None:
    assert "is given twice" in _told(tree)


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({"publik_url": 1}, "x: publik_url: is not a known key. Did you mean 'public_url'?"),
        ({"publicURL": 1}, "x: publicURL: is not a known key. Did you mean 'public_url'?"),
        (
            {"hub": {"prefix": 1}},
            "x: hub.prefix: is not a known key. Did you mean 'device_prefix'?",
        ),
        (
            {"max_sessions": 1},
            "x: max_sessions: is not a known key. It belongs to 'limits.max_sessions'.",
        ),
        (
            {"hub": {"zzz": 1}},
            (
                "x: hub.zzz: is not a known key. Known here are device_prefix, server_timeout_s,"
                " call_timeout_s, offline_grace_s."
            ),
        ),
    ],
)
def test_an_unknown_key_names_the_nearest(tree: dict[str, Any], line: str) -> None:
    assert _told(tree) == line


def test_wrong_types_are_left_to_the_reader() -> None:
    assert _canonical({"limits": 5, "auth": [1]}) == {"limits": 5, "auth": [1]}
    assert _canonical({"servers": {"a": 1}}, AgentConfig) == {"servers": {"a": 1}}


def test_dotted_keys() -> None:
    assert join_key("", "a") == "a"
    assert join_key("a.b", "c") == "a.b.c"

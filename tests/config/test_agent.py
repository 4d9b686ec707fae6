"""The rules of an agent's configuration and of its servers."""

from typing import Any

import pytest

from mcptunnel.config.agent import AgentConfig, ServerConfig

_SERVER: dict[str, Any] = {"command": None, "url": None, "headers": {}, "env": {}, "cwd": None}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({}, "command"),
        ({"command": ("x",), "url": "http://a/"}, "url"),
        ({"command": ("x",), "headers": {"a": "b"}}, "headers"),
        ({"url": "http://a/", "env": {"a": "b"}}, "env"),
        ({"url": "http://a/", "cwd": "/x"}, "cwd"),
        ({"url": "http://a/", "kind": "stdio"}, "kind"),
        ({"command": ("x",), "kind": "http"}, "kind"),
    ],
)
def test_contradictions_in_a_server(values: dict[str, Any], key: str) -> None:
    (complaint,) = ServerConfig.rules({**_SERVER, **values})
    assert complaint.key == key
    assert complaint.remedy


@pytest.mark.parametrize(
    "values",
    [
        {"command": ("x",), "env": {"a": "b"}, "cwd": "/x", "kind": "stdio"},
        {"url": "http://a/", "headers": {"a": "b"}, "kind": "http"},
    ],
)
def test_servers_that_are_well(values: dict[str, Any]) -> None:
    assert not list(ServerConfig.rules({**_SERVER, **values}))


def test_after_an_unreadable_command_nothing_is_guessed() -> None:
    assert not list(ServerConfig.rules({"url": None}))


def test_plain_http_to_a_relay_needs_a_word() -> None:
    (complaint,) = AgentConfig.rules({"relay": "http://a.b", "insecure": False})
    assert complaint.key == "relay"
    assert not list(AgentConfig.rules({"relay": "http://a.b", "insecure": True}))


def test_an_agent_without_servers_is_useless() -> None:
    (complaint,) = AgentConfig.rules({"servers": ()})
    assert complaint.key == "servers"


def test_credentials_do_not_show_in_a_repr() -> None:
    server = ServerConfig(
        name="a", kind="http", url="http://a/", headers={"x": "hunter2"}, env={"y": "hunter2"}
    )
    assert "hunter2" not in repr(server)

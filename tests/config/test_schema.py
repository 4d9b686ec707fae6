"""The dataclasses tell their fields."""

from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path

import pytest

from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.config.auth import AuthConfig
from mcptunnel.config.relay import HubConfig, RelayConfig
from mcptunnel.config.schema import FieldSpec, camel_case, fields_of, file_only


def _field(section: type, name: str) -> FieldSpec:
    return next(spec for spec in fields_of(section) if spec.name == name)


def test_kinds_are_plain() -> None:
    """Optional, Literal and the containers are taken apart."""
    assert _field(ServerConfig, "cwd").kind is Path
    assert _field(ServerConfig, "cwd").optional
    assert _field(ServerConfig, "env").kind is Mapping
    assert _field(RelayConfig, "allowed_hosts").kind is tuple
    assert _field(RelayConfig, "allowed_hosts").item is None
    assert _field(HubConfig, "device_prefix").choices == ("auto", "always", "never")
    assert _field(AgentConfig, "servers").item is ServerConfig
    assert _field(RelayConfig, "auth").is_section


def test_defaults_are_values() -> None:
    assert _field(RelayConfig, "auth").default == AuthConfig()
    assert _field(RelayConfig, "public_url").default is MISSING
    assert _field(ServerConfig, "env").default == {}


def test_a_name_that_is_a_key_is_no_field() -> None:
    assert "name" not in {spec.name for spec in fields_of(ServerConfig)}


def test_spellings() -> None:
    assert camel_case("max_request_bytes") == "maxRequestBytes"
    assert _field(RelayConfig, "public_url").spellings == (
        "public_url",
        "issuer_url",
        "publicUrl",
        "issuerUrl",
    )
    assert file_only(RelayConfig) == ("mode", "host", "port")
    assert file_only(HubConfig) == ()


@pytest.mark.parametrize("section", [RelayConfig, AgentConfig, ServerConfig])
def test_every_field_has_a_meaning(section: type) -> None:
    for spec in fields_of(section):
        assert spec.option.doc.endswith((".", "three."))

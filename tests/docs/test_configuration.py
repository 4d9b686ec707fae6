"""The tables of the configuration reference are those of the dataclasses."""

from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path

import pytest

from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.config.auth import AuthConfig
from mcptunnel.config.relay import HubConfig, LimitsConfig, RelayConfig
from mcptunnel.config.schema import FieldSpec, fields_of
from mcptunnel.config.store import StoreConfig
from mcptunnel.config.tunnel import TunnelConfig

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"

SECTIONS = {
    "## The relay": RelayConfig,
    "### `[auth]`": AuthConfig,
    "### `[hub]`": HubConfig,
    "### `[limits]`": LimitsConfig,
    "### `[store]`": StoreConfig,
    "## The agent": AgentConfig,
    "### `[servers.NAME]`": ServerConfig,
    "## `[tunnel]`": TunnelConfig,
}

TYPES = {
    "bool": "true or false",
    "float": "number",
    "int": "whole number",
    "str": "text",
    "Path": "path",
    "Secret": "text",
    "tuple": "list of texts",
    "Mapping": "table of texts",
}


def row(spec: FieldSpec) -> str:
    """Return the line of the table for a field."""
    cells = (f"`{spec.name}`", type_of(spec), default_of(spec), spec.option.doc)
    return "| " + " | ".join(cells) + " |"


def type_of(spec: FieldSpec) -> str:
    if spec.choices:
        return " or ".join(f"`{choice}`" for choice in spec.choices)
    bounds = spec.option.bounds
    limits = f", {bounds.least:,.12g} to {bounds.most:,.12g}" if bounds else ""
    return ("tables" if spec.item else TYPES[spec.kind.__name__]) + limits


def default_of(spec: FieldSpec) -> str:
    if spec.option.default_text:
        return spec.option.default_text
    if spec.default is MISSING:
        return "required"
    if isinstance(spec.default, bool):
        return f"`{str(spec.default).lower()}`"
    if isinstance(spec.default, int | float):
        return f"`{spec.default:.12g}`"
    if isinstance(spec.default, tuple | Mapping):
        return "empty"
    return "none" if spec.default is None else f"`{spec.default}`"


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_table_is_that_of_the_dataclass(heading: str) -> None:
    """On failure the message is the table as it should be."""
    section = SECTIONS[heading]
    wanted = "\n".join(
        [
            "| key | type | default | meaning |",
            "|---|---|---|---|",
            *(row(spec) for spec in fields_of(section) if not spec.is_section),
        ]
    )
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    text = rest.partition("\n#")[0]
    assert found, f"{heading} is missing"
    assert f"\n{wanted}\n" in text, f"{heading}\n\n{wanted}\n"

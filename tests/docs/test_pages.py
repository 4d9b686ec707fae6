"""What the pages say to write can be read, and what they link to is there."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from mcptunnel.auth.keys import RANDOM_BYTES, mint
from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.load import load_agent, load_relay
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.schema import fields_of
from tests.docs.pages import CHECKOUT, PAGES, blocks

KEY = mint(bytes(RANDOM_BYTES))[1]
NAMES = [path.relative_to(CHECKOUT).as_posix() for path in PAGES if "_build" not in path.parts]


@pytest.mark.parametrize("name", NAMES)
def test_every_block_can_be_read(name: str, tmp_path: Path) -> None:
    """TOML that is one of our configurations is loaded as one, JSON and Python are parsed."""
    for number, block in enumerate(blocks(CHECKOUT / name)):
        if block.language == "toml":
            folder = tmp_path / str(number)
            folder.mkdir()
            check_toml(block.text, folder)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "python":
            compile(block.text, name, "exec")
        elif block.language == "console":
            assert block.text.startswith("$ ")


def check_toml(text: str, folder: Path) -> None:
    keys = set(tomllib.loads(text))
    (folder / "x.toml").write_text(text)
    (folder / "agent.key").touch(0o600)
    (folder / "agent.key").write_text(KEY)
    if "public_url" in keys:
        load_relay(Path("x.toml"), {}, folder)
    elif "relay" in keys:
        load_agent(Path("x.toml"), {}, folder)
    elif "mcp_servers" not in keys:  # which is for Codex
        assert keys <= {spec.name for one in (RelayConfig, AgentConfig) for spec in fields_of(one)}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    """Within the checkout: files, and headings of pages."""
    page = CHECKOUT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = page.parent / path if path else page
        assert found.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(found), f"{name}: {target}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_commands_that_make_a_key_say_all_that_is_needed() -> None:
    """On every page, and in every message of the programs."""
    places = [CHECKOUT / name for name in NAMES]
    places += sorted((CHECKOUT / "mcptunnel").rglob("*.py"))
    for place in places:
        text = place.read_text(encoding="utf-8")
        for command in re.findall(r"mcptunnel keys create(?! makes)( [^`\"\n]*--[^`\"\n]*)", text):
            for option in ("--config relay.toml", "--user", "--scope"):
                assert option in command, f"{place}: mcptunnel keys create{command}"

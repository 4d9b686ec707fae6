"""The agent's key is checked with the rest of its configuration."""

from pathlib import Path

import pytest

from mcptunnel.agent.configuration import load
from mcptunnel.auth.keys import RANDOM_BYTES, mint
from mcptunnel.config.errors import ConfigError

FILE = """\
relay = "https://relay.example.org"
key_file = "agent.key"
[servers.demo]
command = ["true"]
"""

_, KEY = mint(bytes(range(RANDOM_BYTES)))


def write(folder: Path, key: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(FILE)
    key_file = folder / "agent.key"
    key_file.touch(0o600)
    key_file.write_text(key)
    return path


def test_a_whole_key_is_taken(tmp_path: Path) -> None:
    config = load(write(tmp_path, KEY + "\n"), {}, tmp_path)
    assert config.key.reveal() == KEY


@pytest.mark.parametrize("text", [KEY[:-1], f"{KEY}\n{KEY}", f'"{KEY}"', KEY.lower(), "secret"])
def test_anything_else_is_told_without_repeating_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(write(tmp_path, text), {}, tmp_path)
    said = str(refused.value)
    assert "agent.toml: key_file: is not a whole API key" in said
    assert "keys create --scope agent" in said
    assert text not in said


def test_a_key_of_the_environment_is_checked_as_well(tmp_path: Path) -> None:
    path = write(tmp_path, KEY)
    path.write_text(FILE.replace('key_file = "agent.key"\n', ""))
    with pytest.raises(ConfigError, match=r"agent\.toml: key: is not a whole API key"):
        load(path, {"MCPTUNNEL_KEY": "mcpt_ak_x"}, tmp_path)

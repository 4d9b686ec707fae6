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


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (KEY[:-1], "has a wrong or a missing character"),
        (KEY.lower(), "has a wrong or a missing character"),
        (f"{KEY}\n{KEY}", "has several lines"),
        (f'"{KEY}"', "has quotes around it"),
        (f"Bearer {KEY}", "begins with Bearer"),
        (f"Authorization: Bearer {KEY}", "begins with Authorization"),
        (f"\ufeff{KEY}", "begins with a byte order mark"),
        (f"{KEY[:20]} {KEY[20:]}", "has spaces in it"),
        ("secret", "does not begin with mcpt_ak_"),
    ],
)
def test_anything_else_is_told_without_repeating_it(tmp_path: Path, text: str, seen: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(write(tmp_path, text), {}, tmp_path)
    said = str(refused.value)
    assert f"{tmp_path}/agent.key is not a whole API key: it {seen}. " in said
    assert "keys create --config relay.toml --user NAME --scope agent -o " in said
    assert text not in said
    assert KEY[20:] not in said


def test_a_key_of_the_environment_is_checked_as_well(tmp_path: Path) -> None:
    path = write(tmp_path, KEY)
    path.write_text(FILE.replace('key_file = "agent.key"\n', ""))
    with pytest.raises(ConfigError, match=r"^\$MCPTUNNEL_KEY: is not a whole API key: it has a wr"):
        load(path, {"MCPTUNNEL_KEY": "mcpt_ak_x"}, tmp_path)

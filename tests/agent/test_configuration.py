"""The agent's key is checked with the rest of its configuration."""

from pathlib import Path

import pytest

from mcptunnel.agent.configuration import load
from mcptunnel.agent.sign_in.kept import KeptGrant
from mcptunnel.auth.keys import RANDOM_BYTES, mint
from mcptunnel.config.errors import ConfigError
from mcptunnel.config.secret import Secret
from tests.agent.sign_in import data_folder, grant

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
    assert config.key == Secret(KEY)


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


RELAY = "https://relay.example.org"


def write_without_key(folder: Path) -> Path:
    path = write(folder, KEY)
    path.write_text(FILE.replace('key_file = "agent.key"\n', ""))
    return path


def told(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        load(path, {}, path.parent)
    return str(refused.value)


def test_a_sign_in_at_the_relay_is_as_good_as_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_folder(monkeypatch, tmp_path / "Ünïcode data")
    KeptGrant(RELAY).write(grant(RELAY))
    assert load(write_without_key(tmp_path), {}, tmp_path).key is None


def test_a_key_goes_before_a_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_folder(monkeypatch, tmp_path)
    KeptGrant(RELAY).write(grant(RELAY))
    assert load(write(tmp_path, KEY), {}, tmp_path).key == Secret(KEY)


def test_without_either_both_ways_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_folder(monkeypatch, tmp_path)
    said = told(write_without_key(tmp_path))
    assert f"key: is missing, and nobody is signed in at {RELAY}. " in said
    assert f"Run: mcptunnel login {RELAY}. Or give an API key: in key_file, key, or " in said


def test_a_sign_in_that_others_can_read_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_folder(monkeypatch, tmp_path)
    kept = KeptGrant(RELAY)
    kept.write(grant(RELAY))
    kept.path.chmod(0o640)
    said = told(write_without_key(tmp_path))
    assert f"key: is missing, and {kept.path} can be read by others. Run: chmod 600 " in said
    assert f"mcptunnel logout {RELAY}. Or give an API key" in said

"""The agent's key is found in one place, or it is told what is wrong with that place."""

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.agent_key import key_place, make_key_command, place_key
from mcptunnel.config.errors import ConfigError, Findings
from mcptunnel.config.secret import Secret


def _place(tree: dict[str, Any], base: Path, wrong: str = "", **environ: str) -> object:
    findings = Findings("agent.toml")
    place_key(tree, environ, base, lambda _text: wrong, findings)
    findings.raise_if_any()
    return tree["key"]


def _problem(tree: dict[str, Any], base: Path, wrong: str = "", **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _place(tree, base, wrong, **environ)
    (problem,) = caught.value.problems
    return str(problem)


def _write(path: Path, text: str = " k\n", mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def test_three_places(tmp_path: Path) -> None:
    _write(tmp_path / "agent.key")
    assert _place({"key": "k"}, tmp_path) == "k"
    assert _place({"key_file": "agent.key"}, tmp_path) == "k"
    assert _place({}, tmp_path, MCPTUNNEL_KEY="k") == "k"


def test_where_the_key_is_can_be_told(tmp_path: Path) -> None:
    """An empty variable counts as none, as above."""
    config = AgentConfig(
        relay="https://relay.test",
        name="laptop",
        state_dir=tmp_path,
        key=Secret("k"),
        servers=(),
    )
    assert key_place(config, {"MCPTUNNEL_KEY": "k"}) == "$MCPTUNNEL_KEY"
    assert key_place(config, {"MCPTUNNEL_KEY": ""}) == "key"
    assert key_place(replace(config, key_file=tmp_path / "agent.key"), {}) == "key_file"


def test_exactly_one_of_them(tmp_path: Path) -> None:
    told = _problem({"key": "k", "key_file": "f"}, tmp_path, MCPTUNNEL_KEY="k")
    assert told.startswith("agent.toml: key: is given by key and key_file and $MCPTUNNEL_KEY")


def test_a_wrong_key_is_told_where_it_stands(tmp_path: Path) -> None:
    """The file of the configuration, the key's own file, or the variable."""
    _write(tmp_path / "agent.key")
    wrong = "is odd"
    assert _problem({"key": "k"}, tmp_path, wrong).startswith("agent.toml: key: is odd. ")
    told = _problem({"key_file": "agent.key"}, tmp_path, wrong)
    assert told.startswith(f"agent.toml: key_file: {tmp_path}/agent.key is odd. ")
    told = _problem({}, tmp_path, wrong, MCPTUNNEL_KEY="k")
    assert told.startswith("$MCPTUNNEL_KEY: is odd. Copy it again, or make one: mcptunnel keys ")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read(mode: int, tmp_path: Path) -> None:
    """It is told, not changed; the command that is told works with any name."""
    _write(tmp_path / "agent's key", mode=mode)
    told = _problem({"key_file": "agent's key"}, tmp_path)
    quoted = f"""'{tmp_path}/agent'"'"'s key'"""
    assert told.endswith(f"key can be read by others. Run: chmod 600 {quoted}")
    assert stat.S_IMODE((tmp_path / "agent's key").stat().st_mode) == mode


def test_a_file_that_is_missing_comes_with_the_command_that_makes_it(tmp_path: Path) -> None:
    told = _problem({"key_file": "my key"}, tmp_path)
    assert told == (
        f"agent.toml: key_file: {tmp_path}/my key is not there. Make a key: mcptunnel keys create"
        f" --config relay.toml --user NAME --scope agent -o '{tmp_path}/my key'"
    )


def test_other_files_without_a_key(tmp_path: Path) -> None:
    _write(tmp_path / "empty", "")
    (tmp_path / "latin").write_bytes(b"\xff")
    for name, part in (
        (".", " is a directory. Name the file in it"),
        ("empty", "/empty is empty. Make a key into another file: mcptunnel keys "),
        ("latin", "/latin is not UTF-8 text"),
        ("empty/x", "/empty/x cannot be read: Not a directory"),
        ("~nobody-x/k", " is below a home directory that is not known"),
    ):
        assert part in _problem({"key_file": name}, tmp_path), name


def test_a_file_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_arguments: object, **_keywords: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert " is not for this user to read. Run the agent as" in _problem(
        {"key_file": "x"}, tmp_path
    )


@pytest.mark.parametrize("tree", [{"key": 5}, {"key": " "}, {"key_file": 5}])
def test_what_is_no_text_is_left_to_the_reader(tree: dict[str, Any], tmp_path: Path) -> None:
    assert _place(tree, tmp_path, "is odd")


def test_the_command_can_be_pasted() -> None:
    assert make_key_command("a b").endswith(" --scope agent -o 'a b'")

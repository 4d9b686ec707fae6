"""A secret in a file of its own; the keys that use one are tested for themselves."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from mcptunnel.config.errors import ConfigError, Findings
from mcptunnel.config.private_file import PrivateFile

FILE = PrivateFile(
    key="secret_file",
    what="secret",
    reader="program",
    make=lambda path: f"Make {path.name}.",
    again=lambda path: f"Make {path.name} again.",
    check=lambda text: "is odd" if text == "odd" else "",
)


def _problem(value: str, base: Path, environ: Mapping[str, str] = MappingProxyType({})) -> str:
    findings = Findings("x.toml")
    FILE.read(value, environ, base, findings)
    with pytest.raises(ConfigError) as caught:
        findings.raise_if_any()
    (problem,) = caught.value.problems
    return str(problem).replace(f"{base}/", "")


def test_the_text_without_what_is_around_it(tmp_path: Path) -> None:
    (tmp_path / "a").touch(mode=0o600)
    (tmp_path / "a").write_text("\n s \n")
    assert FILE.read("a", {}, tmp_path, Findings("x.toml")) == "s"


def test_what_is_wrong_is_told_in_the_words_of_the_key(tmp_path: Path) -> None:
    for name, text in (("empty", b""), ("odd", b"odd"), ("latin", b"\xff")):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(text)
    told = {name: _problem(name, tmp_path) for name in ("none", "empty", "odd", "latin")}
    assert told == {
        "none": "x.toml: secret_file: none is not there. Make none.",
        "empty": "x.toml: secret_file: empty is empty. Make empty again.",
        "odd": "x.toml: secret_file: odd is odd. Make odd again.",
        "latin": "x.toml: secret_file: latin is not UTF-8 text, so it has no secret. "
        "Name the file that has the secret.",
    }


def test_a_credential_of_systemd_is_private_whatever_its_group_bits(tmp_path: Path) -> None:
    """They are the mask of an access control list; other folders, and other bits, are refused as ever."""
    here = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    file = tmp_path / "a"
    file.write_text("s")
    file.chmod(0o440)
    assert FILE.read(str(file), here, tmp_path, Findings("x.toml")) == "s"
    told = "x.toml: secret_file: a can be read by others. Run: chmod 600 a"
    assert _problem(str(file), tmp_path) == told
    (tmp_path / "b").mkdir()
    below = tmp_path / "b" / "a"
    below.write_text("s")
    for mode, path in ((0o440, below), (0o444, file), (0o460, file)):
        path.chmod(mode)
        assert "can be read by others" in _problem(str(path), tmp_path, here)


def test_a_path_that_no_system_takes_is_told_by_who_reads_it(tmp_path: Path) -> None:
    findings = Findings("x.toml")
    assert FILE.read("a\0b", {}, tmp_path, findings) == ""
    findings.raise_if_any()

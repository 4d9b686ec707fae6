import stat
from pathlib import Path

import pytest

from mcptunnel.agent.installation import FILE_NAME, installation_id
from mcptunnel.errors import McpTunnelError


def test_an_installation_keeps_its_id(tmp_path: Path) -> None:
    state_dir = tmp_path / "deep" / "state"
    first = installation_id(state_dir)
    assert len(first) == 32
    assert installation_id(state_dir) == first
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert [path.name for path in state_dir.iterdir()] == [FILE_NAME]


def test_two_installations_differ(tmp_path: Path) -> None:
    assert installation_id(tmp_path / "a") != installation_id(tmp_path / "b")


@pytest.mark.parametrize("found", [b"", b"laptop\n", b"F" * 32, b"\xff\xfe"])
def test_something_else_in_the_file_is_told(tmp_path: Path, found: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(found)
    with pytest.raises(McpTunnelError, match=r"does not hold an installation id\. Remove"):
        installation_id(tmp_path)


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    with pytest.raises(McpTunnelError, match=f"cannot use {taken}: it is a file, not a directory"):
        installation_id(taken)

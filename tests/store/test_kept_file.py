"""Files that are made once: whole, private, and the same for everybody who asks."""

import os
import stat
from pathlib import Path

import pytest

from mcptunnel.errors import McpTunnelError
from mcptunnel.store.kept_file import KEPT_AS, kept, kept_secret


def test_it_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "id"
    assert kept(path, lambda: "first") == b"first"
    assert kept(path, lambda: "second") == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "id"
    path.write_text("kept\n")
    path.chmod(0o644)
    assert kept(path, lambda: "new") == b"kept"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_first_of_two_writers_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs that start at once agree; nothing else is left."""
    link = os.link

    def late(source: Path, target: Path) -> None:
        target.write_text("theirs\n")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert kept(tmp_path / "id", lambda: "ours") == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["id"]


def test_secrets_differ(tmp_path: Path) -> None:
    one, two = (kept_secret(tmp_path / name, "") for name in ("a", "b"))
    assert one != two
    assert len(one) == 64
    assert kept_secret(tmp_path / "a", "") == one


def test_what_holds_too_little_is_refused_without_being_told(tmp_path: Path) -> None:
    (tmp_path / KEPT_AS).write_text("short-and-secret\n")
    with pytest.raises(McpTunnelError, match="does not hold a secret") as caught:
        kept_secret(tmp_path, "")
    assert "short-and-secret" not in str(caught.value)


def test_what_cannot_be_used_is_said_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(McpTunnelError, match=r"cannot be used: .* Do this\."):
        kept_secret(tmp_path / "file", "Do this.")

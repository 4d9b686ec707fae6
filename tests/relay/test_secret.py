"""The relay's secret: configured, or made once for its owner alone."""

from pathlib import Path

import pytest

from mcptunnel.config.secret import Secret
from mcptunnel.errors import McpTunnelError
from mcptunnel.relay.secret import relay_secret
from mcptunnel.store.kept_file import KEPT_AS


def test_a_configured_secret_needs_no_file(tmp_path: Path) -> None:
    assert relay_secret(Secret("x" * 40), tmp_path) == b"x" * 40
    assert list(tmp_path.iterdir()) == []


def test_else_one_is_made_once_and_kept_private(tmp_path: Path) -> None:
    state_dir = tmp_path / "new"
    made = relay_secret(None, state_dir)
    assert len(made) == 64
    assert relay_secret(None, state_dir) == made
    assert relay_secret(None, tmp_path) != made
    assert [path.name for path in state_dir.iterdir()] == [KEPT_AS]
    assert (state_dir / KEPT_AS).stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(McpTunnelError, match=r"cannot be used.*Give `secret`"):
        relay_secret(None, tmp_path / "file")

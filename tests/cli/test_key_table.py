"""How keys are shown."""

import sys

import pytest

from mcptunnel.auth.keys import KeyId, KeyRecord, Scope
from mcptunnel.cli.key_table import print_keys
from mcptunnel.model import Principal

_KEY = KeyRecord(
    id=KeyId("abcdefghij23"),
    scope=Scope.AGENT,
    principal=Principal("local", "alice"),
    name="[red]laptop",
    created_s=0.0,
    last_used_s=86_400.0,
    revoked_s=5.0,
)


def test_plain_columns_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_keys([_KEY])
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split("\t")[0] == "ID"
    assert row.split("\t") == [
        "abcdefghij23",
        "alice",
        "agent",
        "[red]laptop",
        "1970-01-01 00:00Z",
        "1970-01-02 00:00Z",
        "revoked",
    ]


def test_a_table_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people wrote is text there, never markup."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    print_keys([_KEY])
    shown = capsys.readouterr().out
    assert "[red]laptop" in shown
    assert "LAST USED" in shown
    assert "\t" not in shown

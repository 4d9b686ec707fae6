"""Tables on a terminal and in a pipe."""

import sys

import pytest

from mcptunnel.cli.table import print_list, print_table, time_text

ROWS = [("1", "[red]two"), ("3", "4")]


def test_in_a_pipe_columns_are_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "B"), ROWS)
    assert capsys.readouterr().out == "A\tB\n1\t[red]two\n3\t4\n"


def test_on_a_terminal_it_is_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks like markup is shown as it is."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("A", "B"), ROWS)
    shown = capsys.readouterr().out
    assert "[red]two" in shown
    assert "\t" not in shown


def test_times_are_for_people() -> None:
    assert [time_text(None), time_text(86_400.0)] == ["-", "1970-01-02 00:00Z"]


def test_a_list_is_a_table_or_json_and_nothing_is_said_aside(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_list([{"a": 1}], ("A",), [("1",)], as_json=False, nothing="None.")
    print_list([{"a": 1}], ("A",), [("1",)], as_json=True, nothing="None.")
    assert capsys.readouterr() == ('A\n1\n[\n  {\n    "a": 1\n  }\n]\n', "")
    print_list([], ("A",), [], as_json=False, nothing="None.")
    print_list([], ("A",), [], as_json=True, nothing="None.")
    assert capsys.readouterr() == ("A\n[]\n", "None.\n")

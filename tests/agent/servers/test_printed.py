"""What servers print, in the log."""

from mcptunnel.agent.servers.printed import MAX_LINES, Printed
from tests.conftest import Log


def test_what_a_server_prints_is_one_line_of_bounded_length(log: Log) -> None:
    printed = Printed("files")
    printed.line("\x1b[2Jspam \r2026-11-20 [forged#info] over " + "x" * 8000)
    printed.junk("\x1b[31mred\n")
    first, second = log.lines
    assert first.startswith("files: [2Jspam  2026-11-20 [forged#info] over xxx")
    assert len(first) < 520
    assert second == "server files: not a message: [31mred"


def test_a_flood_is_counted_and_not_written(log: Log) -> None:
    printed = Printed("files")
    for number in range(MAX_LINES):
        printed.line(f"line {number}")
    printed.sweep()
    assert len(log.lines) == MAX_LINES
    for _ in range(MAX_LINES):
        printed.line("spam")
        printed.junk("spam")
    assert len(log.lines) == 2 * MAX_LINES
    printed.sweep()
    printed.sweep()
    printed.line("quiet again")
    assert log.lines[2 * MAX_LINES :] == ["server files: 100 lines left out", "files: quiet again"]

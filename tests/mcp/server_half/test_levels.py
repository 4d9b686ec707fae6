"""Which log messages who sees."""

import pytest

from mcptunnel.mcp.server_half.levels import LEVELS, most_verbose, shows


@pytest.mark.parametrize(
    ("levels", "level"),
    [
        ([], None),
        ([None, None], None),
        ([None, "error"], "error"),
        (["error", "debug", "info"], "debug"),
    ],
)
def test_the_most_verbose_level_shows_what_anybody_wants(levels: list[None], level: object) -> None:
    assert most_verbose(levels) == level


def test_a_level_shows_itself_and_what_is_worse() -> None:
    for wanted in LEVELS:
        seen = [said for said in LEVELS if shows(wanted, said)]
        assert seen == list(LEVELS[LEVELS.index(wanted) :])


@pytest.mark.parametrize("said", ["fatal", "", None])
def test_unknown_levels_are_never_shown(said: str | None) -> None:
    assert not shows("debug", said)


def test_who_wants_nothing_sees_nothing() -> None:
    assert not shows(None, "emergency")

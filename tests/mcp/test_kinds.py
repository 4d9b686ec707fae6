"""The kinds of things that servers list."""

from mcptunnel.mcp.kinds import LISTED, Kind


def test_every_kind_is_listed_somehow() -> None:
    assert LISTED.keys() == set(Kind)
    assert len({listed.method for listed in LISTED.values()}) == len(Kind)


def test_the_names_in_stores_never_change() -> None:
    assert [kind.value for kind in Kind] == ["tool", "prompt", "resource", "template"]

"""What a server would not tell of is remembered in bounds."""

import pytest

from mcptunnel.mcp.refused_uris import MAX_CHARS, MAX_URIS, RefusedUris


def test_what_was_refused_is_known_until_it_is_forgotten() -> None:
    """Twice the same counts once."""
    refused = RefusedUris()
    refused.add("a:1")
    refused.add("a:1")
    assert ("a:1" in refused, "a:2" in refused) == (True, False)
    refused.clear()
    assert "a:1" not in refused


@pytest.mark.parametrize(
    "uris",
    [[f"a:{number}" for number in range(MAX_URIS + 1)], ["a" * MAX_CHARS, "b"]],
    ids=["many", "long"],
)
def test_who_refuses_too_much_is_asked_for_nothing_any_more(uris: list[str]) -> None:
    """Nothing that was refused is ever forgotten for the sake of something else."""
    refused = RefusedUris()
    for uri in uris[:-1]:
        refused.add(uri)
    assert "never:seen" not in refused
    refused.add(uris[-1])
    assert all(uri in refused for uri in [*uris, "never:seen"])
    assert not refused._uris
    refused.clear()
    assert uris[0] not in refused
    refused.add("b")
    assert "a" not in refused

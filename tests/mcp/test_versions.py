"""Versions: each has one era, and `initialize` always ends in a version that we speak."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp import versions
from mcptunnel.mcp.versions import Era


@pytest.mark.parametrize("version", versions.LEGACY_VERSIONS)
def test_a_legacy_version_is_agreed_on_as_requested(version: str) -> None:
    assert versions.era_of(version) is Era.LEGACY
    assert versions.negotiate_legacy(version) == version


@pytest.mark.parametrize("version", versions.MODERN_VERSIONS)
def test_a_modern_version_is_never_agreed_on_by_initialize(version: str) -> None:
    assert versions.era_of(version) is Era.MODERN
    assert versions.negotiate_legacy(version) == "2025-11-25"


@given(st.text())
def test_any_other_request_gets_our_latest(version: str) -> None:
    if version not in versions.LEGACY_VERSIONS:
        assert versions.negotiate_legacy(version) == versions.LATEST_LEGACY
        assert versions.era_of(version) in {None, Era.MODERN}


def test_the_tuples_are_ordered_and_consistent() -> None:
    both = versions.LEGACY_VERSIONS + versions.MODERN_VERSIONS
    assert list(both) == sorted(both)
    assert (versions.LATEST_LEGACY, versions.LATEST_MODERN) == ("2025-11-25", "2026-07-28")
    assert versions.STREAMABLE_LEGACY == ("2025-03-26", "2025-06-18", "2025-11-25")

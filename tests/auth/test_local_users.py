"""Names and passwords of the built-in login."""

import unicodedata

import pytest

from mcptunnel.auth.local_users import (
    LEAST_PASSWORD_CHARS,
    MAX_NAME_CHARS,
    MAX_PASSWORD_CHARS,
    folded,
    name_fault,
    password,
    password_fault,
    user_name,
)

DECOMPOSED = "Ju\u0308rgen"


def test_two_ways_to_type_a_name_are_one_name() -> None:
    assert user_name(f" {DECOMPOSED}\t") == "Jürgen"
    assert password(DECOMPOSED) == "Jürgen"
    assert password(" a ") == " a ", "spaces count in a password"


@pytest.mark.parametrize(
    ("one", "other"),
    [("Anna", "anna"), ("ÄRGER", "ärger"), ("ﬁnn", "finn"), ("Straße", "STRASSE"), ("\uff41", "A")],
)
def test_names_that_look_alike_are_the_same_folded(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    assert folded("anna") != folded("anne")


@pytest.mark.parametrize(
    "name", ["a", "Jürgen Müller", "🦊", "👩‍🚀"[0], "ana@example.org", "x" * MAX_NAME_CHARS]
)
def test_good_names(name: str) -> None:
    assert name_fault(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * (MAX_NAME_CHARS + 1),
        "a\u202eb",
        "a\nb",
        "a\x00b",
        "a  b",
        "\u200b",
        "a\u0301\u0301\u0301",
        "\ud800",
    ],
)
def test_names_that_nobody_could_read(name: str) -> None:
    assert name_fault(name).endswith(".")


@pytest.mark.parametrize("chosen", ["correct horse", "ü" * 9 + "a", "🦊🐻" * 5, " " * 9 + "x"])
def test_good_passwords(chosen: str) -> None:
    assert password_fault(chosen, "anna") == ""


@pytest.mark.parametrize(
    "chosen",
    [
        "",
        "x" * (LEAST_PASSWORD_CHARS - 2) + "y",
        "xy" * MAX_PASSWORD_CHARS,
        "Anna@Example.org",
        "aaaaaaaaaaaaaa",
    ],
)
def test_bad_passwords(chosen: str) -> None:
    assert password_fault(chosen, "anna@example.org").endswith(".")


def test_threat_27_a_name_without_end_is_not_compared_to_its_end() -> None:
    """One character may become 18 when names are compared, and each user's name is compared with it."""
    endless = user_name("\ufdfa" * 30_000)
    assert MAX_NAME_CHARS < len(endless) <= 4 * MAX_NAME_CHARS
    assert name_fault(endless)
    decomposed = unicodedata.normalize("NFD", "\u1ec7" * MAX_NAME_CHARS)
    assert user_name(decomposed) == "\u1ec7" * MAX_NAME_CHARS

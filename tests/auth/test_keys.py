"""API keys: their form, their check, what they open."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth import keys
from mcptunnel.auth.keys import KeyId, KeyRecord, Scope
from mcptunnel.model import Principal

_RANDOM = st.binary(min_size=keys.RANDOM_BYTES, max_size=keys.RANDOM_BYTES)
_GOLDEN = "mcpt_ak_aaaqeayeauda_1u8QmlquE1rQpeqoulx6MZVGVGgufeog3UsDEHmrG2p0vk9e5"


def _record(**changes: object) -> KeyRecord:
    members = {
        "id": KeyId("aaaqeayeaudq"),
        "scope": Scope.MCP,
        "principal": Principal("local", "alice"),
        "name": "cursor",
        "created_s": 1.5,
    }
    return KeyRecord(**{**members, **changes})  # type: ignore[arg-type]  # the fields by name


def test_the_form_never_changes() -> None:
    """A golden key: keys that people hold must go on working."""
    assert keys.mint(bytes(range(40))) == ("aaaqeayeauda", _GOLDEN)


@given(_RANDOM)
def test_what_was_minted_is_parsed(random: bytes) -> None:
    key_id, text = keys.mint(random)
    parsed = keys.parse(text)
    assert parsed is not None
    assert parsed.id == key_id
    assert len(text) == len(_GOLDEN)
    assert keys.matches(parsed, keys.hash_secret(parsed.secret))


@given(_RANDOM, _RANDOM)
def test_other_random_gives_another_secret(one: bytes, other: bytes) -> None:
    """All 256 bits are in the secret."""
    first, second = keys.parse(keys.mint(one)[1]), keys.parse(keys.mint(other)[1])
    assert first is not None
    assert second is not None
    assert (first.secret == second.secret) == (one[8:] == other[8:])
    assert keys.matches(first, keys.hash_secret(second.secret)) == (one[8:] == other[8:])


@given(st.integers(0, len(_GOLDEN) - 1), st.characters())
def test_a_mistyped_character_is_told_without_the_store(position: int, char: str) -> None:
    text = _GOLDEN[:position] + char + _GOLDEN[position + 1 :]
    assert (keys.parse(text) is not None) == (text == _GOLDEN)


@given(st.text())
def test_any_other_text_is_no_key(text: str) -> None:
    assert keys.parse(text) is None


@pytest.mark.parametrize("text", [f" {_GOLDEN}", f"{_GOLDEN}\n", _GOLDEN[:-1], _GOLDEN.upper()])
def test_almost_a_key(text: str) -> None:
    assert keys.parse(text) is None


@pytest.mark.parametrize("size", [0, 39, 41])
def test_minting_wants_all_its_random(size: int) -> None:
    with pytest.raises(ValueError, match="40 random bytes"):
        keys.mint(bytes(size))


def test_the_id_is_60_bits() -> None:
    random = b"\xff" * 8 + bytes(32)
    assert keys.mint(random)[0] == base64.b32encode(random[:8]).decode().lower()[:12]


def test_a_secret_does_not_show_in_a_repr() -> None:
    parsed = keys.parse(_GOLDEN)
    assert parsed is not None
    issued = keys.IssuedKey(record=_record(), text=_GOLDEN)
    assert parsed.secret not in f"{parsed!r} {issued!r}"


def test_a_key_opens_its_own_scope_until_it_is_revoked() -> None:
    assert _record(scope=Scope.MCP).allows(Scope.MCP)
    assert not _record(scope=Scope.MCP).allows(Scope.AGENT)
    assert not _record(scope=Scope.AGENT).allows(Scope.MCP)
    assert not _record(scope=Scope.MCP, revoked_s=2.0).allows(Scope.MCP)


@pytest.mark.parametrize("record", [_record(), _record(last_used_s=2.5, revoked_s=3.5)])
def test_records_survive_json(record: KeyRecord) -> None:
    assert keys.record_from_json(keys.record_to_json(record)) == record


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("alice", True),
        ("", True),
        ("Ünal B", True),
        ("a\nb", False),
        ("\x1b", False),
        ("\x9b", False),
    ],
)
def test_labels_are_safe_to_show(text: str, good: bool) -> None:
    assert keys.is_label(text) is good
    assert keys.is_label("x" * 255)
    assert not keys.is_label("x" * 256)

"""Bytes that are kept, counted."""

from mcptunnel.mcp.client_half.kept import MAX_ALL_BYTES, MAX_KEPT_BYTES, Kept


def test_each_has_so_much() -> None:
    kept = Kept()
    assert kept.take("a", MAX_KEPT_BYTES)
    assert not kept.take("a", 1)
    assert kept.take("b", 1)
    kept.give_back("a", 1)
    assert kept.take("a", 1)


def test_all_have_so_much_together() -> None:
    kept = Kept()
    many = MAX_ALL_BYTES // MAX_KEPT_BYTES
    assert all(kept.take(str(number), MAX_KEPT_BYTES) for number in range(many))
    assert not kept.take("more", 1)


def test_nothing_is_remembered_of_who_keeps_nothing() -> None:
    kept = Kept()
    kept.take("a", 5)
    kept.give_back("a", 5)
    kept.give_back("a", 0)
    assert not kept._bytes
    assert kept._all_bytes == 0

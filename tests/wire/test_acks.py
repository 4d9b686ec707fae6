"""An ACK is due after 64 KiB or 100 ms, and not before."""

from math import inf

from mcptunnel.wire.acks import Acks
from mcptunnel.wire.constants import ACK_AFTER_BYTES, ACK_AFTER_S
from mcptunnel.wire.frames import Ack


def test_nothing_is_due_at_first() -> None:
    acks = Acks()
    acks.tick(1e9)
    assert (acks.is_due, acks.due_s, acks.received_count) == (False, inf, 0)


def test_an_ack_is_due_after_its_time() -> None:
    """Counted from the first frame that nobody acknowledged; later ones do not put it off."""
    acks = Acks()
    acks.received(3, 100, 10.0)
    acks.received(1, 100, 10.05)
    assert acks.due_s == 10.0 + ACK_AFTER_S
    due = []
    for now_s in (10.09, acks.due_s):
        acks.tick(now_s)
        due.append(acks.is_due)
    assert due == [False, True]
    assert acks.take() == Ack(4)
    assert (acks.is_due, acks.due_s) == (False, inf)


def test_an_ack_is_due_after_so_many_bytes() -> None:
    acks = Acks()
    due = []
    for size_bytes in (ACK_AFTER_BYTES - 1, 1):
        acks.received(1, size_bytes, 0.0)
        due.append(acks.is_due)
    assert due == [False, True]
    assert acks.take() == Ack(2)
    acks.received(1, ACK_AFTER_BYTES - 1, 0.0)
    assert not acks.is_due


def test_a_resume_tells_the_number_as_well() -> None:
    """Then no ACK is due, and counting goes on."""
    acks = Acks()
    acks.received(5, ACK_AFTER_BYTES, 0.0)
    acks.resumed()
    assert (acks.is_due, acks.due_s, acks.received_count) == (False, inf, 5)

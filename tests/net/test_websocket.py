"""Links over WebSocket, both ends joined in memory, on a test clock."""

from typing import Any

import pytest
import txaio
from twisted.logger import globalLogPublisher

from mcptunnel.net import websocket
from mcptunnel.net.link import LinkLost
from tests.conftest import LoggedFailures
from tests.net.links import Joined, Recorder


def test_messages_pass_both_ways_and_whole() -> None:
    """Small, empty and long messages arrive as they were sent, in order."""
    pair = Joined(server=Recorder(echo=True))
    messages = [b"a", b"", bytes(70_000), b"z" * 300_000]
    for message in messages:
        pair.dialled.link.send_message(message)
    pair.flush()
    assert pair.server.messages == messages
    assert pair.client.messages == messages
    assert pair.dialled.link is pair.client.link
    assert pair.dialled.pump.clock is pair.reactor


def test_the_credential_travels_in_the_header_and_is_not_kept() -> None:
    """The door sees the Authorization; afterwards neither end's protocol holds it."""
    pair = Joined()
    assert pair.door.authorization == "Bearer secret"
    for link in (pair.client.link, pair.server.link):
        protocol: Any = link._protocol  # type: ignore[attr-defined]
        assert "secret" not in repr(vars(protocol))


def test_no_credential_reaches_a_log_even_at_debug_level() -> None:
    """Autobahn logs whole handshakes when it logs at all; ours has no log."""
    told: list[Any] = []
    observer: Any = told.append
    autobahn_log: Any = txaio
    autobahn_log.set_global_log_level("trace")
    globalLogPublisher.addObserver(observer)
    try:
        Joined()
    finally:
        globalLogPublisher.removeObserver(observer)
        autobahn_log.set_global_log_level("info")
    assert "secret" not in repr(told)


@pytest.mark.parametrize("closer", ["client", "server"])
def test_either_end_closes_with_its_code(closer: str) -> None:
    """Both ends hear the code and the reason, cleanly and once, after what was sent before."""
    pair = Joined()
    link = getattr(pair, closer).link
    link.send_message(b"last words")
    link.close(4000, "that is ä" + "x" * 200)
    link.send_message(b"too late")
    link.close()
    pair.flush()
    other = pair.server if closer == "client" else pair.client
    assert other.messages == [b"last words"]
    for end in (pair.client, pair.server):
        (lost,) = end.lost
        assert (lost.clean, lost.code) == (True, 4000)
        assert lost.text.startswith("that is äxx")
        assert len(lost.text.encode()) == websocket.MAX_REASON_BYTES
    assert pair.reactor.getDelayedCalls() == []


def test_a_reason_is_cut_between_characters() -> None:
    """123 bytes of two-byte characters are 61 of them."""
    pair = Joined()
    pair.client.link.close(1000, "ä" * 100)
    pair.flush()
    assert pair.server.lost == [LinkLost(clean=True, code=1000, text="ä" * 61)]


def test_a_reason_with_control_characters_is_made_printable() -> None:
    """A terminal that shows the log is safe from the peer's words."""
    pair = Joined()
    pair.client.link.close(1000, "a\x1b[31mb\n")
    pair.flush()
    assert pair.server.lost[0].text == "a [31mb"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 5000])
def test_codes_that_must_not_be_sent_are_refused(code: int) -> None:
    """RFC 6455, section 7.4: some codes are only for reports, others are not assigned."""
    pair = Joined()
    with pytest.raises(ValueError, match=str(code)):
        pair.client.link.close(code)
    pair.flush()
    assert pair.server.lost == []


def test_messages_after_our_close_are_not_received() -> None:
    """Who has closed hears nothing more but the end."""
    pair = Joined()
    pair.server.link.send_message(b"on its way")
    pair.client.link.close()
    pair.flush()
    assert pair.client.events == ["made", "lost"]


def test_abort_is_heard_on_both_ends() -> None:
    """An abort is no clean end, and has no code."""
    pair = Joined()
    pair.client.link.abort()
    pair.client.link.abort()
    pair.flush()
    assert pair.client.lost == [LinkLost(clean=False, code=None, text="aborted")]
    assert [(lost.clean, lost.code) for lost in pair.server.lost] == [(False, None)]
    pair.client.link.send_message(b"x")
    pair.client.link.close()
    pair.client.link.abort()


def test_nothing_arrives_after_an_abort_within_a_batch() -> None:
    """Messages behind the one whose receiver aborts are dropped, though they are here already."""

    class Aborting(Recorder):
        def message_received(self, message: bytes) -> None:
            super().message_received(message)
            self.link.abort()

    pair = Joined(server=Aborting())
    for message in (b"1", b"2", b"3"):
        pair.client.link.send_message(message)
    pair.flush()
    assert pair.server.messages == [b"1"]


def test_a_peer_that_does_not_answer_the_close_is_dropped() -> None:
    """After a few seconds of the given reactor's clock the link is lost all the same."""
    pair = Joined()
    pair.client.link.close(4001, "bye")
    pair.reactor.advance(websocket.CLOSE_TIMEOUT_S + 0.1)  # nothing was pumped
    assert pair.pump.clientIO.disconnecting
    pair.pump.serverIO.disconnected = True
    pair.pump.clientIO.reportDisconnect()
    assert pair.client.lost == [LinkLost(clean=False, code=4001, text="bye")]


@pytest.mark.parametrize("event", ["made", "message", "paused", "resumed"])
def test_a_receiver_that_fails_loses_its_link_only(
    event: str, logged_failures: LoggedFailures
) -> None:
    """The mistake is logged, the peer hears 1011, and the end is told as ever."""
    pair = Joined(server=Recorder(fails_at=event))
    pair.client.link.send_message(b"x")
    pair.flush()
    if event in ("paused", "resumed"):
        pair.pump.serverIO.producer.pauseProducing()
        if event == "resumed":
            pair.pump.serverIO.producer.resumeProducing()
        pair.flush()
    expected = LinkLost(clean=True, code=1011, text="internal error")
    assert pair.client.lost == [expected]
    assert pair.server.lost == [expected]
    assert len(logged_failures.take(ZeroDivisionError)) == 1


def test_a_receiver_that_fails_at_the_end_is_logged(logged_failures: LoggedFailures) -> None:
    """There is no link left to close."""
    pair = Joined(client=Recorder(fails_at="lost"))
    pair.server.link.close()
    pair.flush()
    assert pair.server.lost == [LinkLost(clean=True, code=1000, text="")]
    assert len(logged_failures.take(ZeroDivisionError)) == 1


def test_a_full_transport_pauses_the_receiver_once() -> None:
    """A transport says so at each write over its mark; the receiver hears each change once."""
    pair = Joined()
    producer = pair.pump.clientIO.producer
    producer.pauseProducing()
    producer.pauseProducing()
    pair.client.link.send_message(b"taken all the same")
    producer.resumeProducing()
    producer.resumeProducing()
    pair.flush()
    assert pair.client.events == ["made", "paused", "resumed"]
    assert pair.server.messages == [b"taken all the same"]


def test_too_big_a_message_ends_the_link_with_1009() -> None:
    """The limit is the receiving end's; the sender hears why."""
    server = Recorder()
    pair = Joined(server=server, max_message_bytes=100)
    pair.server.link.send_message(b"x" * 100)
    pair.server.link.send_message(b"x" * 101)
    pair.server.link.send_message(b"after")
    pair.flush()
    assert pair.client.messages == [b"x" * 100]
    assert [lost.code for lost in pair.client.lost + server.lost] == [1009, 1009]
    assert "payload limit" in server.lost[0].text


def test_masking_is_native_here() -> None:
    """The installed Autobahn has its compiled masking."""
    assert websocket.MASKS_NATIVELY is True

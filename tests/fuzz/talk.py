"""A session in talk with a peer that says anything, while its owner does what owners do.

The bytes of a run are steps with a byte between them that msgpack does not use, so that one step can
change and leave the others what they are. A step is a letter, and then a message or a number.
"""

from collections.abc import Callable
from typing import get_args

from mcptunnel.model import RequestHead, ResponseHead
from mcptunnel.wire import events
from mcptunnel.wire.codec import Decoder
from mcptunnel.wire.constants import MAX_MESSAGE_BYTES, ErrorCode, Role
from mcptunnel.wire.errors import GoingAway, RemoteProtocolError, TooManyStreams
from mcptunnel.wire.lifecycle import SessionState
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Limits, Settings

REQUEST = RequestHead("files", "POST", "/mcp")
SMALL = Settings(window_bytes=2048, max_streams=4, max_data_bytes=512, replay_bytes=4096)
PEER_LIMITS = Limits(window_bytes=1024, max_streams=4)
_EVENTS = get_args(events.Event)


BETWEEN = b"\xc1"


def said(message: bytes) -> bytes:
    """Return the step in which the peer says a message."""
    return b"M" + message + BETWEEN


def step(letter: bytes, number: int = 0) -> bytes:
    """Return another step: Open and send, Resume, let Time pass, Go away, Send what waits."""
    return letter + number.to_bytes(2, "big") + BETWEEN


class Owner:
    """A session, and one who answers all that it tells."""

    def __init__(self, role: Role) -> None:
        self.now_s = 0.0
        self.session = Session(role, SMALL, PEER_LIMITS, self.now_s)

    def message(self, message: bytes) -> None:
        self.session.receive(message, self.now_s)
        self._answer()

    def open(self, count_bytes: int) -> None:
        try:
            stream_id = self.session.open(REQUEST)
        except (GoingAway, TooManyStreams):
            return
        self.session.send_data(stream_id, bytes(count_bytes))
        if count_bytes % 2:
            self.session.send_end(stream_id)

    def resume(self, peer_received_count: int) -> None:
        if self.session.state is not SessionState.CLOSED:
            self.session.suspend()
            self.session.resume(peer_received_count, self.now_s)

    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        self.session.tick(self.now_s)
        self._answer()

    def go_away(self, _number: int) -> None:
        self.session.goaway(ErrorCode.SHUTDOWN, "stopping")

    def send(self, _number: int = 0) -> None:
        """Send all that may be sent: it has to be what the protocol allows."""
        while (message := self.session.message_to_send()) is not None:
            assert len(message) <= MAX_MESSAGE_BYTES
            assert Decoder().decode(message)
        self._answer()

    def _answer(self) -> None:
        session = self.session
        for event in session.take_events():
            assert isinstance(event, _EVENTS), event
            match event:
                case events.StreamOpened(stream_id=stream_id, head=head):
                    session.send_head(stream_id, ResponseHead(200))
                    session.send_data(stream_id, head.path.encode())
                    session.send_end(stream_id)
                case events.DataReceived(stream_id=stream_id, data=data):
                    session.consumed(stream_id, len(data))
                case events.HeadReceived(stream_id=stream_id, head=response):
                    if response.status >= 500:
                        session.reset(stream_id, ErrorCode.CANCEL)
                case events.PeerSilent():
                    session.suspend()


def talk(data: bytes) -> None:
    """Run the steps; the first byte says who we are. Raises whatever a session may not raise."""
    owner = Owner(Role.AGENT if data[:1] == b"A" else Role.RELAY)
    steps: dict[bytes, Callable[[int], None]] = {
        b"O": owner.open,
        b"R": owner.resume,
        b"T": owner.wait,
        b"G": owner.go_away,
        b"S": owner.send,
    }
    try:
        for said_or_done in data[1:].split(BETWEEN):
            letter, rest = said_or_done[:1], said_or_done[1:]
            if letter == b"M":
                owner.message(rest)
            elif letter in steps:
                steps[letter](int.from_bytes(rest[:2], "big"))
    except RemoteProtocolError:
        assert owner.session.state is SessionState.CLOSED
    owner.send()
    owner.session.lost()
    owner.send()
    assert not owner.session.stream_count

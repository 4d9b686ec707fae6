"""All streams of a session: what we may do to them, and what arrives for them.

Two rules keep both sides calm about frames that cross on the way. What arrives for a stream that is
gone is ignored, and what we send to a stream that is gone is dropped: the other side's RESET, or ours,
has made it moot. Only an id that was never opened is an error.
"""

from collections.abc import Callable
from typing import Any

from mcptunnel.model import Outcome, RequestHead, ResponseHead
from mcptunnel.wire import events
from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import KIB, ErrorCode, Role
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError, TooManyStreams
from mcptunnel.wire.fields import fitted
from mcptunnel.wire.floods import LEAST_CREDIT_BYTES, SPLINTER_BYTES, Floods
from mcptunnel.wire.frames import Data, End, Head, Open, Reset, Window
from mcptunnel.wire.scheduler import Outbox, Scheduler
from mcptunnel.wire.settings import Limits, Settings
from mcptunnel.wire.streams import HalfState, HalfStep, Stream, StreamTable
from mcptunnel.wire.windows import Growth, ReceiveWindow

FIRST_CREDIT_BYTES = 64 * 1024 * KIB
"""The most that we take of the credit with which a peer lets a stream begin; no honest one has more."""


class Exchanges:
    """The streams of one session, on one side of it.

    `peer_limits` is what the peer said it accepts; `refusing` is set once new streams of the peer are to be
    refused; `steps` says what each type of stream frame does. `short_data` has the streams with DATA of a
    few bytes in this message; it is to be cleared for the next.
    """

    def __init__(
        self,
        role: Role,
        settings: Settings,
        peer_limits: Limits,
        scheduler: Scheduler,
        floods: Floods,
        emit: Callable[[events.Event], None],
    ) -> None:
        self.refusing = False
        self.short_data: set[int] = set()
        self.steps: dict[type[Any], Callable[[Any], None]] = {
            Open: self._on_open,
            Head: self._on_head,
            Data: self._on_data,
            End: self._on_end,
            Reset: self._on_reset,
            Window: self._on_window,
        }
        self._settings = settings
        self._peer_limits = peer_limits
        self._first_credit_bytes = min(peer_limits.window_bytes, FIRST_CREDIT_BYTES)
        self._scheduler = scheduler
        self._floods = floods
        self._emit = emit
        self.table = StreamTable(role)
        self._growth = Growth(settings.grown_window_bytes)

    # What we do.

    def open(self, head: RequestHead) -> int:
        """Open a stream and return its id. Raises TooManyStreams, LocalProtocolError."""
        table = self.table
        if table.own_count >= min(self._peer_limits.max_streams, self._settings.max_streams):
            raise TooManyStreams(
                f"{table.own_count} streams are open, which is all that both sides accept"
            )
        if not self._floods.may_open:
            raise TooManyStreams("too many streams were dropped before they were answered")
        stream_id = table.next_own_id
        self._scheduler.put_control(encode(Open(stream_id, head)))
        self._add(stream_id, ours=True)
        return stream_id

    def send_head(self, stream_id: int, head: ResponseHead) -> None:
        stream = self._for_sending(stream_id)
        if stream is not None:
            encoded = encode(Head(stream_id, head))
            stream.send(HalfStep.HEAD)
            self._scheduler.put_control(encoded)

    def send_data(self, stream_id: int, data: bytes) -> None:
        stream = self._for_sending(stream_id)
        if stream is not None:
            stream.send(HalfStep.DATA)
            if data:
                stream.outbox.put(data)
                self._scheduler.wake(stream.outbox)

    def send_end(self, stream_id: int) -> None:
        stream = self._for_sending(stream_id)
        if stream is not None:
            stream.send(HalfStep.END)
            stream.outbox.put_end()
            self._scheduler.wake(stream.outbox)

    def reset(self, stream_id: int, code: ErrorCode, text: str) -> None:
        stream = self._take_out(stream_id)
        if stream is None or self._scheduler.retract(stream_id):
            return
        self._count_if_unanswered(stream)
        self._scheduler.put_control(encode(Reset(stream_id, code, fitted(text))))

    def consumed(self, stream_id: int, count_bytes: int) -> None:
        stream = self.table.get(stream_id)
        if stream is None:
            return
        credit_bytes = stream.window.consumed(count_bytes)
        if credit_bytes and stream.receiving is not HalfState.ENDED:
            self._scheduler.put_control(encode(Window(stream_id, credit_bytes)))

    def unsent_bytes(self, stream_id: int) -> int:
        stream = self.table.get(stream_id)
        return 0 if stream is None else stream.outbox.unsent_bytes

    # What became of it.

    def handed_out(self, outboxes: list[Outbox]) -> None:
        """Take note of the outboxes that ended or drained with a message."""
        for outbox in outboxes:
            if outbox.drained:
                outbox.drained = False
                self._emit(events.StreamDrained(outbox.stream_id))
            self._forget_if_finished(outbox.stream_id)

    def lose_above(self, last_stream_id: int) -> None:
        """Give up our streams above an id: the peer said that it never looked at them."""
        for stream_id in self.table.own_above(last_stream_id):
            self._remove(stream_id)
            self._emit(events.StreamLost(stream_id, Outcome.NOT_DELIVERED))

    def lose_all(self, handed_count: int) -> None:
        """Give up all streams: the session is over. Frames above the number did not arrive."""
        for stream in self.table.live():
            self._remove(stream.stream_id)
            outcome = _outcome(stream, handed_count)
            self._emit(events.StreamLost(stream.stream_id, outcome))

    # What arrives.

    def _on_open(self, frame: Open) -> None:
        self.table.claim_peer_id(frame.stream_id)
        self._floods.opening()
        if self.refusing:
            self._refuse(frame.stream_id, "no new streams: going away")
        elif self.table.peer_count >= self._settings.max_streams:
            self._refuse(frame.stream_id, "too many streams")
        else:
            self._add(frame.stream_id, ours=False)
            self._emit(events.StreamOpened(frame.stream_id, frame.head))

    def _on_head(self, frame: Head) -> None:
        stream = self._for_receiving(frame.stream_id)
        if stream is not None:
            stream.receive(HalfStep.HEAD)
            self._emit(events.HeadReceived(frame.stream_id, frame.head))

    def _on_data(self, frame: Data) -> None:
        stream = self._for_receiving(frame.stream_id)
        if stream is not None:
            stream.receive(HalfStep.DATA)
            stream.window.received(len(frame.data))
            if len(frame.data) < SPLINTER_BYTES:
                self._count_if_splinter(frame.stream_id)
            self._emit(events.DataReceived(frame.stream_id, frame.data))

    def _on_end(self, frame: End) -> None:
        stream = self._for_receiving(frame.stream_id)
        if stream is not None:
            stream.receive(HalfStep.END)
            self._emit(events.EndReceived(frame.stream_id))
            self._forget_if_finished(frame.stream_id)

    def _on_reset(self, frame: Reset) -> None:
        stream = self._for_receiving(frame.stream_id)
        if stream is not None:
            self._take_out(frame.stream_id)
            self._scheduler.retract(frame.stream_id)
            self._count_if_unanswered(stream)
            self._emit(events.StreamReset(frame.stream_id, frame.code, frame.text))

    def _on_window(self, frame: Window) -> None:
        stream = self._for_receiving(frame.stream_id)
        if stream is not None:
            window = stream.outbox.window
            if (
                frame.credit_bytes < LEAST_CREDIT_BYTES
                or window.credit_bytes >= self._first_credit_bytes
            ):
                self._floods.idle()
            window.grant(frame.credit_bytes)
            self._scheduler.wake(stream.outbox)

    def _count_if_splinter(self, stream_id: int) -> None:
        if stream_id in self.short_data:
            self._floods.idle()
        self.short_data.add(stream_id)

    def _count_if_unanswered(self, stream: Stream) -> None:
        answering = stream.receiving if stream.ours else stream.sending
        if answering is HalfState.AWAITING_HEAD:
            self._floods.unanswered(ours=stream.ours)

    def _refuse(self, stream_id: int, text: str) -> None:
        self._floods.unanswered(ours=False)
        self._scheduler.put_control(encode(Reset(stream_id, ErrorCode.REFUSED_STREAM, text)))

    # The table.

    def _add(self, stream_id: int, *, ours: bool) -> None:
        outbox = Outbox(stream_id, self._first_credit_bytes)
        window = ReceiveWindow(self._settings.window_bytes, self._growth)
        self.table.add(Stream(stream_id, ours, outbox, window))

    def _remove(self, stream_id: int) -> Stream | None:
        self._scheduler.drop(stream_id)
        return self._take_out(stream_id)

    def _take_out(self, stream_id: int) -> Stream | None:
        stream = self.table.remove(stream_id)
        if stream is not None:
            stream.window.close()
        return stream

    def _forget_if_finished(self, stream_id: int) -> None:
        stream = self.table.get(stream_id)
        if stream is not None and stream.finished:
            self._remove(stream_id)

    def _for_sending(self, stream_id: int) -> Stream | None:
        stream = self.table.get(stream_id)
        if stream is None and not self.table.existed(stream_id):
            raise LocalProtocolError(f"stream {stream_id} was never opened")
        return stream

    def _for_receiving(self, stream_id: int) -> Stream | None:
        stream = self.table.get(stream_id)
        if stream is None and not self.table.existed(stream_id):
            raise RemoteProtocolError(
                ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} was never opened"
            )
        if stream is None:
            self._floods.idle()
        return stream


def _outcome(stream: Stream, handed_count: int) -> Outcome:
    """Whether the exchange of a lost stream may have run.

    The peer cannot have had the whole request if its END was not handed out, or if the peer proved at a
    resume that it had not received it and it was not handed out again since. Yet an answer that had
    begun shows that somebody acted on a part of it.
    """
    untouched = stream.receiving is HalfState.AWAITING_HEAD
    end_count = stream.outbox.end_count
    if stream.ours and untouched and not 0 < end_count <= handed_count:
        return Outcome.NOT_DELIVERED
    return Outcome.UNKNOWN

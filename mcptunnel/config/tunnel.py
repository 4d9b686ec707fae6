"""The `[tunnel]` section, the same on both sides: heartbeat, flow control and resume."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from mcptunnel.config.errors import Complaint
from mcptunnel.config.schema import Bounds, Option

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelConfig:
    """How one side of a tunnel session behaves; the two sides need not agree."""

    ping_after_s: Annotated[
        float,
        Option("Send a ping after so many seconds without a frame.", Bounds(least=0.1, most=3600)),
    ] = 20.0
    dead_after_s: Annotated[
        float,
        Option("Give up a link that was silent for so many seconds.", Bounds(least=1, most=7200)),
    ] = 45.0
    window_bytes: Annotated[
        int,
        Option(
            "Bytes of one stream that may be on their way to this side, at first.",
            Bounds(least=32 * KIB, most=64 * MIB),
        ),
    ] = 256 * KIB
    grown_window_bytes: Annotated[
        int,
        Option(
            "The same for a stream that is read quickly, 16 MiB more for all; 0 lets none grow.",
            Bounds(least=0, most=64 * MIB),
        ),
    ] = 2 * MIB
    max_streams: Annotated[
        int,
        Option("Streams that may be open at once on one session.", Bounds(least=1, most=65536)),
    ] = 256
    replay_bytes: Annotated[
        int,
        Option(
            "Bytes that are sent and not yet acknowledged; at that, sending waits.",
            Bounds(least=64 * KIB, most=64 * MIB),
        ),
    ] = 4 * MIB
    resume_window_s: Annotated[
        float,
        Option(
            "Keep open calls for so many seconds without a link; 0 ends them with the link.",
            Bounds(least=0, most=3600),
        ),
    ] = 60.0
    closed_link_window_s: Annotated[
        float,
        Option(
            "The same on a relay if the link was closed, not silent; never longer than that.",
            Bounds(least=0, most=3600),
        ),
    ] = 10.0
    drain_s: Annotated[
        float,
        Option(
            "Seconds that open calls have to finish when the program is stopped.",
            Bounds(least=0, most=3600),
        ),
    ] = 30.0

    @staticmethod
    def rules(values: Mapping[str, Any]) -> Iterator[Complaint]:
        """Complain about fields that contradict each other."""
        ping, dead = values.get("ping_after_s"), values.get("dead_after_s")
        if ping is not None and dead is not None and dead <= ping:
            yield Complaint(
                "dead_after_s",
                f"{dead:g} s is not longer than ping_after_s ({ping:g} s)",
                "Leave time for the answer to a ping.",
            )

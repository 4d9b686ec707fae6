"""Two sessions joined by hand."""

from mcptunnel.model import RequestHead
from mcptunnel.wire.codec import Decoder, encode
from mcptunnel.wire.constants import Role
from mcptunnel.wire.events import Event
from mcptunnel.wire.frames import Frame, Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

HELLO = Hello("installation", "laptop", "1.0")
WELCOME = Welcome("session", "laptop")
REQUEST = RequestHead("files", "POST", "/mcp", (("content-type", "application/json"),))


def carry(source: Session, sink: Session, now_s: float = 0.0) -> list[Event]:
    """Carry all that `source` has to say, and return what `sink` made of it."""
    while (message := source.message_to_send()) is not None:
        sink.receive(message, now_s)
    return sink.take_events()


def joined(
    relay_settings: Settings | None = None, agent_settings: Settings | None = None
) -> tuple[Session, Session]:
    """Return a relay and an agent that have greeted each other, and know how far apart they are."""
    relay, agent = relay_settings or Settings(), agent_settings or Settings()
    sessions = (
        Session(Role.RELAY, relay, agent.limits, 0.0),
        Session(Role.AGENT, agent, relay.limits, 0.0),
    )
    for session in sessions:
        session.tick(0.0)
    exchange_all(*sessions)
    return sessions


def exchange_all(relay: Session, agent: Session, now_s: float = 0.0) -> list[Event]:
    """Carry what both sides have to say, until they have no more; return all events."""
    found: list[Event] = []
    quiet = 0
    while quiet < len((relay, agent)):
        for source, sink in ((relay, agent), (agent, relay)):
            message = source.message_to_send()
            quiet = quiet + 1 if message is None else 0
            if message is not None:
                sink.receive(message, now_s)
                found += sink.take_events()
    return found


def said(session: Session) -> list[Frame]:
    """Return the frames that a session has to send."""
    found: list[Frame] = []
    while (message := session.message_to_send()) is not None:
        found.extend(Decoder().decode(message))
    return found


def message(*frames: Frame) -> bytes:
    """Return one message of these frames."""
    return b"".join(encode(frame) for frame in frames)


def stream_between(relay: Session, agent: Session) -> int:
    """Let the relay open a stream that the agent knows of."""
    stream_id = relay.open(REQUEST)
    carry(relay, agent)
    return stream_id

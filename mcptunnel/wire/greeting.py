"""The greeting on one link: the first message each way, before the link is joined to a session.

    OPENING --HELLO--> GREETED --WELCOME--> DONE

HELLO and WELCOME travel alone in their messages, so that what follows belongs to the session, be it
a new one or an old one. Instead of WELCOME the relay may send GOAWAY. The table does not know which
side we are: both sides go through the same states.
"""

from dataclasses import replace
from enum import Enum

from mcptunnel.wire.codec import encode, shared_decoder
from mcptunnel.wire.constants import PROTOCOL_VERSION, ErrorCode, Role
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.fields import fitted
from mcptunnel.wire.frames import Goaway, Hello, Welcome
from mcptunnel.wire.settings import Settings


class GreetingState(Enum):
    OPENING = "opening"
    GREETED = "greeted"
    DONE = "done"


class GreetingStep(Enum):
    HELLO = "HELLO"
    WELCOME = "WELCOME"


_AFTER = {
    (GreetingState.OPENING, GreetingStep.HELLO): GreetingState.GREETED,
    (GreetingState.GREETED, GreetingStep.WELCOME): GreetingState.DONE,
}


class Greeting:
    """One side of the greeting on one link. Methods that say something return the message."""

    __slots__ = ("_role", "_settings", "state")

    def __init__(self, role: Role, settings: Settings) -> None:
        self.state = GreetingState.OPENING
        self._role = role
        self._settings = settings

    def hello(self, hello: Hello) -> bytes:
        """Introduce ourselves. Versions and limits are filled in.

        Raises LocalProtocolError on a relay, and the second time.
        """
        own = replace(hello, versions=(PROTOCOL_VERSION,), limits=self._settings.limits)
        return self._say(own, Role.AGENT, GreetingStep.HELLO)

    def welcome(self, welcome: Welcome) -> bytes:
        """Answer HELLO. Version and limits are filled in.

        Raises LocalProtocolError on an agent, before HELLO, and the second time.
        """
        own = replace(welcome, version=PROTOCOL_VERSION, limits=self._settings.limits)
        return self._say(own, Role.RELAY, GreetingStep.WELCOME)

    @staticmethod
    def refusal(code: ErrorCode, text: str, retry_after_s: float = 0.0) -> bytes:
        """Return the GOAWAY of a relay that refuses, or of a side that could not read the other."""
        return encode(Goaway(0, code, fitted(text), retry_after_s))

    def receive(self, message: bytes) -> Hello | Welcome | Goaway:
        """Take the peer's part of the greeting: HELLO (relay), WELCOME or GOAWAY (agent).

        Raises RemoteProtocolError for anything else; `refusal` with its code is to be sent.
        """
        frame, *more = shared_decoder(self._settings.max_message_bytes).decode(message)
        if more:
            raise RemoteProtocolError(ErrorCode.PROTOCOL_ERROR, "a greeting travels alone")
        match frame:
            case Hello(versions=versions) if self._role is Role.RELAY:
                self._be_greeted(GreetingStep.HELLO, versions)
                return frame
            case Welcome(version=version) if self._role is Role.AGENT:
                self._be_greeted(GreetingStep.WELCOME, (version,))
                return frame
            case Goaway() if self._role is Role.AGENT:
                return frame
        name = type(frame).__name__.upper()
        raise RemoteProtocolError(ErrorCode.PROTOCOL_ERROR, f"{name} before HELLO and WELCOME")

    def _say(self, frame: Hello | Welcome, sender: Role, step: GreetingStep) -> bytes:
        encoded = encode(frame)
        if self._role is not sender or not self._advance(step):
            raise LocalProtocolError(f"{step.value} cannot be sent: {self.state.value}")
        return encoded

    def _be_greeted(self, step: GreetingStep, versions: tuple[int, ...]) -> None:
        if not self._advance(step):
            raise RemoteProtocolError(ErrorCode.PROTOCOL_ERROR, f"{step.value} out of order")
        if PROTOCOL_VERSION not in versions:
            raise RemoteProtocolError(
                ErrorCode.UNSUPPORTED_VERSION, f"only version {PROTOCOL_VERSION} is spoken here"
            )

    def _advance(self, step: GreetingStep) -> bool:
        state = _AFTER.get((self.state, step))
        if state is None:
            return False
        self.state = state
        return True

"""`auth.mode = "none"`: everybody who reaches the relay is one user."""

from collections.abc import Callable
from typing import Final

from mcptunnel.auth.keys import Scope
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.access import Access, holder
from mcptunnel.relay.in_use import InUse
from mcptunnel.relay.web.bearer import Answer, Gate, refuse_too_many
from mcptunnel.relay.web.request import RelayRequest

OWNER: Final = Principal(LOCAL_ISSUER, "owner")

_EVERYBODY: Final = "everybody"
EVERYBODYS: Final = Access(OWNER, holder(_EVERYBODY), _EVERYBODY, _EVERYBODY, tuple(Scope))


class OpenGate(Gate):
    """Lets every request pass, whatever token it brings."""

    def __init__(self, in_use: InUse) -> None:
        self._in_use = in_use

    def admit(self, http: RelayRequest, passed: Callable[[RelayRequest, Access], object]) -> None:
        if not self._in_use.has_room(OWNER):
            refuse_too_many(http)
            return
        http.let_in(EVERYBODYS, self._in_use)
        passed(http, EVERYBODYS)

    def take(self, http: RelayRequest, access: Access, body: bytes, answer: Answer) -> None:
        answer(http, access, body)

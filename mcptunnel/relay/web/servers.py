"""The endpoints of single servers, whose names are parts of the path."""

from collections.abc import Callable, Sequence

from twisted.web.resource import Resource

from mcptunnel.relay.access import Access
from mcptunnel.relay.places import Address
from mcptunnel.relay.web.bearer import Gate
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.not_found import NotFound
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.root import Gated

ServerAnswer = Callable[[RelayRequest, Access, Address], object]
"""Answers a request to one server that was let in; its body is still to come."""


class Servers(Resource):
    """Everything below one path; `read` makes an address of what follows it, or None."""

    isLeaf = True

    def __init__(
        self,
        guard: Guard,
        gate: Gate,
        read: Callable[[Sequence[str]], Address | None],
        answer: ServerAnswer,
    ) -> None:
        super().__init__()
        self._guard = guard
        self._gate = gate
        self._read = read
        self._answer = answer

    def render(self, request: RelayRequest) -> int:
        address = self._read([part.decode("utf-8", "replace") for part in request.postpath or ()])
        request.postpath = []
        return _OneServer(self._guard, self._gate, self._answer, address).render(request)


class _OneServer(Gated):
    """The endpoint of one server; who asks at no address at all learns so when he was let in."""

    def __init__(
        self, guard: Guard, gate: Gate, answer: ServerAnswer, address: Address | None
    ) -> None:
        super().__init__(guard, gate)
        self._answer = answer
        self._address = address

    def _admitted(self, request: RelayRequest, access: Access) -> None:
        if self._address is None:
            NotFound(_hint(request.path)).render(request)
            return
        try:
            self._answer(request, access, self._address)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            request.failed()


def _hint(path: bytes) -> str:
    """Return what to tell who only wrote a slash too many, or ""."""
    return f"Did you mean {path[:-1].decode('latin-1')}?" if path.endswith(b"/mcp/") else ""

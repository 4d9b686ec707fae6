"""The relay's resource tree."""

from abc import abstractmethod
from functools import partial

from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mcptunnel.relay.access import Access
from mcptunnel.relay.web.answers import error_body, send_body
from mcptunnel.relay.web.bearer import Answer, Gate
from mcptunnel.relay.web.cors import answer_preflight, is_preflight, let_read
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.not_found import NotFound
from mcptunnel.relay.web.request import RelayRequest


class Gated(Resource):
    """One endpoint for programs: Host and Origin are checked, then the token, then it is `admitted`."""

    isLeaf = True

    def __init__(self, guard: Guard, gate: Gate) -> None:
        super().__init__()
        self._guard = guard
        self._gate = gate

    def render(self, request: RelayRequest) -> int:
        if request.postpath:
            return self._not_here(request).render(request)
        origin = single(request, b"origin")
        refusal = self._guard.refusal(single(request, b"host"), origin)
        if refusal is not None:
            status, message = refusal
            return send_body(request, status, error_body(-32600, message))
        if origin is not None:
            let_read(request, origin.encode("latin-1"))
            if is_preflight(request):
                return answer_preflight(request)
        self._gate.admit(request, self._admitted)
        return NOT_DONE_YET

    def _not_here(self, request: RelayRequest) -> NotFound:
        """Return the answer for a path below; who only wrote a slash too many is told so."""
        if request.postpath != [b""]:
            return NotFound()
        return NotFound(f"Did you mean /{b'/'.join(request.prepath or ()).decode('latin-1')}?")

    @abstractmethod
    def _admitted(self, request: RelayRequest, access: Access) -> None:
        """Answer a request that was let in; its body is still to come."""


class Guarded(Gated):
    """An endpoint that reads the body whole before it answers."""

    def __init__(self, guard: Guard, gate: Gate, answer: Answer) -> None:
        super().__init__(guard, gate)
        self._answer = answer

    def _admitted(self, request: RelayRequest, access: Access) -> None:
        request.read_body(partial(self._take, request, access))

    def _take(self, request: RelayRequest, access: Access, body: bytes) -> None:
        self._gate.take(request, access, body, self._answer)


class Root(Resource):
    """Everything below the public URL."""

    def __init__(self, index: Resource) -> None:
        super().__init__()
        self.putChild(b"", index)

    def getChild(self, path: bytes, request: Request) -> Resource:
        return NotFound()


def single(request: Request, name: bytes) -> str | None:
    """Return a header that may stand once; several together are a value that nobody allows."""
    values = request.requestHeaders.getRawHeaders(name)
    return None if not values else b",".join(values).decode("latin-1")

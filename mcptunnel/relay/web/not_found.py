"""The answer wherever there is nothing."""

from twisted.web.http import Request
from twisted.web.resource import Resource

from mcptunnel.relay.web.answers import send_json


class NotFound(Resource):
    """404, as JSON like every other error."""

    isLeaf = True

    def __init__(self, hint: str = "", code: str = "not_found") -> None:
        super().__init__()
        self._code = code
        self._description = " ".join(filter(None, ("There is nothing at this path.", hint)))

    def render(self, request: Request) -> int:
        told = {"error": self._code, "error_description": self._description}
        return send_json(request, 404, told)

"""The answer wherever there is nothing."""

from twisted.web.http import Request
from twisted.web.resource import Resource

from mcptunnel.relay.web.answers import send_json


class NotFound(Resource):
    """404, as JSON like every other error."""

    isLeaf = True

    def render(self, request: Request) -> int:
        return send_json(
            request,
            404,
            {"error": "not_found", "error_description": "There is nothing at this path"},
        )

"""`/.well-known/…`: what clients find out by themselves (RFC 8414, RFC 9728, OpenID Connect Discovery 1.0)."""

from typing import Any, ClassVar, Final

from mcptunnel.auth.issuer import Endpoint
from mcptunnel.auth.metadata import (
    AUTHORIZATION_SERVER,
    NO_KEYS,
    OPENID_CONFIGURATION,
    PROTECTED_RESOURCE,
    authorization_server,
    openid_configuration,
    protected_resource,
)
from mcptunnel.auth.resources import endpoint_path
from mcptunnel.relay.web.answers import send_json
from mcptunnel.relay.web.oauth.programs import ForPrograms, error_answer
from mcptunnel.relay.web.oauth.surroundings import OAuthWeb
from mcptunnel.relay.web.request import RelayRequest

_FRESH: Final = {b"cache-control": b"max-age=300"}


class WellKnown(ForPrograms):
    """Everything below `/.well-known`."""

    methods: ClassVar = (b"GET", b"HEAD")
    takes_paths: ClassVar = True

    def __init__(self, web: OAuthWeb) -> None:
        super().__init__(web)
        settings = web.server.settings
        self._issuer = settings.issuer
        self._origin_wide = settings.origin_wide
        self._servers = {
            AUTHORIZATION_SERVER: authorization_server(settings.issuer, settings.features),
            OPENID_CONFIGURATION: openid_configuration(settings.issuer, settings.features),
        }

    def answer(self, request: RelayRequest) -> object:
        document = self._document(request.path.decode("latin-1"))
        if document is None:
            return error_answer(404, "There is nothing at this path")(request)
        return send_json(request, 200, document, headers=_FRESH)

    def _document(self, path: str) -> dict[str, Any] | None:
        if path == Endpoint.JWKS:
            return NO_KEYS
        for start, document in self._servers.items():
            below = _below(path, start)
            # Clients look for the server of an endpoint's path, too.
            if below is not None and (below in ("", "/") or endpoint_path(below) is not None):
                return document
        below = _below(path, PROTECTED_RESOURCE)
        if below is None:
            return None
        return protected_resource(self._issuer, below, origin_wide=self._origin_wide)


def _below(path: str, start: str) -> str | None:
    """Return what follows the start of a path, "" or with a slash; None if it starts otherwise."""
    rest = path.removeprefix(start)
    return rest if path.startswith(start) and rest[:1] in ("", "/") else None

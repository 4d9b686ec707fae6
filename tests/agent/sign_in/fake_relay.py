"""A relay on a port of this machine that agents sign in at; strict, and it remembers everything."""

import json
from typing import Any
from urllib.parse import urlencode

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID, AGENT_REDIRECTS
from mcptunnel.auth.pkce import verifies
from mcptunnel.auth.redirects import is_registered
from mcptunnel.auth.tokens import TokenKind
from mcptunnel.net.upgrade import upgrade
from tests.agent import the_reactor
from tests.agent.relay_end import RelayEnd
from tests.agent.sign_in import metadata, refresh, token, token_answer

DEVICE_CODE = token(TokenKind.DEVICE_CODE, 1)


class FakeRelay(Resource):
    """Answers all paths. Everyone is signed in at once, unless `denial` says otherwise."""

    isLeaf = True

    def __init__(self, port: int, tls: Any = None) -> None:
        super().__init__()
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self.end = RelayEnd(the_reactor())
        self.denial = ""
        self.pending_polls = 1
        self.token_status = 200
        self.tunnel_status = 101
        self.lifetime_s = 3600
        self.user = "Ada 🦄"
        self.issued = 0
        self.live = ""
        self.bearers: list[str | None] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._codes: dict[str, dict[str, str]] = {}
        site = Site(self, timeout=None)
        site.noisy = False
        reactor, where = the_reactor(), "127.0.0.1"
        self._listening: Any = (
            reactor.listenSSL(port, site, tls, interface=where)
            if tls
            else reactor.listenTCP(port, site, interface=where)
        )

    async def stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.stopListening()

    def revoke(self) -> None:
        """End the grant; a link that is up is not touched."""
        self.live = ""

    def forms_at(self, path: str) -> list[dict[str, str]]:
        return [form for where, form in self.forms if where == path]

    def render(self, request: Any) -> int:
        path = request.path.decode()
        form = {name.decode(): values[0].decode() for name, values in request.args.items()}
        self.forms.append((path, form))
        if path == "/tunnel":
            return self._tunnel(request)
        if path == "/authorize":
            return self._authorize(request, form)
        answers = {
            "/.well-known/oauth-authorization-server": lambda _form: metadata(self.origin),
            "/token": self._token,
            "/revoke": self._revoked,
            "/device_authorization": self._device,
        }
        members = answers[path](form)
        request.setResponseCode(400 if "error" in members else 200)
        if path == "/token" and self.token_status != 200:
            request.setResponseCode(self.token_status)
        request.setHeader(b"content-type", b"application/json")
        request.write(json.dumps(members).encode())
        request.finish()
        return NOT_DONE_YET

    def _tunnel(self, request: Any) -> int:
        self.bearers.append(request.getHeader("authorization"))
        if self.tunnel_status == 101:
            upgrade(request, self.end.taken_in(), reactor=the_reactor())
        else:
            request.setResponseCode(self.tunnel_status)
            request.setHeader(b"www-authenticate", b'Bearer error="invalid_token"')
            request.finish()
        return NOT_DONE_YET

    def _authorize(self, request: Any, form: dict[str, str]) -> int:
        assert form["client_id"] == AGENT_CLIENT_ID
        assert is_registered(AGENT_REDIRECTS, form["redirect_uri"])
        assert form["resource"] == f"{self.origin}/tunnel"
        assert form["scope"] == "agent offline_access"
        code = token(TokenKind.CODE, len(self._codes))
        self._codes[code] = form
        answer = {"error": self.denial} if self.denial else {"code": code}
        query = urlencode({**answer, "state": form["state"], "iss": self.origin})
        request.redirect(f"{form['redirect_uri']}?{query}".encode())
        request.finish()
        return NOT_DONE_YET

    def _token(self, form: dict[str, str]) -> dict[str, object]:
        assert form["client_id"] == AGENT_CLIENT_ID
        match form["grant_type"]:
            case "authorization_code":
                asked = self._codes.pop(form["code"])
                assert verifies(form["code_verifier"], asked["code_challenge"])
                assert form["redirect_uri"] == asked["redirect_uri"]
            case "refresh_token":
                if form["refresh_token"] != self.live:
                    return {"error": "invalid_grant", "error_description": "It is not valid"}
            case _:
                assert form["device_code"] == DEVICE_CODE
                self.pending_polls -= 1
                if self.pending_polls >= 0:
                    return {"error": "authorization_pending"}
                if self.denial:
                    return {"error": self.denial}
        self.issued += 1
        self.live = refresh(self.issued)
        return token_answer(self.issued, expires_in=self.lifetime_s, user=self.user)

    def _revoked(self, form: dict[str, str]) -> dict[str, object]:
        if form["token"] == self.live:
            self.live = ""
        return {}

    def _device(self, form: dict[str, str]) -> dict[str, object]:
        assert form["resource"] == f"{self.origin}/tunnel"
        return {
            "device_code": DEVICE_CODE,
            "user_code": "BCDF-GHJK",
            "verification_uri": f"{self.origin}/device",
            "expires_in": 600,
            "interval": 1,
        }

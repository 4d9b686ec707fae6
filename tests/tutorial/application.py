"""An AI application that is given the URL alone: it finds out where to sign in, and registers."""

import hashlib
import json
import re
import ssl
import urllib.request
from base64 import urlsafe_b64encode
from email.message import Message
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.programs.browser import PersonsBrowser
from tests.programs.client import TIMEOUT_S, Json

CALLBACK = "https://app.example/callback"
NAME = "Tutorial App"
VERIFIER = "v" * 64
_METADATA = "oauth-authorization-server"


class Application:
    """One application at one MCP endpoint."""

    def __init__(self, mcp_url: str, tls: ssl.SSLContext) -> None:
        self._url = mcp_url
        self._tls = tls

    def sign_in(self, browser: PersonsBrowser) -> Json:
        """Send a person who is signed in to the consent page; return the tokens."""
        resource = self._resource()
        server = resource["authorization_servers"][0]
        about = self._json(f"{server}/.well-known/{_METADATA}")
        assert about["issuer"] == server
        registered = {"client_name": NAME, "redirect_uris": [CALLBACK]}
        client_id = self._json(about["registration_endpoint"], json.dumps(registered))["client_id"]
        challenge = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")
        wanted = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
            "state": "s",
            "scope": " ".join(resource["scopes_supported"]),
            "resource": resource["resource"],
        }
        page = browser.open(f"{about['authorization_endpoint']}?{urlencode(wanted)}")
        assert NAME in page.text, page.text
        sent = browser.post("/consent", page.form | {"decision": "allow"})
        assert sent.location.startswith(f"{CALLBACK}?"), sent
        answer = dict(parse_qsl(urlsplit(sent.location).query))
        assert (answer["iss"], answer["state"]) == (server, "s")
        return self._json(
            about["token_endpoint"],
            urlencode(
                {
                    "grant_type": "authorization_code",
                    "client_id": client_id,
                    "code": answer["code"],
                    "code_verifier": VERIFIER,
                    "redirect_uri": CALLBACK,
                }
            ),
            "application/x-www-form-urlencoded",
        )

    def _resource(self) -> Json:
        """Ask without a token, and follow the challenge."""
        status, fields, _ = self._ask(self._url, "{}")
        assert status == 401
        found = re.search(r'resource_metadata="([^"]+)"', fields["www-authenticate"])
        assert found is not None
        resource = self._json(found[1])
        assert resource["resource"] == self._url
        return resource

    def _json(self, url: str, body: str | None = None, kind: str = "application/json") -> Json:
        status, _, text = self._ask(url, body, kind)
        assert status in (200, 201), (url, text)
        found: Json = json.loads(text)
        return found

    def _ask(
        self, url: str, body: str | None = None, kind: str = "application/json"
    ) -> tuple[int, Message, str]:
        assert url.startswith("https://")
        data = None if body is None else body.encode()
        request = urllib.request.Request(url, data, {"content-type": kind})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self._tls) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except HTTPError as refused:
            with refused:
                return refused.code, refused.headers, refused.read().decode()

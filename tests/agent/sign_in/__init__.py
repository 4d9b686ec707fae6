"""Sign-ins; what their tests share: grants, tokens, and a relay in memory that gives them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.agent.sign_in.grant import Grant, Tokens
from mcptunnel.auth.tokens import RANDOM_BYTES, TokenKind, mint
from mcptunnel.config.secret import Secret
from mcptunnel.net.http import Fetched, FetchError, Limits

RELAY = "https://relay.test"


def token(kind: TokenKind, number: int) -> str:
    """Return the token of a kind with this number."""
    return mint(kind, number.to_bytes(RANDOM_BYTES, "big"))


def access(number: int = 1) -> str:
    return token(TokenKind.ACCESS, number)


def refresh(number: int = 1) -> str:
    return token(TokenKind.REFRESH, number)


def grant(
    relay: str = RELAY, number: int = 1, *, received_s: float = 0.0, lifetime_s: float = 3600.0
) -> Grant:
    """Return a grant whose tokens have this number."""
    return Grant(
        relay=relay,
        access_token=Secret(access(number)),
        refresh_token=Secret(refresh(number)),
        received_s=received_s,
        lifetime_s=lifetime_s,
    )


def tokens(number: int, lifetime_s: float = 3600.0) -> Tokens:
    return Tokens(
        access_token=Secret(access(number)),
        refresh_token=Secret(refresh(number)),
        lifetime_s=lifetime_s,
    )


def token_answer(number: int, **other: object) -> dict[str, object]:
    """Return the members of a token endpoint's answer."""
    return {
        "access_token": access(number),
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": refresh(number),
        "scope": "agent offline_access",
        **other,
    }


def metadata(relay: str = RELAY, **other: object) -> dict[str, object]:
    """Return the relay's metadata, as far as an agent reads them."""
    return {
        "issuer": relay,
        "authorization_endpoint": f"{relay}/authorize",
        "token_endpoint": f"{relay}/token",
        "revocation_endpoint": f"{relay}/revoke",
        "device_authorization_endpoint": f"{relay}/device_authorization",
        "authorization_response_iss_parameter_supported": True,
        **other,
    }


def data_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let the user's data be in a folder; return where sign-ins are then."""
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    return folder / "mcptunnel" / "sign-ins"


def refusal(code: str, description: str = "") -> Fetched:
    return answered({"error": code, "error_description": description}, 400)


def answered(
    members: Mapping[str, object] | bytes, status: int = 200, retry_after_s: float | None = None
) -> Fetched:
    """Return an answer: JSON, or these bytes."""
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    return Fetched(
        status=status, media_type="application/json", body=body, retry_after_s=retry_after_s
    )


Answer = Fetched | FetchError | Deferred[Any]


class FakeFetches:
    """A relay in memory (`net.http.Fetches`): gives the next answer, in the end always the last."""

    def __init__(self, *answers: Answer | Callable[[Mapping[str, str]], Answer]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.is_stopped = False

    async def get(
        self, url: str, limits: Limits, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        return await self._answer(url, {})

    async def post(
        self,
        url: str,
        form: Mapping[str, str],
        limits: Limits,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        return await self._answer(url, form)

    async def stop(self) -> None:
        self.is_stopped = True

    async def _answer(self, url: str, form: Mapping[str, str]) -> Fetched:
        self.asked.append((url, dict(form)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(form)
        if isinstance(answer, Deferred):
            answer = await answer
        if isinstance(answer, FetchError):
            raise answer
        return answer

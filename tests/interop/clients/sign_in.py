"""How the Python client drivers sign in: what they keep is in a file, the browser is a program.

`sign_in` in the input is {"name": ..., "kept": FILE, "browser": [argv], "grants": [types], "document_url":
URL or null}. The program gets the URL as its last word and prints where it was sent back to. Every answer
is an event `came`, with its parameters.
Both SDKs have the same names for all of this.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment
import scenario  # type: ignore[import-not-found, unused-ignore]  # beside this script
from mcp.client.auth import (  # type: ignore[import-not-found, unused-ignore]  # as above
    OAuthClientProvider,
)
from mcp.shared import auth as models  # type: ignore[import-not-found, unused-ignore]  # as above

REDIRECT_URI = "http://127.0.0.1:9/callback"
"""Nobody listens there: the program says what would have come."""


class DeniedError(Exception):
    """The answer has no code."""


class Kept:
    """The SDK's storage, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def _read(self) -> dict[str, Any]:
        kept: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}
        return kept

    def _write(self, name: str, model: Any) -> None:
        plain = model.model_dump(mode="json", exclude_none=True)
        self._file.write_text(json.dumps({**self._read(), name: plain}))

    async def get_tokens(self) -> Any:
        kept = self._read().get("tokens")
        return None if kept is None else models.OAuthToken(**kept)

    async def set_tokens(self, tokens: Any) -> None:
        self._write("tokens", tokens)

    async def get_client_info(self) -> Any:
        kept = self._read().get("client")
        return None if kept is None else models.OAuthClientInformationFull(**kept)

    async def set_client_info(self, client_info: Any) -> None:
        self._write("client", client_info)


class Browser:
    """Opens a page, and hears what came back."""

    def __init__(self, argv: list[str]) -> None:
        self._argv = argv
        self._came: dict[str, str] = {}

    async def open(self, url: str) -> None:
        done = await anyio.run_process([*self._argv, url])
        location = done.stdout.decode().strip()
        self._came = dict(parse_qsl(urlsplit(location).query))
        scenario.emit("came", came=self._came)

    async def answer(self) -> Any:
        if "code" not in self._came:
            raise DeniedError(self._came["error"])
        if hasattr(models, "AuthorizationCodeResult"):  # 2.x
            return models.AuthorizationCodeResult(
                code=self._came["code"], state=self._came["state"], iss=self._came["iss"]
            )
        return self._came["code"], self._came["state"]


def auth_of(asked: dict[str, Any]) -> Any:
    """Return what signs the requests of an HTTP client, or None."""
    if "sign_in" not in asked:
        return None
    told, browser = asked["sign_in"], Browser(asked["sign_in"]["browser"])
    metadata = models.OAuthClientMetadata(
        client_name=told["name"],
        redirect_uris=[REDIRECT_URI],
        grant_types=told["grants"],
        response_types=["code"],
    )
    return OAuthClientProvider(
        server_url=asked["url"],
        client_metadata=metadata,
        storage=Kept(Path(told["kept"])),
        redirect_handler=browser.open,
        callback_handler=browser.answer,
        client_metadata_url=told["document_url"],
    )


def denial_in(error: BaseException) -> DeniedError | None:
    """Return the denial that an error is, or that is somewhere in it."""
    if isinstance(error, DeniedError):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for each in (*inner, error.__cause__, error.__context__):
        if each is not None and (found := denial_in(each)):
            return found
    return None

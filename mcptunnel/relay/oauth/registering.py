"""`/register`: clients that make themselves known (RFC 7591; threat 12)."""

import hmac
import json
from typing import Any

from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.json_objects import NotAnObjectError, parse_object
from mcptunnel.auth.registration import MAX_BODY_BYTES, UNUSED_EXPIRY_S, register
from mcptunnel.auth.tokens import RANDOM_BYTES, TokenKind, hash_token
from mcptunnel.relay.oauth.auditing import Event, audit
from mcptunnel.relay.oauth.records import kept_client, registration_answer
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.relay.oauth.throttling import BUSY_S, BusyError
from mcptunnel.store.engine import Transaction
from mcptunnel.store.oauth.clients import Client, Clients

EVICT_AFTER_S = 900.0
"""When there is no room, a client that nobody used for so long makes some.

Nobody takes longer from registering to the consent, and strangers cannot register so many in that time.
"""

_MAX_SHOWN = 5
_MAX_SHOWN_CHARS = 200
"""Of redirects, in the audit log, which strangers must not fill."""


class Registering:
    """Registers clients."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def check_token(self, bearer: str | None) -> None:
        """Raise OAuthError unless whoever registers may: by a token, if one is needed."""
        needed = self._around.settings.registration_token_hash
        if needed is None:
            return
        if bearer is None or not hmac.compare_digest(hash_token(bearer), needed):
            raise OAuthError(ErrorCode.INVALID_TOKEN, "Registering takes a token here")

    async def answer(self, body: bytes, address: str) -> dict[str, Any]:
        """Return the members of the answer. Raises OAuthError, BusyError."""
        now_s = self._around.epoch_s()
        made = register(
            _read(body),
            client_id=self._around.mint(TokenKind.CLIENT_ID).text,
            random=self._around.random(RANDOM_BYTES),
            now_s=now_s,
        )
        new = kept_client(made, now_s=now_s, expires_s=now_s + UNUSED_EXPIRY_S)
        at_most = self._around.settings.max_clients
        shown = [uri[:_MAX_SHOWN_CHARS] for uri in made.client.redirect_uris[:_MAX_SHOWN]]

        def change(connection: Transaction) -> Client | None:
            kept = Clients(connection).register(
                new, at_most=at_most, evict_before_s=now_s - EVICT_AFTER_S
            )
            if kept is not None and kept.id == new.id:
                audit(
                    connection,
                    Event.CLIENT_REGISTERED,
                    at_s=now_s,
                    client=made.client,
                    address=address,
                    detail={"redirect_uris": shown},
                )
            return kept

        kept = await self._around.store.write(change)
        if kept is None:
            raise BusyError("There are too many registered clients at the moment", BUSY_S)
        return dict(made.answer) if kept.id == new.id else registration_answer(kept)


def _read(body: bytes) -> dict[str, Any]:
    try:
        request = parse_object(body, max_bytes=MAX_BODY_BYTES)
        json.dumps(request, ensure_ascii=False).encode()  # fails for half of a surrogate pair
    except (NotAnObjectError, UnicodeEncodeError):
        raise OAuthError(
            ErrorCode.INVALID_CLIENT_METADATA, "The body is not a JSON object in UTF-8"
        ) from None
    return request

"""The device grant (RFC 8628): a program asks for a code, and a person who is signed in decides about it."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.clients import Client
from mcptunnel.auth.device_grants import (
    INTERVAL_S,
    LIFETIME_S,
    USER_CODE_RANDOM_BYTES,
    DeviceGrant,
    device_response,
    typed_user_code,
    user_code,
)
from mcptunnel.auth.grants import FamilyId
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.scopes import in_order
from mcptunnel.auth.token_requests import read_device_request
from mcptunnel.auth.tokens import TokenKind
from mcptunnel.model import Principal
from mcptunnel.relay.oauth.auditing import Event, audit
from mcptunnel.relay.oauth.clients import ClientDirectory
from mcptunnel.relay.oauth.issuing import may_come_in
from mcptunnel.relay.oauth.surroundings import Surroundings
from mcptunnel.relay.oauth.throttling import BUSY_S, BusyError
from mcptunnel.store.engine import Transaction
from mcptunnel.store.oauth.device_codes import DeviceCode, DeviceCodes

MAX_OPENED: Final = 10
"""So often the page of one code is shown, and a decision taken about it."""

_PURPOSE: Final = b"mcptunnel user code "
_MAX_DETAIL_CHARS: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedDevice:
    """A device grant that waits for a person; the names are what the program said, or ""."""

    client: Client
    resource: str
    scopes: tuple[str, ...]
    user_code: str = field(repr=False)
    device_name: str
    host_name: str
    address: str
    asked_s: float


class DeviceGrants:
    """Begins device grants and lets people decide about them."""

    def __init__(self, around: Surroundings, directory: ClientDirectory) -> None:
        self._around = around
        self._directory = directory

    async def begin(
        self, parameters: Parameters, client: Client, address: str
    ) -> dict[str, str | int]:
        """Return the members of the answer (RFC 8628, 3.2). Raises OAuthError, BusyError.

        `device_name` and `host_name` in the request are shown to the person.
        """
        settings, now_s = self._around.settings, self._around.epoch_s()
        asked = read_device_request(
            parameters, client, issuer=settings.issuer, origin_wide=settings.origin_wide
        )
        code = self._around.mint(TokenKind.DEVICE_CODE)
        grant = DeviceGrant(
            hash=code.hash,
            user_code=user_code(self._around.random(USER_CODE_RANDOM_BYTES)),
            family=FamilyId(""),  # it gets one when its code is used
            client_id=client.id,
            resource=asked.resource,
            scopes=asked.scopes,
            expires_s=now_s + LIFETIME_S,
        )
        kept = DeviceCode(
            code_hash=grant.hash,
            user_code_hash=self._hash(grant.user_code),
            client_id=client.id,
            resource=grant.resource,
            scopes=frozenset(grant.scopes),
            details=_details(parameters, address),
            interval_s=int(INTERVAL_S),
            created_s=now_s,
            expires_s=grant.expires_s,
        )
        at_most = settings.max_device_codes
        if not await self._around.store.write(
            lambda connection: DeviceCodes(connection).add(kept, at_most=at_most)
        ):
            raise BusyError("Too many devices wait for a person at the moment", BUSY_S)
        return device_response(settings.issuer, code.text, grant, now_s)

    async def find(self, typed: str) -> AskedDevice | None:
        """Return what waits under the code that a person typed, or None."""
        code = typed_user_code(typed)
        if code is None:
            return None
        code_hash, now_s = self._hash(code), self._around.epoch_s()
        kept = await self._around.store.write(
            lambda connection: DeviceCodes(connection).open(code_hash, now_s, at_most=MAX_OPENED)
        )
        return None if kept is None else await self._asked(kept, code)

    async def decide(
        self, typed: str, principal: Principal, *, allowed: bool, address: str
    ) -> AskedDevice | None:
        """Allow or deny; None if nothing waits under this code, or the user is kept out by now."""
        code = typed_user_code(typed)
        if code is None:
            return None
        code_hash, now_s = self._hash(code), self._around.epoch_s()
        asked = await self.find(code)
        if asked is None:
            return None

        def change(connection: Transaction) -> bool:
            if not may_come_in(connection, principal):
                return False
            codes = DeviceCodes(connection)
            done = (
                codes.approve(code_hash, principal, now_s)
                if allowed
                else codes.deny(code_hash, now_s)
            )
            if done:
                audit(
                    connection,
                    Event.DEVICE_ALLOWED if allowed else Event.DEVICE_DENIED,
                    at_s=now_s,
                    client=asked.client,
                    principal=principal,
                    address=address,
                    detail={
                        "device": asked.device_name,
                        "host": asked.host_name,
                        "asked_from": asked.address,
                        "resource": asked.resource,
                    },
                )
            return done

        return asked if await self._around.store.write(change) else None

    async def _asked(self, kept: DeviceCode, code: str) -> AskedDevice | None:
        client = await self._directory.find(kept.client_id, asker=kept.details["address"])
        if client is None:
            return None
        details = kept.details
        return AskedDevice(
            client=client,
            resource=kept.resource,
            scopes=in_order(kept.scopes),
            user_code=code,
            device_name=details["device_name"],
            host_name=details["host_name"],
            address=details["address"],
            asked_s=kept.created_s,
        )

    def _hash(self, code: str) -> bytes:
        """Return the hash of a user code: with a key, because a code is short enough to be guessed."""
        return hmac.digest(self._around.secret(), _PURPOSE + code.encode(), "sha256")


def _details(parameters: Parameters, address: str) -> Mapping[str, Any]:
    names = ("device_name", "host_name")
    said = {name: clean_text(parameters.get(name), _MAX_DETAIL_CHARS) for name in names}
    return said | {"address": address}

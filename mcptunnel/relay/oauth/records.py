"""Between the records that `auth` decides about and those that `store` keeps."""

from typing import Any, Final

from mcptunnel.auth import consent, grants
from mcptunnel.auth.clients import SECRET_METHODS, AuthMethod, Client, ClientKind, GrantType
from mcptunnel.auth.codes import AuthorizationCode
from mcptunnel.auth.device_grants import DeviceGrant, DeviceState
from mcptunnel.auth.grants import FamilyId
from mcptunnel.auth.registration import Registration
from mcptunnel.auth.scopes import in_order
from mcptunnel.store.oauth import access, clients, codes, consents, device_codes, families, refresh

_NOT_KEPT: Final = frozenset(
    {"client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at"}
)
_DEVICE_STATES: Final = {
    device_codes.DeviceState.PENDING: DeviceState.PENDING,
    device_codes.DeviceState.APPROVED: DeviceState.APPROVED,
    device_codes.DeviceState.DENIED: DeviceState.DENIED,
    device_codes.DeviceState.TAKEN: DeviceState.EXCHANGED,
}


def kept_client(registration: Registration, *, now_s: float, expires_s: float) -> clients.Client:
    """Return a client that registered itself; its metadata are those of the answer, without a secret."""
    answer = registration.answer
    return clients.Client(
        id=registration.client.id,
        kind=clients.ClientKind.DCR,
        metadata={name: value for name, value in answer.items() if name not in _NOT_KEPT},
        secret_hash=registration.client.secret_hash,
        created_s=now_s,
        expires_s=expires_s,
    )


def registered_client(kept: clients.Client) -> Client:
    """Return what `kept_client` made of a client."""
    metadata = kept.metadata
    method = AuthMethod(metadata["token_endpoint_auth_method"])
    both = method in SECRET_METHODS
    return Client(
        id=kept.id,
        kind=ClientKind.REGISTERED,
        name=metadata.get("client_name", ""),
        redirect_uris=tuple(metadata["redirect_uris"]),
        auth_methods=(method, *(SECRET_METHODS - {method})) if both else (method,),
        grant_types=frozenset(map(GrantType, metadata["grant_types"])),
        secret_hash=kept.secret_hash,
        jwks_uri=metadata.get("jwks_uri"),
        jwks=metadata.get("jwks"),
        signing_algorithm=metadata.get("token_endpoint_auth_signing_alg"),
        client_uri=metadata.get("client_uri"),
    )


def kept_code(code: AuthorizationCode, now_s: float) -> codes.AuthCode:
    return codes.AuthCode(
        code_hash=code.hash,
        principal=code.principal,
        client_id=code.client_id,
        redirect_uri=code.redirect_uri,
        challenge=code.challenge,
        resource=code.resource,
        scopes=frozenset(code.scopes),
        family_id=code.family,
        created_s=now_s,
        expires_s=code.expires_s,
    )


def known_code(kept: codes.AuthCode) -> AuthorizationCode:
    return AuthorizationCode(
        hash=kept.code_hash,
        family=FamilyId(kept.family_id),
        principal=kept.principal,
        client_id=kept.client_id,
        redirect_uri=kept.redirect_uri,
        challenge=kept.challenge,
        resource=kept.resource,
        scopes=in_order(kept.scopes),
        expires_s=kept.expires_s,
        used_s=kept.used_s,
    )


def kept_family(family: grants.Family) -> families.Family:
    return families.Family(
        id=family.id,
        principal=family.principal,
        client_id=family.client_id,
        resource=family.resource,
        scopes=frozenset(family.scopes),
        created_s=family.created_s,
        last_used_s=family.created_s,
        expires_s=family.expires_s,
    )


def known_family(kept: families.Family) -> grants.Family:
    return grants.Family(
        id=FamilyId(kept.id),
        principal=kept.principal,
        client_id=kept.client_id,
        resource=kept.resource,
        scopes=in_order(kept.scopes),
        created_s=kept.created_s,
        expires_s=kept.expires_s,
        revoked_s=kept.revoked_s,
    )


def known_refresh(token_hash: bytes, kept: refresh.RefreshToken) -> grants.RefreshToken:
    return grants.RefreshToken(
        hash=token_hash,
        family=FamilyId(kept.family.id),
        expires_s=kept.expires_s,
        rotated_s=kept.rotated_s,
        grace_uses=kept.reuses,
    )


def kept_access(issued: grants.Issue, token_hash: bytes, now_s: float) -> access.AccessToken:
    return access.AccessToken(
        token_hash=token_hash,
        family_id=issued.family,
        audience=issued.resource,
        scopes=frozenset(issued.scopes),
        created_s=now_s,
        expires_s=issued.access_expires_s,
    )


def known_grant(kept: device_codes.DeviceCode, family: FamilyId) -> DeviceGrant:
    """Return a device grant without its user code, of which only a hash is kept."""
    return DeviceGrant(
        hash=kept.code_hash,
        user_code="",
        family=family,
        client_id=kept.client_id,
        resource=kept.resource,
        scopes=in_order(kept.scopes),
        expires_s=kept.expires_s,
        interval_s=float(kept.interval_s),
        polled_s=kept.last_poll_s,
        state=_DEVICE_STATES[kept.state],
        principal=kept.principal,
    )


def kept_consent(given: consent.Consent, now_s: float) -> consents.Consent:
    return consents.Consent(
        principal=given.principal,
        client_id=given.client_id,
        redirect_uri=given.redirect_uri,
        resource=given.resource,
        scopes=given.scopes,
        granted_s=now_s,
    )


def known_consent(kept: consents.Consent) -> consent.Consent:
    return consent.Consent(
        principal=kept.principal,
        client_id=kept.client_id,
        redirect_uri=kept.redirect_uri,
        resource=kept.resource,
        scopes=kept.scopes,
    )


def registration_answer(kept: clients.Client) -> dict[str, Any]:
    """Return the answer to a registration that was found again, which has no secret."""
    issued = {"client_id": kept.id, "client_id_issued_at": int(kept.created_s)}
    return issued | dict(kept.metadata)

"""The keys of a client's metadata, by which it signs its assertions: `jwks` or `jwks_uri`, never both (RFC 7591)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.fetch_urls import fetch_fault
from mcptunnel.auth.jose import ALGORITHMS

MAX_KEY_SET_BYTES: Final = 16 * 1024
KEYS_REFETCH_S: Final = 60.0
"""An unknown key is a reason to fetch a client's keys again, but not more often than this."""

_MAX_KEYS: Final = 16


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """Where a client's public keys are, and the one algorithm that it uses, if it said so."""

    jwks_uri: str | None = None
    jwks: Mapping[str, Any] | None = None
    algorithm: str | None = None


def read_client_keys(metadata: Mapping[str, Any]) -> ClientKeys:
    """Return a client's keys. Raises OAuthError `invalid_client_metadata` when there are none to use."""
    uri, key_set = metadata.get("jwks_uri"), metadata.get("jwks")
    algorithm = metadata.get("token_endpoint_auth_signing_alg")
    if (uri is None) == (key_set is None):
        raise _refused("private_key_jwt needs either jwks_uri or jwks")
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise _refused("The token_endpoint_auth_signing_alg is not supported")
    if uri is not None:
        if not isinstance(uri, str) or fetch_fault(uri) is not None:
            raise _refused("The jwks_uri cannot be used")
        return ClientKeys(jwks_uri=uri, algorithm=algorithm)
    keys = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= _MAX_KEYS:
        raise _refused("The jwks is not a key set")
    if not all(isinstance(key, dict) and key.get("kty") != "oct" for key in keys):
        raise _refused("The jwks has a key that is not public")
    if any("d" in key for key in keys):
        raise _refused("The jwks has a private key in it")
    return ClientKeys(jwks=key_set, algorithm=algorithm)


def _refused(description: str) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_CLIENT_METADATA, description)

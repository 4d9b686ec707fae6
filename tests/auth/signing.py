"""Keys that sign tokens in tests."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def private_key(algorithm: str, number: int = 0) -> Private:
    """Return a key for an algorithm; each number another one."""
    return _made(algorithm, number)


@functools.cache
def _made(algorithm: str, _number: int) -> Private:
    if algorithm[:2] in ("RS", "PS"):
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())


def public_jwk(algorithm: str, number: int = 0, **members: object) -> dict[str, Any]:
    """Return the JWK of a key's public half."""
    public = private_key(algorithm, number).public_key()
    if isinstance(public, rsa.RSAPublicKey):
        text = RSAAlgorithm.to_jwk(public)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        text = ECAlgorithm.to_jwk(public)
    else:
        text = OKPAlgorithm.to_jwk(public)
    return {**json.loads(text), **members}


def key_set(*keys: Mapping[str, Any]) -> dict[str, Any]:
    return {"keys": list(keys)}


def sign(
    claims: Mapping[str, Any], algorithm: str = "ES256", number: int = 0, **header: object
) -> str:
    """Return a token with these claims."""
    key = private_key(algorithm, number)
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers=header)

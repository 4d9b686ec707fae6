"""Signed tokens of others: what is believed, and what never is."""

from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from mcptunnel.auth import jose
from mcptunnel.auth.jose import ALGORITHMS, JoseError
from tests.auth.signing import key_set, private_key, public_jwk, sign

_CLAIMS = {"iss": "https://op.example", "sub": "alice"}


def _encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _refusal(token: str, keys: Any, algorithms: tuple[str, ...] = ALGORITHMS) -> JoseError | None:
    try:
        jose.verify(token, keys, algorithms)
    except JoseError as error:
        return error
    return None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_that_we_advertise_works(algorithm: str) -> None:
    keys = key_set(public_jwk("ES256", 9), public_jwk(algorithm, kid="a"))
    assert jose.verify(sign(_CLAIMS, algorithm, kid="a"), keys, ALGORITHMS).claims == _CLAIMS
    assert jose.verify(sign(_CLAIMS, algorithm), keys, [algorithm]).algorithm == algorithm


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_row_28_the_algorithm_is_one_that_the_issuer_uses(algorithm: str) -> None:
    token, keys = sign(_CLAIMS, algorithm), key_set(public_jwk(algorithm))
    rest = tuple(one for one in ALGORITHMS if one != algorithm)
    assert _refusal(token, keys, rest) is not None


def test_row_28_alg_none_is_refused() -> None:
    for alg in ("none", "None", "NONE", ""):
        token = f'{_encoded(f"""{{"alg":"{alg}"}}""")}.{_encoded("{}")}.'
        assert _refusal(token, key_set(public_jwk("ES256"))) is not None


def test_row_28_a_public_key_is_no_shared_secret() -> None:
    """The confusion of RS256 and HS256: the public key's text as the key of an HMAC."""
    public = private_key("RS256").public_key()
    text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, claims = _encoded('{"alg":"HS256"}'), _encoded('{"sub":"admin"}')
    mac = jwt.get_algorithm_by_name("HS256").sign(f"{header}.{claims}".encode(), text)
    token = f"{header}.{claims}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    assert _refusal(token, key_set(public_jwk("RS256"))) is not None
    octets = {"kty": "oct", "k": urlsafe_b64encode(b"k" * 32).decode()}
    hmac_token = jwt.encode(_CLAIMS, b"k" * 32, algorithm="HS256")
    assert _refusal(hmac_token, key_set(octets), ("HS256",)) is not None


def test_row_28_keys_in_the_header_are_not_looked_at() -> None:
    """A token that brings its own key proves nothing."""
    token = sign(_CLAIMS, "ES256", 1, jwk=public_jwk("ES256", 1))
    assert _refusal(token, key_set(public_jwk("ES256"))) is not None


def test_critical_headers_are_refused() -> None:
    """Also `b64`, which the library understands: no token of ours has it."""
    keys = key_set(public_jwk("ES256"))
    assert _refusal(sign(_CLAIMS, crit=["exp"], exp=1), keys) is not None
    header = _encoded('{"alg":"ES256","crit":["b64"],"b64":true}')
    signed = f"{header}.{_encoded('{}')}"
    signature = jwt.get_algorithm_by_name("ES256").sign(signed.encode(), private_key("ES256"))
    token = f"{signed}.{jwt.utils.base64url_encode(signature).decode()}"
    assert _refusal(token, keys) is not None


def test_a_key_is_used_for_what_it_was_made_for() -> None:
    """Another use, another algorithm, another curve, or a short RSA key: not this key."""
    token = sign(_CLAIMS)
    assert _refusal(token, key_set(public_jwk("ES256", use="enc"))) is not None
    assert _refusal(token, key_set(public_jwk("ES256", alg="ES384"))) is not None
    p384 = private_key("ES384")
    assert isinstance(p384, ec.EllipticCurvePrivateKey)
    crossed = jwt.encode(_CLAIMS, p384, algorithm="ES384")
    assert _refusal(crossed, key_set(public_jwk("ES384", crv="P-256"))) is not None
    weak = rsa.generate_private_key(65537, 1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        short = jwt.encode(_CLAIMS, weak, algorithm="RS256")
    assert (
        _refusal(short, key_set(RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True))) is not None
    )


@pytest.mark.parametrize("member", [{"e": "A" * 7}, {"n": "A" * 1369}, {"e": None}, {"n": 5}])
def test_row_29_a_key_that_takes_long_is_no_key(member: dict[str, Any]) -> None:
    """A client chooses its key: with an exponent as long as the modulus each token would take 40 ms of all."""
    refused = _refusal(sign(_CLAIMS, "RS256"), key_set(public_jwk("RS256", **member)))
    assert refused is not None
    assert "not known" in str(refused)


def test_hass_names_every_key_default() -> None:
    """A new key by an old name shows as a wrong signature: also then the keys may be stale."""
    keys = key_set(public_jwk("ES256", kid="default"))
    wrong = _refusal(sign(_CLAIMS, number=1, kid="default"), keys)
    unknown = _refusal(sign(_CLAIMS, kid="new"), keys)
    assert wrong is not None
    assert unknown is not None
    assert wrong.stale_keys
    assert unknown.stale_keys
    malformed = _refusal("x", keys)
    assert malformed is not None
    assert not malformed.stale_keys


def test_without_a_key_id_every_fitting_key_is_tried() -> None:
    keys = key_set(public_jwk("ES256", 1), {"kty": "EC"}, public_jwk("RS256"), public_jwk("ES256"))
    assert jose.verify(sign(_CLAIMS), keys, ALGORITHMS).claims == _CLAIMS


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": None},
        {"keys": "x"},
        {"keys": ["x", {}, None, {"kty": "EC", "crv": "P-256", "x": 1}]},
    ],
)
def test_malformed_key_sets_have_no_key(keys: dict[str, Any]) -> None:
    assert _refusal(sign(_CLAIMS), keys) is not None


def test_a_private_key_in_a_set_is_used_as_the_public_one() -> None:
    """Some set-ups publish too much; we do not hold it."""
    private = private_key("ES256")
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    jwk = ECAlgorithm.to_jwk(private, as_dict=True)
    assert jose.verify(sign(_CLAIMS), key_set(jwk), ALGORITHMS).claims == _CLAIMS


@given(st.text() | st.lists(st.text(), min_size=3, max_size=3).map(".".join))
def test_any_text_is_refused_with_the_one_error(text: str) -> None:
    assert _refusal(text, key_set(public_jwk("ES256"))) is not None
    assert jose.unverified_claim(text, "sub") is None


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists), st.text())
def test_any_header_is_refused_with_the_one_error(value: object, name: str) -> None:
    header = jwt.utils.base64url_encode(repr({"alg": value, name: value}).encode()).decode()
    assert _refusal(f"{header}.{_encoded('{}')}.AA", key_set(public_jwk("ES256"))) is not None


def test_claims_are_an_object_and_tokens_are_not_endless() -> None:
    private = private_key("ES256")
    listed = jwt.api_jws.PyJWS().encode(b"[1]", private, algorithm="ES256")
    broken = jwt.api_jws.PyJWS().encode(b"\xff", private, algorithm="ES256")
    large = sign({"x": "y" * jose.MAX_TOKEN_CHARS})
    for token in (listed, broken, large):
        assert _refusal(token, key_set(public_jwk("ES256"))) is not None


def test_the_client_of_an_assertion_is_found_before_its_key() -> None:
    assert jose.unverified_claim(sign({"sub": "me"}), "sub") == "me"
    assert jose.unverified_claim(sign({"sub": 1}), "sub") is None


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": 1000}, True),
        ({"exp": 941}, True),
        ({"exp": 940}, False),
        ({"exp": 2000, "iat": 1060, "nbf": 1060}, True),
        ({"exp": 2000, "iat": 1061}, False),
        ({"exp": 2000, "nbf": 1061}, False),
        ({}, False),
        ({"exp": None}, False),
        ({"exp": "2000"}, False),
        ({"exp": True}, False),
        ({"exp": float("inf")}, False),
        ({"exp": float("nan")}, False),
        ({"exp": 10**400}, False),
        ({"exp": 2000, "iat": -(10**400)}, False),
        ({"exp": 2000, "iat": "now"}, False),
    ],
)
def test_clocks_may_differ_by_a_minute(claims: dict[str, Any], good: bool) -> None:
    """Row 28: exp, iat and nbf with a skew of 60 s, at the time 1000."""
    if good:
        assert jose.check_times(claims, 1000.0) == claims["exp"]
    else:
        with pytest.raises(JoseError):
            jose.check_times(claims, 1000.0)


@pytest.mark.parametrize("aud", [None, 1, [], [1], ["a", None], {"a": 1}])
def test_malformed_audiences(aud: object) -> None:
    with pytest.raises(JoseError, match="audience"):
        jose.audiences({"aud": aud})
    assert jose.audiences({"aud": "a"}) == ("a",)
    assert jose.audiences({"aud": ["a", "b"]}) == ("a", "b")

"""What the relay says is read strictly; what a proxy or a wrong server says is no verdict."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.agent.sign_in.answers import (
    NoSignInError,
    RefusedError,
    RelayUnavailableError,
    read_device_codes,
    read_metadata,
    read_tokens,
)
from mcptunnel.auth.issuer import parse_issuer
from mcptunnel.auth.metadata import Features, authorization_server
from mcptunnel.auth.tokens import TokenKind
from mcptunnel.config.secret import Secret
from tests.agent.sign_in import RELAY, access, metadata, refresh, token, token_answer

DEVICE_CODE = token(TokenKind.DEVICE_CODE, 1)


def raw(members: object) -> bytes:
    return json.dumps(members).encode()


class TestMetadata:
    def test_our_own_relay_is_understood(self) -> None:
        """The document that a relay makes has all that an agent wants of it."""
        document = authorization_server(parse_issuer(RELAY), Features())
        server = read_metadata(RELAY, 200, raw(document))
        assert server.authorization == f"{RELAY}/authorize"
        assert server.token == f"{RELAY}/token"
        assert server.revocation == f"{RELAY}/revoke"
        assert server.device == f"{RELAY}/device_authorization"

    def test_a_relay_without_codes(self) -> None:
        document = authorization_server(parse_issuer(RELAY), Features(device_grant=False))
        assert read_metadata(RELAY, 200, raw(document)).device is None

    def test_a_relay_under_another_name_is_told_by_that_name(self) -> None:
        """It would refuse the resource; the person should use its public_url."""
        told = raw(metadata("https://public.test"))
        with pytest.raises(NoSignInError, match=r"calls itself https://public\.test"):
            read_metadata(RELAY, 200, told)

    @pytest.mark.parametrize(
        "change",
        [
            {"issuer": None},
            {"issuer": f"{RELAY}/"},
            {"issuer": "javascript:alert(1)"},
            {"token_endpoint": "https://evil.test/token"},
            {"token_endpoint": f"{RELAY}@evil.test/token"},
            {"token_endpoint": "http://relay.test/token"},
            {"authorization_endpoint": "https://user@relay.test/authorize"},
            {"revocation_endpoint": 5},
            {"device_authorization_endpoint": "https://evil.test/"},
            {"authorization_response_iss_parameter_supported": None},
        ],
    )
    def test_a_server_that_is_no_relay(self, change: dict[str, object]) -> None:
        """No credential goes to another origin, and `iss` is always in answers."""
        with pytest.raises(NoSignInError):
            read_metadata(RELAY, 200, raw(metadata() | change))

    def test_a_relay_with_keys_alone(self) -> None:
        hint = raw({"error": "not_found", "error_description": "This relay takes keys."})
        with pytest.raises(NoSignInError, match=r"it said: This relay takes keys\)\."):
            read_metadata(RELAY, 404, hint)
        with pytest.raises(NoSignInError, match="takes keys alone, or is no mcptunnel relay"):
            read_metadata(RELAY, 404, b"<html>")

    @pytest.mark.parametrize(("status", "body"), [(502, b"{}"), (200, b"<html>"), (200, b"[]")])
    def test_a_relay_that_cannot_say_now(self, status: int, body: bytes) -> None:
        with pytest.raises(RelayUnavailableError):
            read_metadata(RELAY, status, body)


class TestTokens:
    def test_what_comes_is_read(self) -> None:
        tokens = read_tokens(200, raw(token_answer(5)))
        assert tokens.access_token == Secret(access(5))
        assert tokens.refresh_token == Secret(refresh(5))
        assert tokens.lifetime_s == 3600

    def test_a_refresh_token_may_stay(self) -> None:
        members = token_answer(5)
        del members["refresh_token"]
        assert read_tokens(200, raw(members)).refresh_token is None

    @pytest.mark.parametrize("status", [400, 401])
    def test_a_verdict_is_one(self, status: int) -> None:
        with pytest.raises(RefusedError, match=r"^It is over$") as caught:
            read_tokens(status, raw({"error": "invalid_grant", "error_description": "It is over."}))
        assert caught.value.code == "invalid_grant"

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, raw({"error": "invalid_grant"})),
            (503, b""),
            (502, b"<html>bad gateway</html>"),
            (429, raw({"error": "invalid_grant"})),
            (400, raw({"error": "temporarily_unavailable"})),
            (400, raw({"error": "server_error"})),
            (400, raw({"error": 5})),
            (404, b"<html>"),
            (404, raw({"error": "not_found", "error_description": "No such application"})),
            (404, raw({"error": "Not Found"})),
            (403, b"forbidden by a firewall"),
            (403, raw({"error": "Forbidden"})),
            (403, raw({"error": "access_denied"})),
            (404, raw({"error": "invalid_request"})),
            (401, raw({"error": "invalid_token"})),
            (401, raw({"error": "Unauthorized"})),
            (400, raw({"error": "no_sign_in"})),
            (200, b"<html>Accept our terms</html>"),
            (200, raw({})),
            (204, b""),
        ],
    )
    def test_nothing_else_ends_a_sign_in(self, status: int, body: bytes) -> None:
        """Proxies, captive portals, overload, another web server at the address: it may pass."""
        with pytest.raises(RelayUnavailableError):
            read_tokens(status, body)

    def test_the_relay_may_say_when_to_come_again(self) -> None:
        with pytest.raises(RelayUnavailableError) as caught:
            read_tokens(429, b"", 17.0)
        assert caught.value.retry_after_s == 17.0

    @pytest.mark.parametrize(
        "change",
        [
            {"access_token": None},
            {"access_token": "eyJ.a.b"},
            {"access_token": refresh()},
            {"access_token": access() + "\r\nX: y"},
            {"token_type": "DPoP"},
            {"token_type": None},
            {"expires_in": 0},
            {"expires_in": "3600"},
            {"expires_in": True},
            {"refresh_token": access()},
            {"refresh_token": 1},
        ],
    )
    def test_tokens_that_cannot_be_used(self, change: dict[str, object]) -> None:
        with pytest.raises(RelayUnavailableError) as caught:
            read_tokens(200, raw(token_answer(1, **change)))
        assert "mcpt_" not in str(caught.value)

    @given(st.integers(100, 599), st.binary(max_size=200))
    def test_any_answer_is_one_of_these(self, status: int, body: bytes) -> None:
        with pytest.raises((RefusedError, RelayUnavailableError)):
            read_tokens(status, body)

    def test_who_signed_in_is_told_in_clean_words(self) -> None:
        told = read_tokens(200, raw(token_answer(1, user="Ada\u202e\x1b[2J\nLovelace 🦄")))
        assert told.user.isprintable()
        assert told.user.startswith("Ada")
        assert read_tokens(200, raw(token_answer(1, user=5))).user == ""

    def test_a_relay_that_has_no_sign_in_any_more(self) -> None:
        """It says so itself; then only a key helps."""
        body = raw({"error": "no_sign_in", "error_description": "This relay takes API keys alone."})
        with pytest.raises(
            NoSignInError, match=r"takes API keys alone\)\. .*keys create .*key_file"
        ):
            read_tokens(404, body)

    def test_words_of_strangers_are_one_clean_line(self) -> None:
        bad = raw({"error": "invalid_grant", "error_description": "a\x1b[2Jb\nc" + "x" * 500})
        with pytest.raises(RefusedError) as caught:
            read_tokens(400, bad)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) <= 200


class TestDeviceCodes:
    WHOLE: dict[str, object] = {  # noqa: RUF012 - never changed
        "device_code": DEVICE_CODE,
        "user_code": "BCDF-GHJK",
        "verification_uri": f"{RELAY}/device",
        "verification_uri_complete": f"{RELAY}/device?user_code=BCDF-GHJK",
        "expires_in": 600,
        "interval": 5,
    }

    def test_what_comes_is_read(self) -> None:
        codes = read_device_codes(RELAY, 200, raw(self.WHOLE))
        assert (codes.user_code, codes.page) == ("BCDF-GHJK", f"{RELAY}/device")
        assert codes.page_with_code.endswith("user_code=BCDF-GHJK")
        assert (codes.lifetime_s, codes.interval_s) == (600, 5)
        assert DEVICE_CODE not in repr(codes)

    def test_the_interval_has_a_default_and_bounds(self) -> None:
        """5 s (RFC 8628, 3.2); a relay cannot have us ask without end, or never."""
        for told, taken in ((None, 5), (0.001, 1), (10**9, 300)):
            got = read_device_codes(RELAY, 200, raw(self.WHOLE | {"interval": told}))
            assert got.interval_s == taken

    def test_a_page_elsewhere_is_not_shown(self) -> None:
        elsewhere = self.WHOLE | {"verification_uri_complete": "https://evil.test/?c=BCDF-GHJK"}
        assert read_device_codes(RELAY, 200, raw(elsewhere)).page_with_code == f"{RELAY}/device"
        with pytest.raises(RelayUnavailableError, match="no page of its own"):
            read_device_codes(
                RELAY, 200, raw(self.WHOLE | {"verification_uri": "https://evil.test"})
            )

    @pytest.mark.parametrize(
        "change",
        [{"device_code": "x"}, {"user_code": ""}, {"user_code": "x" * 65}, {"expires_in": -1}],
    )
    def test_codes_that_cannot_be_used(self, change: dict[str, object]) -> None:
        with pytest.raises(RelayUnavailableError):
            read_device_codes(RELAY, 200, raw(self.WHOLE | change))

    def test_a_refusal_is_one(self) -> None:
        with pytest.raises(RefusedError, match="unauthorized_client"):
            read_device_codes(RELAY, 400, raw({"error": "unauthorized_client"}))

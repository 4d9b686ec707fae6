"""The description and the keys of a provider, and what is said when they are not there."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from mcptunnel.auth.oidc.errors import ProviderError
from mcptunnel.net.http import Fetched, Limits
from mcptunnel.relay.login.provider_documents import ProviderDocuments
from tests.relay.coroutines import now
from tests.relay.login.fake_op import FakeOp


class Saying(FakeOp):
    """Answers everything with one status and body."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self._said = Fetched(status=status, media_type="text/html", body=body)

    async def get(self, url: str, limits: Limits, headers: Any = None) -> Fetched:
        return self._said


def documents(op: FakeOp) -> ProviderDocuments:
    return ProviderDocuments(op.issuer, op, Clock().seconds)


def test_description_and_keys() -> None:
    """The keys come from where the description says."""
    op = FakeOp(jwks_uri="https://keys.example/all")
    found = documents(op)
    assert now(found.keys()) == op.keys
    assert now(found.provider()).token_endpoint == op.document["token_endpoint"]
    assert op.asked == [op.where, "https://keys.example/all"]
    assert now(found.newer_keys()) is None
    assert found.retry_in_s() == 0


@pytest.mark.parametrize(
    ("status", "body", "match"),
    [
        (404, b"", "answered 404 for https://op.example/.well-known/openid-configuration"),
        (200, b"<html>", "cannot be read: The document is not JSON"),
        (200, b"[]", "not a JSON object"),
        (200, b'{"issuer":"https://op.example","issuer":"https://op.example"}', "not JSON"),
        (200, b"{}", "no issuer"),
    ],
)
def test_descriptions_that_are_none(status: int, body: bytes, match: str) -> None:
    """The text says where and what."""
    found = documents(Saying(status, body))
    with pytest.raises(ProviderError, match=match):
        now(found.provider())
    assert found.retry_in_s() == 1


def test_keys_that_are_none() -> None:
    """An object without a list of keys is no key set."""
    op = FakeOp()
    op.keys = {"keys": {}}
    with pytest.raises(ProviderError, match=r"no keys at https://op\.example/jwks"):
        now(documents(op).keys())

"""A key is shown as it is, and never renewed."""

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.agent.credential import ApiKey, told
from mcptunnel.config.secret import Secret
from mcptunnel.net.errors import UpgradeRefused
from mcptunnel.wire.constants import ErrorCode

KEY = ApiKey(Secret("mcpt_ak_x"), "$MCPTUNNEL_KEY")


def test_a_key_is_the_bearer_and_there_is_no_other() -> None:
    got: list[str] = []
    Deferred.fromCoroutine(KEY.bearer()).addCallback(got.append)
    assert got == ["mcpt_ak_x"]
    assert not KEY.refuse()


def test_starting_and_stopping_do_nothing() -> None:
    refusals: list[object] = []
    KEY.start(refusals.append)
    stopped: list[None] = []
    Deferred.fromCoroutine(KEY.stop()).addCallback(stopped.append)
    assert (stopped, refusals) == ([None], [])


@pytest.mark.parametrize(
    "words",
    [
        KEY.refused_words(UpgradeRefused(401)),
        KEY.ended_words(ErrorCode.REVOKED),
        KEY.ended_words(ErrorCode.UNAUTHORIZED),
        KEY.ended_words(ErrorCode.DEVICE_REVOKED),
    ],
)
def test_a_refusal_says_where_the_key_is_and_how_to_make_one(words: str) -> None:
    assert "$MCPTUNNEL_KEY" in words
    assert "mcptunnel keys create --config relay.toml" in words
    assert "mcpt_ak_x" not in words


def test_what_the_relay_said_is_told() -> None:
    assert told(UpgradeRefused(403)) == "(HTTP 403)"
    assert told(UpgradeRefused(403, None, "Not you.")) == "(HTTP 403): Not you"

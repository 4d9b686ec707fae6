"""What the connector does when the relay does not take its credential, or there is none just now."""

import pytest

from mcptunnel.agent.credential import ApiKey, NotRenewedError, Refused
from mcptunnel.config.secret import Secret
from mcptunnel.net.errors import UpgradeRefused
from mcptunnel.wire.constants import ErrorCode
from tests.agent.test_connector import Bench, failing
from tests.conftest import Log


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Renewed(ApiKey):
    """A credential that can be had anew, so often."""

    def __init__(self, times: int) -> None:
        super().__init__(Secret("secret"), "key_file")
        self.left = times

    def refuse(self) -> bool:
        self.left -= 1
        return self.left >= 0


def test_a_refused_credential_is_had_anew_at_once() -> None:
    """As often as the credential says so; then it ends as ever."""
    bench = Bench(Renewed(2))
    bench.dial = failing(UpgradeRefused(401, wants_bearer=True))
    bench.run()
    assert "(HTTP 401)" in bench.refusal()
    assert bench.dialled_s == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("code", [ErrorCode.REVOKED, ErrorCode.UNAUTHORIZED])
def test_a_link_that_is_ended_for_its_credential_is_made_again_at_once(code: ErrorCode) -> None:
    """Such as when a person signed in again, which ended the old grant."""
    bench = Bench(Renewed(1)).run()
    for _ in range(2):
        bench.relay.tunnels[-1].close(code, "")
        bench.relay.settle()
    assert bench.dialled_s == [0.0, 0.0]
    assert "Make a new one with" in bench.refusal()


def test_a_device_that_was_revoked_is_not_helped_by_another_token() -> None:
    """Nor by the next attempt: it ends at once, in the greeting as well."""
    for refuse in (True, False):
        bench = Bench(Renewed(1))
        if refuse:
            bench.relay.refuse = lambda end: end.refuse(ErrorCode.DEVICE_REVOKED, "so it is")
        bench.run()
        if not refuse:
            bench.relay.tunnels[-1].close(ErrorCode.DEVICE_REVOKED, "so it is")
            bench.relay.settle()
        assert bench.refusal().startswith("This device was revoked at the relay.")
        assert bench.dialled_s == [0.0]


def test_a_credential_that_cannot_be_had_now_is_waited_for(bench: Bench, log: Log) -> None:
    """With the patience of any other attempt, and as long as the relay asked for."""
    bench.dial = failing(NotRenewedError("the relay answered 503", 20.0))
    bench.run()
    assert bench.waits_s() == 21
    assert bench.waits_s() == 22
    assert "cannot renew the sign-in: the relay answered 503. Trying again" in log
    bench.dial = bench.relay.dial
    bench.waits_s()
    assert bench.owner.events == ["connected as laptop"]


def test_a_sign_in_that_is_over_ends_it(bench: Bench) -> None:
    bench.dial = failing(Refused("It is over. Sign in again."))
    bench.run()
    assert bench.refusal() == "It is over. Sign in again."

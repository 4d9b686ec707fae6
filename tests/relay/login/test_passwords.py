"""Passwords: argon2id, a few at once, and nobody learns who is a user."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import pytest_twisted
from argon2 import Parameters, Type, extract_parameters
from argon2.profiles import CHEAPEST
from twisted.internet.defer import Deferred

from mcptunnel.relay.login.passwords import MAX_AT_ONCE, MAX_WAITING, PARAMETERS, PasswordHashes
from mcptunnel.relay.oauth.throttling import BusyError
from tests.relay.coroutines import now
from tests.relay.login.threads import ReactorAtOnce, ThreadsAtOnce

_Test = TypeVar("_Test", bound=Callable[..., Any])
in_reactor: Callable[[_Test], _Test] = pytest_twisted.ensureDeferred
PASSWORD = "Grüße an 🦊 und Bär"


def hashes(parameters: Parameters = CHEAPEST) -> PasswordHashes:
    reactor: Any = ReactorAtOnce()
    return PasswordHashes(reactor, ThreadsAtOnce(), parameters)


def test_a_password_is_known_by_its_hash() -> None:
    made = hashes()
    argon2 = now(made.hash(PASSWORD))
    assert argon2.startswith("$argon2id$")
    assert now(made.is_right(argon2, PASSWORD))
    assert not now(made.is_right(argon2, PASSWORD + "x"))
    assert argon2 != now(made.hash(PASSWORD)), "each has a salt of its own"


@pytest.mark.parametrize("argon2", ["", "$argon2id$broken", "x" * 100])
def test_what_is_no_hash_is_nobodys_password(argon2: str) -> None:
    assert not now(hashes().is_right(argon2, PASSWORD))


def test_threat_31_an_unknown_user_costs_the_same() -> None:
    """A whole check is made, against a hash with the same parameters; it never succeeds."""
    made = hashes()
    assert not now(made.is_right(None, PASSWORD))
    assert not now(made.is_right(None, "the password of nobody at all"))
    assert made._nobodys is not None
    assert extract_parameters(made._nobodys) == CHEAPEST


def test_a_hash_of_weaker_parameters_is_told() -> None:
    old = now(hashes().hash(PASSWORD))
    stronger = Parameters(
        type=Type.ID,
        version=19,
        salt_len=16,
        hash_len=32,
        time_cost=2,
        memory_cost=16,
        parallelism=1,
    )
    assert hashes(stronger).is_weak(old)
    assert not hashes().is_weak(old)
    assert now(hashes(stronger).is_right(old, PASSWORD))


def test_new_hashes_are_argon2id_with_64_mib() -> None:
    assert (PARAMETERS.type, PARAMETERS.memory_cost) == (Type.ID, 64 * 1024)
    assert MAX_AT_ONCE <= 4


@in_reactor
async def test_so_many_wait_and_the_rest_is_told(running_reactor: Any) -> None:
    """The reactor goes on meanwhile: the work is done in threads."""
    made = PasswordHashes(running_reactor, parameters=CHEAPEST)
    waiting = [Deferred.fromCoroutine(made.hash(PASSWORD)) for _ in range(MAX_WAITING)]
    with pytest.raises(BusyError) as caught:
        await made.hash(PASSWORD)
    assert caught.value.retry_after_s > 0
    made.start()
    for one in waiting:
        assert (await one).startswith("$argon2id$")
    assert await made.is_right(await made.hash(PASSWORD), PASSWORD)
    made.stop()

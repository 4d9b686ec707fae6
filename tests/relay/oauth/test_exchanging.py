"""Tokens for codes and refresh tokens: exactly once, whoever races whom, in threads of a real store."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, DeferredList

from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.grants import DAY_S
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.exchanging import CODE_USED_AGAIN, TOKEN_USED_AGAIN, TokenExchange
from mcptunnel.store.database import Database
from mcptunnel.store.engine import Store, Transaction
from mcptunnel.store.oauth.families import Families, Family
from mcptunnel.store.people.users import Users
from mcptunnel.store.revocation import end_user
from mcptunnel.store.schema import metadata
from tests.relay.coroutines import now
from tests.relay.oauth import in_reactor
from tests.relay.oauth.parts import ALICE, APP, Parts, code_form, form, refresh_form
from tests.relay.store_at_once import StoreAtOnce, copied_database

RACERS = 24


def exchange(parts: Parts, parameters: Any) -> Any:
    return now(TokenExchange(parts.around).answer(parameters, APP, "192.0.2.1"))


def family_of(parts: Parts, family_id: str = "family") -> Family | None:
    return parts.database.read(lambda connection: Families(connection).find(family_id))


def test_a_code_becomes_a_grant(parts: Parts) -> None:
    answer = exchange(parts, code_form(parts.code().text))
    assert answer["scope"] == "mcp"
    family = family_of(parts)
    assert family is not None
    assert (family.principal, family.client_id, family.revoked_s) == (ALICE, APP.id, None)
    (event,) = parts.events()
    assert (event.event, event.address) == ("grant.begun", "192.0.2.1")


def test_what_ends_by_a_second_use_is_told_to_all_that_is_open(parts: Parts) -> None:
    code = parts.code()
    exchange(parts, code_form(code.text))
    with pytest.raises(OAuthError):
        exchange(parts, code_form(code.text))
    assert parts.revoked == [Revoked(grant_id="family")]
    family = family_of(parts)
    assert family is not None
    assert family.reason == CODE_USED_AGAIN
    with pytest.raises(OAuthError):
        exchange(parts, code_form(code.text))
    assert len(parts.revoked) == 1


def test_a_stolen_token_ends_its_grant_once(parts: Parts) -> None:
    token = parts.grant().refresh.text
    exchange(parts, refresh_form(token))
    parts.clock.advance(61)
    for _ in range(2):
        with pytest.raises(OAuthError):
            exchange(parts, refresh_form(token))
    assert parts.revoked == [Revoked(grant_id="family")]
    family = family_of(parts)
    assert family is not None
    assert family.reason == TOKEN_USED_AGAIN


@pytest.mark.parametrize("how", ["disabled", "forgotten"])
def test_who_is_kept_out_gets_nothing_for_a_code(parts: Parts, how: str) -> None:
    code = parts.code()
    if how == "disabled":
        parts.database.write(lambda connection: Users(connection).disable(ALICE, 1.0))
    else:
        parts.database.write(lambda connection: Users(connection).forget(ALICE))
    with pytest.raises(OAuthError, match="not valid"):
        exchange(parts, code_form(code.text))
    assert family_of(parts) is None


def test_a_user_who_ended_cannot_refresh(parts: Parts) -> None:
    token = parts.grant().refresh.text
    parts.database.write(
        lambda connection: end_user(connection, ALICE, now_s=parts.now_s, reason="test")
    )
    with pytest.raises(OAuthError):
        exchange(parts, refresh_form(token))


@pytest.mark.parametrize(
    "parameters",
    [
        form(grant_type="refresh_token"),
        form(grant_type="authorization_code"),
        form(),
        refresh_form("mcpt_ac_" + "0" * 43),
    ],
)
def test_what_is_missing_or_of_another_kind_is_refused(parts: Parts, parameters: Any) -> None:
    with pytest.raises(OAuthError):
        exchange(parts, parameters)


# Races, with the store's own threads.


@pytest.fixture(params=["sqlite", "postgresql"])
def threaded(
    request: pytest.FixtureRequest, tmp_path: Path, running_reactor: Any
) -> Iterator[tuple[Parts, TokenExchange]]:
    location: Path | str = tmp_path / "x.db"
    if request.param == "sqlite":
        copied_database(request.getfixturevalue("all_tables"), tmp_path).close()
    else:
        location = request.getfixturevalue("postgresql_url")
    store = Store(location, running_reactor)
    store.start()
    with Database(location) as database:
        database.write(_clear)
        parts = Parts(store, database)
        yield parts, TokenExchange(parts.around)
    store.stop()


def _clear(connection: Transaction) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())


async def race(exchange: TokenExchange, parameters: Any, count: int) -> list[Any]:
    """Ask at the same time; return the answers, and the errors that came instead."""
    asked = [
        Deferred.fromCoroutine(exchange.answer(parameters, APP, "192.0.2.1")) for _ in range(count)
    ]
    results = await DeferredList(asked, consumeErrors=True)
    outcomes: list[tuple[bool, Any]] = list(results)
    return [value if done else value.value for done, value in outcomes]


@in_reactor
async def test_threat_34_of_all_who_use_a_code_one_gets_tokens_which_then_end(
    threaded: tuple[Parts, TokenExchange],
) -> None:
    parts, exchange = threaded
    answers = await race(exchange, code_form(parts.code().text), RACERS)
    kinds = Counter(isinstance(answer, dict) for answer in answers)
    assert kinds == {True: 1, False: RACERS - 1}
    assert {str(one.code) for one in answers if isinstance(one, OAuthError)} == {"invalid_grant"}
    assert parts.revoked == [Revoked(grant_id="family")]


@in_reactor
async def test_threat_34_parallel_refreshes_all_work_within_the_grace(
    threaded: tuple[Parts, TokenExchange],
) -> None:
    """One rotates, ten are late, the others are refused without any harm."""
    parts, exchange = threaded
    answers = await race(exchange, refresh_form(parts.grant().refresh.text), RACERS)
    good = [answer for answer in answers if isinstance(answer, dict)]
    assert len(good) == 11
    assert len({answer["refresh_token"] for answer in good}) == 11
    assert not parts.revoked
    again = await race(exchange, refresh_form(good[-1]["refresh_token"]), 1)
    assert isinstance(again[0], dict)


# Any order of events, on one grant.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refresh"), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 61, DAY_S])),
    ),
    max_size=25,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(STEPS)
def test_any_order_of_refreshes_keeps_the_rules(
    all_tables: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, float]]
) -> None:
    """A token works once, in the grace ten times more; later it is theft, and then nothing works."""
    with copied_database(all_tables, tmp_path_factory.mktemp("any")) as database:
        parts = Parts(StoreAtOnce(database), database)
        tokens = [parts.grant().refresh.text]
        rotated_s: dict[str, float] = {}
        late: Counter[str] = Counter()
        is_over = False
        for step, value in steps:
            if step == "wait":
                parts.clock.advance(value)
                continue
            token = tokens[int(value) % len(tokens)]
            since_s = rotated_s.get(token)
            is_theft = since_s is not None and parts.now_s - since_s > 60
            expected = not is_over and not is_theft and late[token] < 10
            try:
                answer = exchange(parts, refresh_form(token))
            except OAuthError:
                assert not expected
            else:
                assert expected
                tokens.append(answer["refresh_token"])
                late[token] += since_s is not None
                rotated_s.setdefault(token, parts.now_s)
            is_over = is_over or is_theft
            assert bool(parts.revoked) == is_over

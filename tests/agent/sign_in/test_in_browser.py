"""The whole sign-in in a browser: a relay in memory, a browser of the test's, a port of this machine."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError

from mcptunnel.agent.sign_in.answers import RelayUnavailableError
from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer
from mcptunnel.agent.sign_in.grant import Tokens
from mcptunnel.agent.sign_in.in_browser import SignInFailedError, sign_in_in_browser
from mcptunnel.auth.pkce import verifies
from mcptunnel.net.http import Fetched
from tests.agent import in_reactor, the_reactor, until
from tests.agent.sign_in import RELAY, FakeFetches, answered, refusal, token_answer, tokens
from tests.agent.sign_in.test_authorization_server import SERVER
from tests.agent.sign_in.test_redirect import browse
from tests.conftest import Log

RANDOM = iter(range(1, 1000))


class Person:
    """Who is shown a URL, and goes there in a browser."""

    def __init__(self, *answers: Any) -> None:
        self.fetches = FakeFetches(*answers)
        self.urls: list[str] = []
        self.signing_in: Deferred[Tokens] | None = None

    def begin(self, wait_s: float = 60.0) -> "Deferred[Tokens]":
        self.signing_in = Deferred.fromCoroutine(
            sign_in_in_browser(
                the_reactor(),
                AuthorizationServer(RELAY, self.fetches),
                SERVER,
                random=lambda count: next(RANDOM).to_bytes(count, "big"),
                show=self.urls.append,
                wait_s=wait_s,
            )
        )
        return self.signing_in

    @property
    def asked(self) -> dict[str, str]:
        """The parameters with which the browser comes to the relay."""
        return {name: one for name, (one,) in parse_qs(urlsplit(self.urls[0]).query).items()}

    async def come_back(self, **change: str) -> tuple[int, str, str]:
        """Be sent back by the relay."""
        good = {"code": "the-code", "state": self.asked["state"], "iss": RELAY}
        query = "&".join(f"{name}={value}" for name, value in {**good, **change}.items() if value)
        return await browse(f"{self.asked['redirect_uri']}?{query}")


def once_verified(person: Person) -> Callable[[Mapping[str, str]], Fetched]:
    """Answer a token request as a relay does: only with the verifier of the challenge."""

    def answer(form: Mapping[str, str]) -> Fetched:
        assert verifies(form["code_verifier"], person.asked["code_challenge"])
        assert form["redirect_uri"] == person.asked["redirect_uri"]
        return answered(token_answer(9))

    return answer


@in_reactor
async def test_a_person_signs_in(log: Log) -> None:
    """The code is exchanged with what was kept here; the page says so; the port is gone."""
    person = Person()
    person.fetches.answers = [once_verified(person)]
    signing_in = person.begin()
    status, _, body = await person.come_back()
    assert (status, "<h1>Signed in</h1>" in body) == (200, True)
    assert await signing_in == tokens(9)
    assert [form["code"] for _, form in person.fetches.asked] == ["the-code"]
    with pytest.raises(ConnectError):
        await person.come_back()
    for secret in ("the-code", "mcpt_", person.asked["state"]):
        assert secret not in log


@in_reactor
async def test_each_sign_in_has_secrets_of_its_own() -> None:
    one, other = Person(answered(token_answer(1))), Person(answered(token_answer(1)))
    begun = [one.begin(), other.begin()]
    for name in ("state", "code_challenge", "redirect_uri"):
        assert one.asked[name] != other.asked[name]
    for person, signing_in in zip((one, other), begun, strict=True):
        await person.come_back()
        await signing_in


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": "access_denied", "code": ""}, "You did not allow it"),
        (
            {"error": "server_error", "error_description": "No.", "code": ""},
            "The relay refused: No",
        ),
        ({"iss": "https://evil.test"}, "did not come from the relay that was asked"),
        ({"iss": ""}, "did not come from the relay that was asked"),
        ({"code": ""}, "has no code"),
    ],
)
@in_reactor
async def test_a_sign_in_that_fails_asks_for_no_tokens(change: dict[str, str], said: str) -> None:
    person = Person(answered(token_answer(1)))
    signing_in = person.begin()
    assert "Nobody was signed in" in (await person.come_back(**change))[2]
    with pytest.raises(SignInFailedError, match=said):
        await signing_in
    assert person.fetches.asked == []


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (refusal("invalid_grant", "The code is not valid"), SignInFailedError, "code is not valid"),
        (answered(b"", 503), RelayUnavailableError, "answered 503"),
    ],
)
@in_reactor
async def test_a_code_that_is_not_taken(answer: Fetched, kind: type[Exception], said: str) -> None:
    """Browser and terminal both say that nobody was signed in."""
    person = Person(answer)
    signing_in = person.begin()
    assert "<h1>Nobody was signed in</h1>" in (await person.come_back())[2]
    with pytest.raises(kind, match=said):
        await signing_in


@in_reactor
async def test_a_strangers_request_does_not_end_it() -> None:
    person = Person(answered(token_answer(1)))
    signing_in = person.begin()
    assert (await person.come_back(state="guessed"))[0] == 400
    assert (await person.come_back())[0] == 200
    assert await signing_in == tokens(1)


@in_reactor
async def test_nobody_waits_for_ever() -> None:
    person = Person(answered(token_answer(1)))
    with pytest.raises(SignInFailedError, match="Nobody signed in within"):
        await person.begin(wait_s=0.01)
    with pytest.raises(ConnectError):
        await person.come_back()


@in_reactor
async def test_ctrl_c_ends_it_and_the_port() -> None:
    """Before the browser is back, and while the code is exchanged."""
    person = Person(Deferred())
    person.begin().cancel()
    assert person.signing_in is not None
    with pytest.raises(CancelledError):
        await person.signing_in
    with pytest.raises(ConnectError):
        await person.come_back()
    person = Person(Deferred())
    signing_in = person.begin()
    page = Deferred.fromCoroutine(person.come_back())
    await until(lambda: person.fetches.asked)
    signing_in.cancel()
    assert "The command was ended" in (await page)[2]
    with pytest.raises(CancelledError):
        await signing_in

"""A secret is seen only by who asks for it."""

from mcptunnel.config.secret import Secret


def test_no_ordinary_way_shows_it() -> None:
    secret = Secret("hunter2")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>30}", [secret]]
    assert all("hunter2" not in str(text) for text in shown)
    assert secret.reveal() == "hunter2"


def test_equal_secrets_are_equal() -> None:
    assert Secret("ä") == Secret("ä")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2

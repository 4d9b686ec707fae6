"""Which hosts and origins are let in (DNS rebinding)."""

import pytest

from mcptunnel.relay.web.guard import Guard

PUBLIC = Guard.of("https://relay.example", (), ())
LOCAL = Guard.of("http://127.0.0.1:8787", (), ())
OPEN = Guard.of("https://relay.example", ("Other.example:99",), ("https://App.example",))


@pytest.mark.parametrize(
    ("guard", "host"),
    [
        (PUBLIC, "relay.example"),
        (PUBLIC, "Relay.Example:443"),
        (PUBLIC, " relay.example:8443 "),
        (LOCAL, "127.0.0.1:8787"),
        (LOCAL, "localhost"),
        (LOCAL, "LOCALHOST:1"),
        (LOCAL, "[::1]:8787"),
        (LOCAL, "[::1]"),
        (OPEN, "other.example"),
        (Guard.of("http://[::1]:8787", (), ()), "localhost:8787"),
    ],
)
def test_hosts_that_are_ours(guard: Guard, host: str) -> None:
    """By name, without the port; the names of the loopback are one."""
    assert guard.refusal(host, None) is None


@pytest.mark.parametrize(
    ("guard", "host"),
    [
        (PUBLIC, None),
        (PUBLIC, ""),
        (PUBLIC, "evil.example"),
        (PUBLIC, "localhost"),
        (PUBLIC, "relay.example.evil.example"),
        (PUBLIC, "relay.example,evil.example"),
        (LOCAL, "rebound.evil.example:8787"),
        (LOCAL, "[::2]:8787"),
        (LOCAL, "127.0.0.2"),
        (PUBLIC, "x" * 5000),
    ],
)
def test_hosts_that_are_not(guard: Guard, host: str | None) -> None:
    refusal = guard.refusal(host, None)
    assert refusal is not None
    status, text = refusal
    assert status == 421
    assert len(text) < 300


@pytest.mark.parametrize(
    ("guard", "host", "origin"),
    [
        (PUBLIC, "relay.example", "https://relay.example"),
        (PUBLIC, "relay.example", "HTTPS://Relay.Example"),
        (OPEN, "relay.example", "https://app.example"),
        (LOCAL, "localhost:8787", "http://localhost:8787"),
        (LOCAL, "localhost:8787", "http://127.0.0.1:8787"),
        (LOCAL, "localhost:8787", "http://[::1]:8787"),
        (Guard.of("http://localhost", (), ()), "localhost", "http://127.0.0.1"),
    ],
)
def test_origins_that_may_call(guard: Guard, host: str, origin: str) -> None:
    assert guard.refusal(host, origin) is None


@pytest.mark.parametrize(
    ("guard", "host", "origin"),
    [
        (PUBLIC, "relay.example", ""),
        (PUBLIC, "relay.example", "null"),
        (PUBLIC, "relay.example", "http://relay.example"),
        (PUBLIC, "relay.example", "https://relay.example:8443"),
        (PUBLIC, "relay.example", "https://relay.example,https://evil.example"),
        (LOCAL, "localhost:8787", "http://localhost:9999"),
        (LOCAL, "localhost:8787", "https://localhost:8787"),
        (LOCAL, "localhost:8787", "http://localhost"),
    ],
)
def test_origins_that_may_not(guard: Guard, host: str, origin: str) -> None:
    refusal = guard.refusal(host, origin)
    assert refusal is not None
    assert refusal[0] == 403

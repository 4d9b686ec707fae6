"""The suite and the authorization server: its own scenarios, and the server's behind a token of it."""

from collections.abc import Iterator

import pytest

from tests.conformance.authorization import check_authorization_server
from tests.conformance.gaps import GAPS, unexplained
from tests.conformance.places import STDIO
from tests.conformance.suite import check_server
from tests.conformance.test_server import REVISIONS
from tests.interop.processes import free_port
from tests.interop.signed_in import SignedIn, signed_in
from tests.interop.tunnel import ServerEntry

CLIENT_ID = "conformance"
CALLBACK_PORT = free_port()


@pytest.fixture(scope="module")
def place(
    with_provider: None,  # noqa: ARG001 - for its effect
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SignedIn]:
    """Run a relay with a provider; its hub leaves names alone, and it knows the suite as a client."""
    assert STDIO.command is not None
    entry = ServerEntry(STDIO.name, command=STDIO.command(), prefix="")
    client = (
        f"[auth.oauth.clients.{CLIENT_ID}]",
        f'redirect_uris = ["http://127.0.0.1:{CALLBACK_PORT}/callback"]',
    )
    with signed_in(tmp_path_factory.mktemp("s"), [entry], *client) as running:
        yield running


@pytest.mark.parametrize("names_resource", [False, True])
def test_the_authorization_server_passes(
    place: SignedIn, tmp_path_factory: pytest.TempPathFactory, *, names_resource: bool
) -> None:
    """Metadata, and a code that becomes a token, without a scope, with and without a resource."""
    words = ("--resource", place.tunnel.url) if names_resource else ()
    folder = tmp_path_factory.mktemp("results")
    results = check_authorization_server(
        place.tunnel.origin, CLIENT_ID, CALLBACK_PORT, folder, *words
    )
    assert results.failures() == {}, results.said
    assert (len(results.scores), results.passed, results.status) == (2, 3, 0), results.said
    assert sum(score.warned for score in results.scores.values()) == 0, results.said


@pytest.mark.parametrize("revision", REVISIONS)
def test_everything_passes_with_a_token(
    place: SignedIn, tmp_path_factory: pytest.TempPathFactory, revision: str
) -> None:
    """The hub is the same for who has a token of a sign-in as for who has a key."""
    folder = tmp_path_factory.mktemp("results")
    words = ("--requirements", revision)
    results = check_server(place.tunnel.url, place.token(), folder, *words)
    assert len(results.scores) == REVISIONS[revision], results.said
    assert unexplained(results, GAPS.get(("stdio", "hub", revision), {})) == {}

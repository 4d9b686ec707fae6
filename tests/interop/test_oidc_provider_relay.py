"""People sign in to a real relay at the npm package `oidc-provider`, and go on where they wanted to."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.interop import environments
from tests.interop.oidc_provider.provider import CLIENT_ID, SECRET, Browser, Op, RunningOp
from tests.interop.processes import free_port
from tests.programs.client import MODERN, Client
from tests.programs.programs import Estate, Relay
from tests.programs.test_local_login import users
from tests.programs.test_revoking import check_refused
from tests.programs.visitor import Page, Visitor


class Place:
    """A relay and its provider."""

    def __init__(self, relay: Relay, op: RunningOp) -> None:
        self.relay = relay
        self.op = op

    def come_back(self, visitor: Visitor, path: str = "/login?next=/device", **how: str) -> Page:
        """Leave for the provider, fill in its pages, and come back."""
        there = visitor.get(path)
        assert there.status == 303, there
        came = Browser(self.op.op.redirect_uri).go(there.location, **how)
        return visitor.get(f"/callback?{urlencode(came)}")

    def visitor(self) -> Visitor:
        return Visitor(self.relay.port)


@pytest.fixture
def place(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Place]:
    try:
        environments.provider_packages()
    except environments.MissingToolError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    folder: Path = tmp_path_factory.mktemp("p")
    estate = Estate(folder, free_ports)
    relay = estate.relay()
    op = Op(port=free_port(), redirect_uri=f"{relay.origin}/callback")
    (relay.folder / "oidc-secret").touch(0o600)
    (relay.folder / "oidc-secret").write_text(SECRET)
    with relay.config.open("a") as config:
        config.write(
            f'[auth]\nissuer = "{op.issuer}"\nclientId = "{CLIENT_ID}"\n'
            'clientSecretFile = "oidc-secret"\nallowedGroups = ["staff"]\n'
            'scopes = ["openid", "profile", "email", "groups"]\n'
        )
    try:
        with RunningOp(op, folder) as running:
            relay.start()
            yield Place(relay, running)
        estate.close()
    finally:
        estate.clean_up()


def test_people_sign_in_and_are_kept_out(place: Place) -> None:
    alice, bob = place.visitor(), place.visitor()
    page = place.come_back(alice, user="alice")
    assert (page.status, page.location) == (303, "/device")
    assert place.come_back(bob, user="bob").status == 303
    listed = users(place.relay, "list")
    issuer = place.op.op.issuer
    assert f"{issuer}|alice\tAlice Ä\talice@example.org" in listed
    assert f"{issuer}|bob\tBob B\tbob@example.org" in listed
    users(place.relay, "disable", "alice")
    assert alice.get("/login").location.startswith(issuer), "she is asked again"
    assert bob.is_signed_in()
    refused = place.come_back(place.visitor(), user="alice")
    assert refused.status == 403
    assert "may not sign in" in refused.text


def test_an_unverified_address_of_somebody_else_opens_nothing(place: Place) -> None:
    refused = place.come_back(place.visitor(), user="mallory")
    assert refused.status == 403
    assert "not on the list" in refused.text
    assert "mallory" not in users(place.relay, "list")


def test_a_person_who_says_no_is_told_and_can_try_again(place: Place) -> None:
    visitor = place.visitor()
    refused = place.come_back(visitor, deny="1")
    assert refused.status == 403
    assert "The person said no" in refused.text
    assert "/login?next=%2Fdevice&amp;again=1" in refused.text
    assert place.come_back(visitor, "/login?next=/device&again=1", user="bob").status == 303


def test_keys_are_of_the_users_whom_the_provider_knows(place: Place) -> None:
    """`--user alice` is the same alice who signs in: her devices are hers, and her keys end with her."""
    assert place.come_back(place.visitor(), user="alice").status == 303
    client = Client(place.relay.port, place.relay.key("alice", "mcp"), MODERN).connect()
    assert "status" in client.tools()
    users(place.relay, "disable", "alice")
    check_refused(client)
    users(place.relay, "enable", "alice")
    assert "status" in client.tools()

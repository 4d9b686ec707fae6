"""Other people's clients are given less than they ask for, want to do more, and ask the person for that.

Each one is allowed to read and no more when it first signs in. It lists; its first call is refused with
what a call needs (403, `insufficient_scope`), and what it does then is what these tests show.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.interop.drivers import Record, call, list_tools
from tests.interop.signed_in import Client, Grant, SignedIn, signed_in
from tests.interop.test_sign_in import DEMO, DRIVERS_BY_NAME, PREFIX, SUM, ask_inspector

READING = "See what there is on all servers of all your devices"
CALLING = "Use the tools, data and prompts of all servers of all your devices"
ALREADY, NEW, THEN = "It can already", "This is new: it could then", "It could then"

NODE_1_ONCE = "node-1 without refresh tokens"
STEPS_UP = (
    "python-1",
    "python-2-legacy",
    "python-2-auto",
    NODE_1_ONCE,
    "node-2-legacy",
    "node-2-auto",
    "mcp-remote-auto",
)
NEWER = ("python-2-auto", "node-2-auto")
MORE = call("add", a=2, b=41)


@dataclass(frozen=True, slots=True)
class Story:
    """What a client reported, its walks, and its grants at the relay."""

    record: Record
    client: Client
    grants: tuple[Grant, ...]


class Stories:
    """The relay, and what became of the clients; all of them are there at the same time."""

    def __init__(self, place: SignedIn, pool: ThreadPoolExecutor) -> None:
        self.place = place
        self._pool = pool
        self._told: dict[tuple[str, ...], Future[Story]] = {}

    def begin(self, name: str, *answers: str) -> None:
        self._told[(name, *answers)] = self._pool.submit(self._story, name, answers)

    def of(self, name: str, *answers: str) -> Story:
        """Return what became of a client; raises what went wrong with it."""
        try:
            return self._told[(name, *answers)].result()
        except AssertionError as error:
            error.add_note(self.place.tunnel.logs())
            raise

    def _story(self, name: str, answers: tuple[str, ...]) -> Story:
        client = self.place.client(" ".join([name, *answers]), "-".join([name, *answers]), *answers)
        driver = DRIVERS_BY_NAME[name.split(maxsplit=1)[0]]
        endpoint = client.endpoint(PREFIX, refreshes=name != NODE_1_ONCE)
        record = driver.run(endpoint, list_tools(), SUM, MORE, list_tools())
        return Story(record, client, tuple(self.place.grants(client)))


@pytest.fixture(scope="module")
def stories(
    with_provider: None,  # noqa: ARG001 - for its effect
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stories]:
    with (
        signed_in(tmp_path_factory.mktemp("u"), [DEMO]) as place,
        ThreadPoolExecutor(len(STEPS_UP)) as pool,
    ):
        told = Stories(place, pool)
        for name in (*STEPS_UP, "node-1"):
            told.begin(name, "read", "allow")
        for name in ("python-1", *NEWER):
            told.begin(name, "read", "deny")
        for name in NEWER:
            told.begin(name, "read", "read")
        yield told


def opens(grant: Grant) -> frozenset[str]:
    return grant.scopes - {"offline_access"}


each_that_steps_up = pytest.mark.parametrize("name", STEPS_UP)


@each_that_steps_up
def test_a_call_is_made_once_the_person_has_agreed_to_more(stories: Stories, name: str) -> None:
    """In the same connection, and in the same session where there is one; and nobody is asked again."""
    story = stories.of(name, "read", "allow")
    assert f"{PREFIX}add" in story.record.tools(0)
    assert "42" in story.record.text(1)
    assert "43" in story.record.text(2)
    assert f"{PREFIX}add" in story.record.tools(3)
    assert len(story.record.all("connected")) == 1
    assert len(story.client.walks()) == 2


@each_that_steps_up
def test_it_asks_for_the_union(stories: Stories, name: str) -> None:
    """Of what it has and what the call needs; the grant that comes of it has the broader one of the two."""
    story = stories.of(name, "read", "allow")
    first, second = (set(walk.asked["scope"].split()) for walk in story.client.walks())
    assert "mcp:read" not in first
    assert second - {"offline_access"} == {"mcp", "mcp:read"}
    assert [opens(grant) for grant in story.grants] == [{"mcp:read"}, {"mcp"}]
    assert not any(grant.is_revoked for grant in story.grants)


@each_that_steps_up
def test_the_person_sees_what_is_new(stories: Stories, name: str) -> None:
    first, second = (walk.consent for walk in stories.of(name, "read", "allow").client.walks())
    assert ALREADY not in first
    assert f"{THEN} {CALLING}" in first
    assert f"{ALREADY} {READING}" in second
    assert f"{NEW} {CALLING}" in second


def test_the_first_typescript_sdk_refreshes_instead(stories: Stories) -> None:
    """It has a refresh token, and tries that, once. What was not granted does not come of it (RFC 6749, 6).

    The call fails with its 403; it goes on with what it may do. Nobody is asked.
    """
    story = stories.of("node-1", "read", "allow")
    for step in (1, 2):
        assert "403 after trying upscoping" in story.record.error_text(step)
    assert f"{PREFIX}add" in story.record.tools(3)
    assert len(story.client.walks()) == 1
    (grant,) = story.grants
    assert opens(grant) == {"mcp:read"}
    assert 2 <= grant.refresh_tokens <= 3, "once for each call, and no more"


@pytest.mark.parametrize("name", ["python-1", *NEWER])
def test_a_client_hears_that_the_person_wants_no_more(stories: Stories, name: str) -> None:
    """`access_denied` comes back with `iss`, for each call once; the grant is what it was."""
    story = stories.of(name, "read", "deny")
    answers = [event.fields["came"] for event in story.record.all("came")]
    assert "code" in answers[0]
    for answer in answers[1:]:
        assert answer["error"] == "access_denied"
        assert answer["iss"] == stories.place.tunnel.origin
    assert 2 <= len(answers) <= 3
    assert [opens(grant) for grant in story.grants] == [{"mcp:read"}]


def test_what_was_allowed_goes_on_after_a_no(stories: Stories) -> None:
    """In the second TypeScript SDK; the connections of the Python SDKs end with what the browser says."""
    story = stories.of("node-2-auto", "read", "deny")
    for step in (1, 2):
        assert "The person did not agree" in story.record.error_text(step)
    assert f"{PREFIX}add" in story.record.tools(3)
    for name in ("python-1", "python-2-auto"):
        assert stories.of(name, "read", "deny").record.last(1).name in ("came", "done")


@pytest.mark.parametrize("name", NEWER)
def test_a_person_who_gives_the_same_again_is_not_asked_for_ever(
    stories: Stories, name: str
) -> None:
    """The call fails then. Each call asks once, or twice in the second TypeScript SDK's two tries."""
    story = stories.of(name, "read", "read")
    for step in (1, 2):
        assert story.record.error_text(step)
    assert f"{PREFIX}add" in story.record.tools(3)
    assert len(story.client.walks()) <= 5
    assert {opens(grant) for grant in story.grants} == {frozenset({"mcp:read"})}


def test_the_inspector_wants_to_be_told_to_sign_in_anew(stories: Stories) -> None:
    """It refreshes as the first SDK does, and stumbles over its own success. Nothing is widened by that."""
    client = stories.place.client("inspector", "inspector", "read", "allow")
    adds = ("--method", "tools/call", "--tool-name", f"{PREFIX}add", "--tool-arg", "a=2", "b=40")
    assert ask_inspector(client, "--method", "tools/list").returncode == 0
    done = ask_inspector(client, *adds)
    assert done.returncode == 1
    assert "AUTHORIZED without authorization code" in done.stderr
    assert len(client.walks()) == 1
    assert [opens(grant) for grant in stories.place.grants(client)] == [{"mcp:read"}]
    anew = ask_inspector(client, "--relogin", *adds)
    assert anew.returncode == 0, anew.stderr
    assert "42" in anew.stdout
    assert [walk.consent.count(READING) for walk in client.walks()] == [0, 0], "it registered anew"

"""Other people's clients sign in by OAuth at a real provider: tokens, calls, refreshing, and the end of it.

All clients do this at the same time, each in an installation of its own: it first signs in and lives
longer than its access token; then its grant is given back, and it is started again.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.interop import environments
from tests.interop.drivers import DRIVERS, Endpoint, Record, call, list_tools, pause
from tests.interop.processes import Process, free_port, wait_until
from tests.interop.signed_in import Client, Grant, SignedIn, signed_in
from tests.interop.test_inspector import LAUNCHER
from tests.interop.tunnel import PYTHONPATH, ServerEntry

ACCESS_LIFETIME_S = 10
LONGER_S = ACCESS_LIFETIME_S + 1.0
PROGRAM_TIMEOUT_S = 60.0
PREFIX = "demo__"
DEMO = ServerEntry(
    "demo", command=[sys.executable, "-m", "mcptunnel.testing.demo_server"], env=PYTHONPATH
)
DRIVERS_BY_NAME = {driver.name: driver for driver in DRIVERS}
SDKS = ("python-1", "python-2-auto", "node-1", "node-2-auto")
ALL = (*SDKS, "mcp-remote-auto", "inspector")
SUM = call("add", a=2, b=40)
DOCUMENT_URL = "https://client.example/oauth/client.json"
DOCUMENT = {
    "client_id": DOCUMENT_URL,
    "client_name": "A client with a document",
    "redirect_uris": ["http://127.0.0.1:9/callback"],
    "token_endpoint_auth_method": "none",
}


@dataclass(frozen=True, slots=True)
class Story:
    """What became of one client: the tools it saw, what its calls said, its grants, and its walks."""

    tools: frozenset[str]
    said: tuple[str, ...]
    before: tuple[Grant, ...]
    after: tuple[Grant, ...]
    client: Client


def ask_inspector(client: Client, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the Inspector's command line once."""
    node = environments.node_packages()
    program = node.package_file("@modelcontextprotocol/inspector", LAUNCHER)
    options = ["--transport", "http", "--protocol-era", "modern", "--format", "json"]
    env = client.sign_in.env | {
        "MCP_AUTO_OPEN_ENABLED": "true",  # it has no terminal
        "MCP_INSPECTOR_SECRET_STORE": "file",
        "MCP_OAUTH_CALLBACK_URL": f"http://127.0.0.1:{free_port()}/oauth/callback",
        "MCP_STORAGE_DIR": str(client.folder),
    }
    return subprocess.run(
        [str(node.node), str(program), "--cli", client.endpoint("").url, *options, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
        check=False,
    )


def _inspect(client: Client, *words: str) -> str:
    done = ask_inspector(client, *words)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def _inspector_sum(client: Client) -> str:
    words = ("--method", "tools/call", "--tool-name", f"{PREFIX}add", "--tool-arg", "a=2", "b=40")
    return _inspect(client, *words)


def _inspector_story(place: SignedIn, client: Client) -> Story:
    listed = json.loads(_inspect(client, "--method", "tools/list"))["result"]["tools"]
    said = [_inspector_sum(client)]
    time.sleep(LONGER_S)
    said.append(_inspector_sum(client))
    before = place.grants(client)
    client.give_back()
    said.append(_inspector_sum(client))
    names = frozenset(tool["name"] for tool in listed)
    return Story(names, tuple(said), tuple(before), tuple(place.grants(client)), client)


def _story(place: SignedIn, name: str) -> Story:
    client = place.client(name, name)
    if name == "inspector":
        return _inspector_story(place, client)
    driver, endpoint = DRIVERS_BY_NAME[name], client.endpoint(PREFIX)
    first = driver.run(endpoint, list_tools(), SUM, pause(LONGER_S), SUM)
    before = place.grants(client)
    client.give_back()
    again = driver.run(endpoint, SUM)
    said = (first.text(1), first.text(3), again.text(0))
    after = tuple(place.grants(client))
    return Story(frozenset(first.tools(0)), said, tuple(before), after, client)


class Stories:
    """The relay, and what became of every client."""

    def __init__(self, place: SignedIn) -> None:
        self.place = place
        with ThreadPoolExecutor(len(ALL)) as pool:
            self._told = {name: pool.submit(_story, place, name) for name in ALL}

    def of(self, name: str) -> Story:
        """Return what became of a client; raises what went wrong with it."""
        try:
            return self._told[name].result()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            error.add_note(self.place.tunnel.logs())
            raise


@pytest.fixture(scope="module")
def stories(
    with_provider: None,  # noqa: ARG001 - for its effect
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stories]:
    folder = tmp_path_factory.mktemp("s")
    pinned = folder / "documents.json"
    pinned.write_text(json.dumps({DOCUMENT_URL: DOCUMENT}))
    lines = [f"access_lifetime_s = {ACCESS_LIFETIME_S}", f'pinned_documents = "{pinned}"']
    with signed_in(folder, [DEMO], *lines) as place:
        yield Stories(place)


each_client = pytest.mark.parametrize("name", ALL)


@each_client
def test_signs_in_lists_and_calls(stories: Stories, name: str) -> None:
    """From a 401 to a token: discovery, registration, provider, consent; then it sees alice's servers."""
    story = stories.of(name)
    assert f"{PREFIX}add" in story.tools
    assert "42" in story.said[0]
    walk = story.client.walks()[0]
    assert walk.pages[-1] == "/consent"
    assert walk.came["iss"] == stories.place.tunnel.origin
    assert walk.asked["resource"] == stories.place.tunnel.url
    assert stories.place.registered(walk.asked["client_id"])
    assert story.before[0].user == "alice"
    assert "mcp" in story.before[0].scopes


@each_client
def test_refreshes_by_itself(stories: Stories, name: str) -> None:
    """When its access token has expired it gets another one of the same grant; nobody is asked."""
    story = stories.of(name)
    assert "42" in story.said[1]
    (grant,) = story.before
    assert grant.refresh_tokens >= 2
    assert not grant.is_revoked


@each_client
def test_signs_in_anew_when_its_grant_has_ended(stories: Stories, name: str) -> None:
    """Token and refresh token are worth nothing then: the person is asked again, and it goes on."""
    story = stories.of(name)
    assert "42" in story.said[2]
    assert [grant.is_revoked for grant in story.after] == [True, False]
    assert [walk.pages[-1] for walk in story.client.walks()] == ["/consent", "/consent"]


def test_a_person_sees_their_own_servers(stories: Stories) -> None:
    """Bob may use the same client at the same relay, and has none of alice's tools."""
    client = stories.place.client("python-2-auto", "bob", user="bob")
    endpoint = Endpoint(client.endpoint("").url, sign_in=client.sign_in)
    record = DRIVERS_BY_NAME["python-2-auto"].run(endpoint, list_tools(), call(f"{PREFIX}add"))
    assert record.tools(0).keys() == {"status", "restart"}
    assert record.error_text(1)
    assert stories.place.grants(client)[-1].user == "bob"


@pytest.mark.parametrize("name", SDKS)
def test_a_client_with_a_document_about_itself_does_not_register(
    stories: Stories, name: str
) -> None:
    """The relay says that it takes such clients, and each SDK then uses the URL as its id."""
    folder = f"{name}-document"
    client = stories.place.client(name, folder, document_url=DOCUMENT_URL)
    record = DRIVERS_BY_NAME[name].run(client.endpoint(PREFIX), SUM)
    assert "42" in record.text(0)
    (walk,) = client.walks()
    assert walk.asked["client_id"] == DOCUMENT_URL
    assert walk.pages[-1] == "/consent"
    assert stories.place.grants(client)[-1].user == "alice"
    assert not stories.place.registered(DOCUMENT_URL)


@pytest.mark.parametrize("name", SDKS)
def test_a_client_hears_that_the_person_said_no(stories: Stories, name: str) -> None:
    """`access_denied` reaches it with `iss`, which the newer clients check before they believe it."""
    client = stories.place.client(f"{name}-denied", f"{name}-denied", "deny")
    record: Record = DRIVERS_BY_NAME[name].run(client.endpoint(PREFIX), SUM)
    (came,) = record.all("came")
    answer = came.fields["came"]
    assert (answer["error"], answer["iss"]) == ("access_denied", stories.place.tunnel.origin)
    assert "code" not in answer
    assert record.all("connected") == []
    assert stories.place.grants(client) == []


def test_the_inspector_tells_that_the_person_said_no(stories: Stories) -> None:
    client = stories.place.client("inspector", "inspector-denied", "deny")
    done = ask_inspector(client, "--method", "tools/list")
    assert done.returncode == 1
    assert "The person did not agree" in done.stderr


def test_mcp_remote_tells_that_the_person_said_no(stories: Stories) -> None:
    client = stories.place.client("mcp-remote", "mcp-remote-denied", "deny")
    node = environments.node_packages()
    program = node.package_file("mcp-remote", "dist/client.js")
    words = [str(node.node), str(program), client.endpoint("").url, "--allow-http"]
    log = client.folder / "log"
    with Process("mcp-remote", words, log=log, env=client.sign_in.env) as running:
        told = "access_denied - The person did not agree"
        wait_until(lambda: told in running.log_text(), PROGRAM_TIMEOUT_S, "mcp-remote to say so")

"""`mcptunnel login` where something is wrong: the disk, the relay, a stranger on the machine, a second login."""

import json
import re
import urllib.request
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from twisted.internet.threads import deferToThread

from tests.agent import in_reactor, the_reactor, until
from tests.agent.sign_in import metadata, refresh
from tests.cli.test_login import COMMAND, Stage, stage
from tests.net.web_servers import WebServer, answer, saying
from tests.programs.process import Program
from tests.programs.test_sign_in import fetched

__all__ = ["stage"]

NO_ROOM = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")
"""Runs a command that can make files and write nothing into them, as on a full disk."""


async def url_of(program: Program) -> str:
    """Return the address that a login shows."""
    await until(lambda: "Waiting for you to sign in" in program.log)
    (url,) = re.findall(r"^  (http://\S+)$", program.log, re.MULTILINE)
    return str(url)


async def ended(program: Program) -> int | None:
    """Return the exit status of a program, once it has one."""
    await until(lambda: program._process.poll() is not None and program._ended)
    return program._process.returncode


async def agree(url: str) -> str:
    """Be a browser whose user allows everything; return the page that the program shows."""
    page: str = await deferToThread(visit, url)
    return page


def visit(url: str) -> str:

    with urllib.request.urlopen(url, timeout=10) as page:
        text: str = page.read().decode()
    return text


@in_reactor
async def test_on_a_full_disk_what_the_relay_gave_is_given_back(stage: Stage) -> None:
    """Nobody could end that grant otherwise but whoever runs the relay: no file has it."""
    program = Program(
        "login",
        (*NO_ROOM, *COMMAND, "login", stage.relay.origin),
        stage.folder,
        {**stage.env, "BROWSER": "true"},
    )
    stage.programs.append(program)
    await agree(await url_of(program))
    assert await ended(program) == 1
    assert "cannot be written: File too large. Look at " in program.log
    assert "Signed in" not in program.log
    assert [form["token"] for form in stage.relay.forms_at("/revoke")] == [refresh(1)]
    assert stage.kept.read() is None
    assert [one.suffix for one in stage.kept.folder.iterdir()] == [".lock"]
    stage.check_secrets()


@in_reactor
async def test_of_two_logins_at_once_the_last_one_stays(stage: Stage) -> None:
    """Each has a port of its own; what the first one got is ended at the relay."""
    first, second = (stage.start("login", stage.relay.origin, BROWSER="true") for _ in range(2))
    urls = [await url_of(first), await url_of(second)]
    for program, url in zip((second, first), reversed(urls), strict=True):
        assert "<h1>Signed in</h1>" in await agree(url)
        assert await ended(program) == 0, program.log
    assert [form["token"] for form in stage.relay.forms_at("/revoke")] == [refresh(1)]
    kept = stage.kept.read()
    assert kept is not None
    assert kept.refresh_token.reveal() == refresh(2)


@in_reactor
async def test_a_stranger_who_calls_first_changes_nothing(stage: Stage) -> None:
    """Another program on the machine knows the port, not the `state`; nor does a page that rebinds."""
    program = stage.start("login", stage.relay.origin, BROWSER="true")
    url = await url_of(program)
    back = urlsplit(dict(parse_qsl(urlsplit(url).query))["redirect_uri"])
    for query in (
        {"code": "x", "state": "guessed", "iss": stage.relay.origin},
        {"error": "access_denied", "state": "", "iss": stage.relay.origin},
        {"error": "access_denied"},
    ):
        said = await deferToThread(fetched, f"{back.geturl()}?{urlencode(query)}")
        assert "belongs to no sign-in" in said
    assert "<h1>Signed in</h1>" in await agree(url)
    assert await ended(program) == 0, program.log
    assert len(stage.relay.forms_at("/token")) == 1


EVIL = "https://evil.test"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"issuer": EVIL}, f"calls itself {EVIL} (its public_url)"),
        ({"issuer": f"{EVIL}\x1b[2J\n"}, "does not say who it is"),
        ({"token_endpoint": f"{EVIL}/token"}, "names no token_endpoint of its own"),
        ({"authorization_endpoint": f"{EVIL}/authorize"}, "names no authorization_endpoint"),
        ({"authorization_endpoint": "file:///etc/passwd"}, "names no authorization_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "names no authorization_endpoint"),
        ({"x": "y" * 70_000}, "The relay cannot be asked: "),
        ({"x": [[[[]]]] * 20_000}, "The relay cannot be asked: "),
    ],
)
@in_reactor
async def test_a_hostile_relay_gets_no_browser_opened(
    stage: Stage, members: dict[str, object], said: str
) -> None:
    """Nor anything sent: it is asked once."""

    origin = stage.relay.origin
    await stage.relay.stop()
    body = json.dumps(metadata(origin, **members)).encode()
    server = WebServer(the_reactor(), int(origin.rpartition(":")[2]), saying(answer(body)))
    status, told = await stage.run("login", origin)
    assert status == 1
    assert said in told
    assert "Traceback" not in told
    assert all(line.isprintable() for line in told.splitlines())
    assert len(server.requests) == 1
    assert not stage.seen.exists()
    await server.stop()


@in_reactor
async def test_a_relay_that_sends_us_elsewhere(stage: Stage) -> None:
    """Such as from one name to another: nothing is sent there, and the person can look at the name."""
    origin = stage.relay.origin
    await stage.relay.stop()
    moved = answer(b"", f"Location: {EVIL}/.well-known/x", status="301 Moved Permanently")
    server = WebServer(the_reactor(), int(origin.rpartition(":")[2]), saying(moved))
    status, told = await stage.run("login", origin)
    assert status == 1
    assert f"a redirect to {EVIL}, which is not followed" in told
    await server.stop()

"""What a reader of the tutorial has at its end: a relay that others reach by https alone."""

import json
import re
import shutil
import subprocess
import urllib.request
from itertools import pairwise

import pytest

from tests.docs.pages import CHECKOUT
from tests.programs.browser import PersonsBrowser
from tests.programs.client import LEGACY, MODERN, TIMEOUT_S, get, opened
from tests.programs.process import eventually, finished
from tests.tutorial.conftest import PASSWORD, USER, Owner
from tests.tutorial.files import HOST
from tests.tutorial.server import Laptop, RentedServer

LONG = {"n": 10_000, "interval": 0.1}


def test_caddy_takes_the_file_as_it_is() -> None:
    """And finds it well-formed, to the last tab."""
    caddy, file = shutil.which("caddy"), CHECKOUT / "docs" / "tutorial" / "files" / "Caddyfile"
    assert caddy is not None, "Debian: apt install caddy"
    words = ("--config", str(file), "--adapter", "caddyfile")
    checked = finished([caddy, "validate", *words], CHECKOUT)
    assert checked.returncode == 0, checked.stderr
    assert "not formatted" not in checked.stderr
    assert finished([caddy, "fmt", str(file)], CHECKOUT).stdout == file.read_text()


def test_plain_http_leads_to_https(server: RentedServer) -> None:
    connection = opened(server.http_port, TIMEOUT_S)
    connection.request("GET", "/mcp", headers={"host": "localhost"})
    answer = connection.getresponse()
    assert answer.status == 308
    assert answer.headers["location"].startswith("https://localhost")
    connection.close()


def test_the_reader_sees_what_the_page_says_and_the_relays_own_name(server: RentedServer) -> None:
    """A name that was forgotten in `relay.toml` shows before anybody wants to sign in."""
    page = (CHECKOUT / "docs" / "tutorial" / "public.md").read_text()
    (shown,) = re.findall(r"`(\{\"name\".*),…\}`", page)
    url = f"https://localhost:{server.port}/"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=server.tls) as answer:
        text = answer.read().decode()
    assert text.startswith(shown.replace(f"https://{HOST}", server.origin))


def test_the_relay_itself_is_on_loopback_alone(server: RentedServer) -> None:
    listening = server.relay.program.log
    assert re.search(rf"listening on .*127\.0\.0\.1.*{server.relay.port}", listening), listening


def test_the_setup_link_makes_the_first_user(server: RentedServer, owner: Owner) -> None:
    """Over https: the cookie is bound to this host, and the pages ask for https for ever."""
    cookies = [value for name, value in owner.done.fields if name.lower() == "set-cookie"]
    cookies += [value for name, value in owner.shown.fields if name.lower() == "set-cookie"]
    assert set(owner.browser.cookies) == {"__Host-mcptunnel"}
    for cookie in cookies:
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert {"secure", "httponly", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)
    for page in (owner.shown, owner.done):
        fields = {name.lower(): value for name, value in page.fields}
        assert int(re.findall(r"max-age=(\d+)", fields["strict-transport-security"])[0]) > 10**7
        assert "default-src 'none'" in fields["content-security-policy"]
    listed = server.run("users", "list", "--config", "relay.toml")
    assert USER in listed


def test_the_agent_is_linked_through_caddy(server: RentedServer, laptop: Laptop) -> None:
    assert f"connected to {server.origin}" in laptop.agent.program.log
    assert get(server.relay.port, "/health")[1]["tunnel"] == "connected"


def test_a_machine_without_a_browser_signs_in(
    server: RentedServer, owner: Owner, laptop: Laptop
) -> None:
    program = laptop.start("login", "--device", server.origin)
    program.wait_for("Waiting for you")
    (code,) = re.findall(r"^  ([A-Z]{4}-[A-Z]{4})$", program.log, re.MULTILINE)
    page = owner.browser.open(f"{server.origin}/device")
    page = owner.browser.post("/device", page.form | {"user_code": code})
    page = owner.browser.post("/device", page.form | {"user_code": code, "decision": "allow"})
    assert page.status == 200, page.text
    program.wait_for("Signed in at")


@pytest.mark.parametrize("version", [*LEGACY, MODERN])
def test_an_application_calls_a_tool(server: RentedServer, token: str, version: str) -> None:
    """Given the URL alone it found the sign-in, and its token opens the servers of the laptop."""
    client = server.client(token, version=version)
    eventually(lambda: "demo__add" in client.tools(), 20, "the tools")
    assert client.call("demo__add", a=2, b=3).text == '{"sum": 5}'


@pytest.mark.parametrize("version", [LEGACY[-1], MODERN])
def test_progress_comes_one_by_one(server: RentedServer, token: str, version: str) -> None:
    """Nothing on the way keeps an event until there are more."""
    client = server.client(token, version=version)
    counted = client.call("demo__countdown", "p", n=6, interval=0.3)
    moments = [one.at_s for one in counted.progress]
    gaps = [after - before for before, after in pairwise(moments)]
    assert len(moments) == 6
    assert min(gaps) > 0.1, gaps


@pytest.mark.skipif(shutil.which("curl") is None, reason="HTTP/2 is spoken by curl")
def test_progress_comes_one_by_one_over_http2(server: RentedServer, token: str) -> None:
    """As the applications of others speak it; the call is far from its end when the first is here."""
    client = server.client(token, version=MODERN)
    params = {"name": "demo__countdown", "arguments": LONG, "_meta": {"progressToken": "p"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    body = json.dumps({**message, "params": client._complete(params)})
    fields = client.headers("tools/call", params).items()
    lines = [f"header = {json.dumps(f'{name}: {value}')}" for name, value in fields]
    request = "\n".join([*lines, f"data = {json.dumps(body)}", ""])
    certificate, url = str(server.authority.certificate), f"https://localhost:{server.port}/mcp"
    with subprocess.Popen(
        [*["curl", "-sSN", "--http2", "-D", "-", "--config", "-", "--cacert"], certificate, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as curl:
        assert curl.stdin is not None
        assert curl.stdout is not None
        curl.stdin.write(request)
        curl.stdin.close()
        assert curl.stdout.readline().startswith("HTTP/2 200")
        line = next(line for line in curl.stdout if line.startswith("data:"))
        assert "notifications/progress" in line
        curl.terminate()


def test_a_client_that_goes_ends_its_call(server: RentedServer, token: str) -> None:
    """Closing the connection cancels; Caddy tells the relay of it, though there is nothing to write."""
    client = server.client(token, version=MODERN)
    before = client.call("demo__cancelled").text
    call = {"name": "demo__sleep", "arguments": {"seconds": 600}}
    connection = client.begin("tools/call", call)
    eventually(
        lambda: ": 1 calls," in server.run("status", "--config", "relay.toml"), 20, "the call"
    )
    connection.close()
    eventually(lambda: client.call("demo__cancelled").text != before, 2, "the end of the call")


@pytest.mark.parametrize("way", ["reset", "close"])
def test_a_call_survives_a_cut(server: RentedServer, laptop: Laptop, token: str, way: str) -> None:
    """The laptop's connection breaks; the call goes on over the next one."""
    client = server.client(token, version=MODERN)
    started = client.start_call("demo__countdown", {"n": 30, "interval": 0.1}, "p")
    started[1].wait_for_progress()
    cut_at = len(laptop.agent.program.log)
    server.network.cut(way)
    counted = client.outcome(*started)
    assert not counted.is_error
    assert len(counted.progress) == 29
    laptop.agent.program.wait_for("resumed", start=cut_at)


def test_a_call_survives_a_reload_of_caddy(
    server: RentedServer, laptop: Laptop, token: str
) -> None:
    """Which ends every WebSocket, and no answer that is on its way."""
    client = server.client(token, version=MODERN)
    started = client.start_call("demo__countdown", {"n": 30, "interval": 0.1}, "p")
    started[1].wait_for_progress()
    begun_at = len(laptop.agent.program.log)
    server.reload()
    counted = client.outcome(*started)
    assert not counted.is_error
    assert len(counted.progress) == 29
    laptop.agent.program.wait_for("resumed", start=begun_at)


def test_a_restart_of_the_relay_signs_nobody_out(
    server: RentedServer, laptop: Laptop, token: str
) -> None:
    """Token, sign-in and agent go on; Caddy uses no connection to the one that is gone."""
    begun_at = len(laptop.agent.program.log)
    server.relay.program.stop()
    server.relay.start()
    laptop.agent.program.wait_for("connected to", start=begun_at)
    client = server.client(token, version=MODERN)
    eventually(lambda: "demo__add" in client.tools(), 20, "the tools")
    assert client.call("demo__add", a=1, b=1).text == '{"sum": 2}'


@pytest.mark.usefixtures("owner")
def test_one_who_guesses_locks_out_nobody_else(server: RentedServer) -> None:
    """The relay knows people by the addresses from which they reach Caddy; what they claim is nothing."""
    guesser, other = (
        PersonsBrowser(server.public_port, tls=server.tls, source=source, through=server.port)
        for source in ("127.0.0.2", "127.0.0.3")
    )
    statuses = [log_in(guesser, "a wrong guess") for _ in range(6)]
    assert statuses == [403] * 5 + [429]
    guesser.extra["x-forwarded-for"] = "203.0.113.9"
    assert log_in(guesser, PASSWORD) == 429
    assert log_in(other, PASSWORD) == 200


def log_in(browser: PersonsBrowser, password: str) -> int:
    """Return what a sign-in is answered with, after all redirects."""
    form = browser.open(f"{browser.origin}/login").form
    return browser.post("/login", form | {"username": USER, "password": password}).status

"""The built-in login in a real relay: from the link in its log to a user who is kept out."""

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.programs.client import MODERN, Client
from tests.programs.process import environment, eventually
from tests.programs.programs import COMMAND, DEMO_SERVER, Estate, Relay
from tests.programs.test_revoking import COUNTDOWN, check_refused, rest_of
from tests.programs.visitor import Visitor, fields_of

LOCAL = '[auth]\nmode = "local"\n'
PASSWORD = "Grüße an den Bären 🐻"
SOON_S = 1.0
LINK = re.compile(r"http://127\.0\.0\.1:\d+/setup\?token=mcpt_su_\w+")


def users(relay: Relay, *words: str) -> str:
    """Run `mcptunnel users`; return what it prints."""
    done = subprocess.run(
        [*COMMAND, "users", words[0], "--config", "relay.toml", *words[1:]],
        cwd=relay.folder,
        env=environment(),
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def setup_link(relay: Relay) -> str:
    relay.program.wait_for(r"setup\?token=\w+")
    found: list[str] = LINK.findall(relay.program.log)
    return found[-1]


def test_from_the_setup_link_to_a_user_who_is_kept_out(estate: Estate) -> None:
    relay = estate.relay(LOCAL).start()
    first, second = Visitor(relay.port), Visitor(relay.port)
    assert first.join(setup_link(relay), "jörg 🦊", PASSWORD).location == "/"
    assert second.join(users(relay, "invite"), "bärbel", PASSWORD).location == "/"
    assert first.is_signed_in()
    assert second.is_signed_in()
    assert Visitor(relay.port).log_in("Bärbel", PASSWORD).location == "/"
    agent = estate.agent(relay, relay.key("bärbel", "agent"), servers={"demo": DEMO_SERVER}).start()
    client = Client(relay.port, relay.key("bärbel", "mcp"), MODERN).connect()
    eventually(lambda: "demo__countdown" in client.tools(), 20.0, "the tools")
    _, answer = client.start_call("demo__countdown", COUNTDOWN, "t")
    answer.wait_for_progress()
    begun_s = time.monotonic()
    users(relay, "disable", "bärbel")
    lost = [message["result"] for message in rest_of(answer) if "result" in message]
    assert all(result["isError"] for result in lost), "its agent is gone, too"
    assert not second.is_signed_in()
    done_s = time.monotonic()
    check_refused(client)
    agent.program.wait_for("refused|revoked|401", timeout_s=20)
    assert Visitor(relay.port).log_in("bärbel", PASSWORD).status == 403
    assert first.is_signed_in()
    told_s = _moment_of_the_command(relay)
    assert done_s - begun_s < SOON_S + told_s
    assert "kept out" in users(relay, "list")


def _moment_of_the_command(relay: Relay) -> float:
    """Return how long a command takes that changes nothing: starting it is no part of the second."""
    begun_s = time.monotonic()
    users(relay, "list")
    return time.monotonic() - begun_s


def test_many_who_use_the_setup_link_at_once_make_one_user(estate: Estate) -> None:
    relay = estate.relay(LOCAL).start()
    path = "/setup?" + setup_link(relay).partition("?")[2]
    visitors = [Visitor(relay.port) for _ in range(6)]
    forms = [
        fields_of(visitor.open(path))
        | {"username": f"user{n}", "password": PASSWORD, "password_again": PASSWORD}
        for n, visitor in enumerate(visitors)
    ]
    with ThreadPoolExecutor(len(visitors)) as threads:
        pages = list(
            threads.map(
                lambda one: one[0].post("/setup", one[1]), zip(visitors, forms, strict=True)
            )
        )
    assert sorted(page.status for page in pages) == [303, 410, 410, 410, 410, 410]
    assert users(relay, "list").count("in use") == 1
    assert sum(visitor.is_signed_in() for visitor in visitors) == 1


def test_a_restart_makes_another_link_until_there_is_a_user(estate: Estate) -> None:
    relay = estate.relay(LOCAL).start()
    first = setup_link(relay)
    relay.program.stop()
    relay.start()
    second = setup_link(relay)
    assert first != second
    assert Visitor(relay.port).open("/setup?" + first.partition("?")[2]).status == 410
    third = users(relay, "setup-link")
    assert Visitor(relay.port).open("/setup?" + second.partition("?")[2]).status == 410
    anna = Visitor(relay.port)
    assert anna.join(third, "anna", PASSWORD).location == "/"
    relay.program.stop()
    relay.start()
    assert anna.is_signed_in(), "sessions outlive a restart"
    assert "setup?token" not in relay.program.log


def test_threat_32_no_password_and_no_cookie_is_in_any_file_or_log(estate: Estate) -> None:
    relay = estate.relay(LOCAL).start()
    anna = Visitor(relay.port)
    anna.join(setup_link(relay), "anna", PASSWORD)
    anna.log_in("anna", "a wrong password")
    secrets = [PASSWORD, "a wrong password", *anna.cookies.values()]
    relay.program.stop()
    files = [path for path in relay.state_dir.rglob("*") if path.is_file()]
    assert files
    for text in (relay.program.log.encode(), *map(Path.read_bytes, files)):
        assert not [secret for secret in secrets if secret.encode() in text]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


def test_a_relay_that_asks_nobody_says_so(estate: Estate) -> None:
    relay = estate.relay('[auth]\nmode = "none"\n').start()
    relay.program.wait_for("nobody has to prove who they are")
    client = Client(relay.port, "mcpt_ak_whatever", MODERN).connect()
    assert "status" in client.tools()
    assert Visitor(relay.port).get("/login").status == 404

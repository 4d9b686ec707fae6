"""API keys: made with and without a relay that runs, ended at once, and never written down."""

import http.client
import stat
import time
from pathlib import Path

from tests.programs.client import MODERN, TIMEOUT_S, Client
from tests.programs.conftest import Stage
from tests.programs.process import STOP_TIMEOUT_S, finished
from tests.programs.programs import COMMAND, Estate

CONFIG = ("--config", "relay.toml")


def status_of(port: int, path: str, key: str | None, method: str = "POST") -> int:
    """Return the status of a request without a body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def create(folder: Path, scope: str, env: dict[str, str] | None = None) -> tuple[str, str]:
    """Run `keys create`; return the key and what was said beside it."""
    words = ("keys", "create", *CONFIG, "--user", "bob", "--scope", scope)
    done = finished((*COMMAND, *words), folder, env)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n"), done.stderr


def test_a_key_needs_no_running_relay(estate: Estate) -> None:
    """The first one makes state_dir and store, for the owner's eyes only, and prints the key alone."""
    relay = estate.relay()
    key, said = create(relay.folder, "mcp")
    assert key.startswith("mcpt_ak_")
    assert key.split() == [key]
    assert key not in said
    assert stat.S_IMODE(relay.state_dir.stat().st_mode) == 0o700
    for path in relay.state_dir.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    relay.key_texts.append(key)
    relay.start()
    assert Client(relay.port, key).call("status").text.startswith("No device is known")


def test_a_running_relay_makes_the_key_itself(stage: Stage, tmp_path: Path) -> None:
    """Shown by a command that cannot import what opens a store: only control.sock is left to it."""
    (tmp_path / "sqlalchemy.py").write_text("raise ImportError('not here')")
    checkout = str(Path(__file__).parents[2])
    without_store = {"PYTHONPATH": f"{tmp_path}:{checkout}"}
    key, _ = create(stage.relay.folder, "mcp", without_store)
    stage.relay.key_texts.append(key)
    assert Client(stage.relay.port, key).call("status").status == 200


def test_a_revoked_agent_key_ends_its_agent(stage: Stage, estate: Estate) -> None:
    """The link closes within a second; the agent says what to do and exits with 1."""
    key, key_id = stage.relay.key_and_id("carol", "agent")
    agent = estate.agent(stage.relay, key).start()
    client = Client(stage.relay.port, stage.relay.key("carol", "mcp"))
    assert "demo__add" in client.tools()
    words = ("keys", "revoke", *CONFIG, key_id)
    done = finished((*COMMAND, *words), stage.relay.folder)
    revoked_s = time.monotonic()
    assert done.returncode == 0, done.stderr
    agent.program.wait_for("revoked", timeout_s=1)
    assert "offline" in client.call("status").text
    assert time.monotonic() - revoked_s < 1
    assert agent.program.exit_code(STOP_TIMEOUT_S) == 1
    assert "mcptunnel-agent: The key of this agent was revoked" in agent.program.log
    assert " --user NAME --scope agent -o agent.key`" in agent.program.log


def test_a_revoked_mcp_key_is_refused_at_once(stage: Stage) -> None:
    """Although it was used a moment ago; 401 names the error (RFC 6750, section 3.1)."""
    key, key_id = stage.relay.key_and_id("alice", "mcp")
    client = Client(stage.relay.port, key)
    assert client.call("status").status == 200
    stage.relay.revoke(key_id)
    _, answer = client.start_call("status", {})
    answer.close()
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_revoked_agent_key_does_not_end_others(stage: Stage) -> None:
    """Another key of the same user is another key."""
    _, key_id = stage.relay.key_and_id("alice", "agent")
    stage.relay.revoke(key_id)
    assert stage.client(MODERN).call("legacy__add", a=1, b=2).text == '{"sum": 3}'


def test_no_key_opens_what_another_is_for(stage: Stage, estate: Estate) -> None:
    """Scopes, and requests without a key: 403 and 401 at both doors."""
    port = stage.relay.port
    agent_key, mcp_key = stage.relay.key("dave", "agent"), stage.relay.key("dave", "mcp")
    assert status_of(port, "/mcp", agent_key) == 403
    assert status_of(port, "/mcp", None) == 401
    assert status_of(port, "/mcp", "mcpt_ak_nonsense") == 401
    for path in ("/tunnel", "/ws"):
        assert status_of(port, path, mcp_key, "GET") == 403
        assert status_of(port, path, None, "GET") == 401
    wrong = estate.agent(stage.relay, mcp_key).spawn()
    assert wrong.exit_code(10) == 1
    assert "refused this agent's key (HTTP 403)" in wrong.log


def test_a_key_in_the_url_is_no_key(stage: Stage) -> None:
    """It would be in logs and histories (RFC 6750, section 2.3)."""
    assert status_of(stage.relay.port, f"/mcp?access_token={stage.key}", None) == 401


def test_a_users_tools_are_nobody_elses(stage: Stage) -> None:
    """Another user's key lists the meta tools alone and can call nothing of alice's."""
    stranger = Client(stage.relay.port, stage.relay.key("eve", "mcp"))
    assert list(stranger.tools()) == ["restart", "status"]
    assert stranger.call("legacy__add", a=1, b=2).error["code"] == -32602


def test_no_key_is_written_down(stage: Stage, estate: Estate) -> None:
    """Neither below a state_dir nor in a log; at their end the relays of all tests are looked at."""
    relay = stage.relay
    key = relay.key("kim", "agent")
    agent = estate.agent(relay, key).start()
    assert "demo__add" in Client(relay.port, relay.key("kim", "mcp")).tools()
    agent.program.stop()
    relay.check_secrets([agent.program.log, stage.agent.program.log])
    for path in (agent.folder / "state").iterdir():
        assert key.rpartition("_")[2].encode() not in path.read_bytes()

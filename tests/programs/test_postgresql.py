"""A relay with its store in PostgreSQL: what outlives it is there, and the password nowhere else."""

from pathlib import Path

from sqlalchemy import make_url

from mcptunnel.store.database import Database
from mcptunnel.store.devices import Devices
from tests.postgresql import another_database
from tests.programs.client import LEGACY, Client
from tests.programs.process import finished
from tests.programs.programs import COMMAND, TWISTD, Estate, Relay

CONFIG = ("--config", "relay.toml")


def key(relay: Relay, scope: str) -> str:
    """Make a key by the command, which goes to the database itself while no relay runs."""
    words = ("keys", "create", *CONFIG, "--user", "alice", "--scope", scope)
    done = finished((*COMMAND, *words), relay.folder)
    assert done.returncode == 0, done.stderr
    relay.key_texts.append(done.stdout.strip())
    return relay.key_texts[-1]


def store_url(folder: Path, url: str) -> None:
    """Write the file with the URL."""
    path = folder / "store.url"
    path.touch(mode=0o600)
    path.write_text(f"{url}\n")


def test_a_relay_on_postgresql(estate: Estate, postgresql_url: str) -> None:
    """Keys, devices and sessions are there after a restart; there is no SQLite file."""
    with another_database(postgresql_url, "relay") as url:
        relay = estate.relay('[store]\nurl_file = "./store.url"\n')
        store_url(relay.folder, url)
        agent_key, client_key = key(relay, "agent"), key(relay, "mcp")
        agent = estate.agent(relay.start(), agent_key).start()
        client = Client(relay.port, client_key, LEGACY[-1]).connect()
        assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
        start = len(agent.program.log)
        relay.program.stop()
        relay.start()
        agent.program.wait_for("connected to", start=start)
        assert client.call("demo__add", a=2, b=2).text == '{"sum": 4}'
        agent.program.stop()
        relay.program.stop()
        with Database(url) as database:
            (device,) = database.read(lambda connection: Devices(connection).list())
        assert device.name == "laptop"
        assert not (relay.state_dir / "mcptunnel.db").exists()
        password = make_url(url).password
        assert password
        assert not [program for program in relay.programs if password in program.log]
        shown = finished((*COMMAND, "check-config", "relay", "relay.toml"), relay.folder)
        assert "[store]" in shown.stdout
        assert password not in shown.stdout + shown.stderr


def test_a_device_is_revoked_on_postgresql(estate: Estate, postgresql_url: str) -> None:
    """With its key, which the database knows that it used; also after a restart."""
    with another_database(postgresql_url, "devices") as url:
        relay = estate.relay('[store]\nurl_file = "./store.url"\n')
        store_url(relay.folder, url)
        agent = estate.agent(relay.start(), key(relay, "agent")).start()
        revoked = finished((*COMMAND, "devices", "revoke", *CONFIG, "laptop"), relay.folder)
        assert "does not let it in any more" in revoked.stderr
        for is_restarted in (False, True):
            if is_restarted:
                relay.program.stop()
                relay.start()
                agent.spawn()
            agent.program.wait_for("mcptunnel-agent: This device was revoked")
            assert agent.program.exit_code(10) == 1
        allowed = finished((*COMMAND, "devices", "allow", *CONFIG, "laptop"), relay.folder)
        assert allowed.returncode == 0
        agent.start().program.stop()
        relay.program.stop()


def test_a_database_that_is_not_there_ends_the_start_in_one_line(estate: Estate) -> None:
    """It names the server, and nothing of the user and the password."""
    port = estate.free_port()
    relay = estate.relay('[store]\nurl = "${STORE_URL}"\n')
    env = {"STORE_URL": f"postgresql://someone:s3cret@127.0.0.1:{port}/db"}
    words = ("-n", "--pidfile=", "mcptunnel-relay", *CONFIG)
    program = estate.program("relay", (*TWISTD, *words), folder=relay.folder, env=env)
    assert program.exit_code(10) == 1
    assert "mcptunnel-relay: the store 127.0.0.1/db failed: " in program.log
    assert "s3cret" not in program.log
    assert "Traceback" not in program.log

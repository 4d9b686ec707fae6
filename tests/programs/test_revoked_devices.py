"""A device that is revoked loses its link and all that it serves, within a second; nobody else notices."""

import json
import time
from collections.abc import Sequence

from mcptunnel.cli.control import ControlClient
from mcptunnel.cli.device_book import RunningDevices
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Goaway, Hello, Welcome
from tests.programs.client import MODERN, TIMEOUT_S, Answer, Client
from tests.programs.process import eventually, finished
from tests.programs.programs import COMMAND, Agent, Estate, Relay
from tests.programs.raw_agent import RawAgent
from tests.programs.test_revoking import SOON_S, rest_of
from tests.programs.test_sign_in import Laptop, secrets

COUNTDOWN = {"n": 1000, "interval": 0.02}
AGAIN = r"This device was revoked at the relay\. .*mcptunnel "
ALICE = Principal(LOCAL_ISSUER, "alice")


def devices(relay: Relay, *words: str) -> tuple[int, str]:
    """Run a command about devices; return its exit status and what it says."""
    command, *rest = words
    argv = (*COMMAND, "devices", command, "--config", str(relay.config), *rest)
    done = finished(argv, relay.folder)
    return done.returncode, done.stdout + done.stderr


def states(relay: Relay) -> dict[str, str]:
    """Return the states of alice's devices by name."""
    _, told = devices(relay, "list", "--json", "--user", "alice")
    return {one["name"]: one["state"] for one in json.loads(told)}


def installation(agent: Agent) -> str:
    return (agent.folder / "state" / "installation-id").read_text().strip()


def revoke(relay: Relay, agent: Agent) -> float:
    """Revoke alice's device; return when that was asked for."""
    begun_s = time.monotonic()
    with RunningDevices(ControlClient(relay.state_dir / "control.sock")) as book:
        assert book.revoke(ALICE, installation(agent)) is not None
    return begun_s


def ended(agent: Agent, said: str = AGAIN) -> None:
    """Assert that an agent ends by itself, and says why and what to do."""
    agent.program.wait_for(f"mcptunnel-agent: {said}")
    assert agent.program.exit_code(TIMEOUT_S) == 1
    assert agent.program.log.count("connecting to") == 1


def listening(client: Client) -> Answer:
    _, answer = client.send("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    next(answer.messages())
    return answer


def working(client: Client, tools: Sequence[str]) -> None:
    for tool in tools:
        assert client.call(tool, a=1, b=2).text == '{"sum": 3}'


def loses_all(relay: Relay, key: str, laptop: Agent) -> None:
    """Revoke a device while it is in use; assert that all that it serves ends soon."""
    client = Client(relay.port, key, MODERN).connect()
    _, call = client.start_call("demo__countdown", COUNTDOWN, "t")
    call.wait_for_progress()
    path = "/devices/laptop/servers/demo/mcp"
    straight = Client(relay.port, key, MODERN, path=path).connect()
    _, stream = straight.start_call("countdown", COUNTDOWN, "t")
    stream.wait_for_progress()
    listens = listening(straight), listening(client)

    begun_s = revoke(relay, laptop)
    *_, result = rest_of(call)
    assert result["result"]["isError"]
    assert "this device was revoked" in result["result"]["content"][0]["text"]
    assert all("result" not in message for message in rest_of(stream))
    rest_of(listens[0])
    changed = next(listens[1].messages()).message
    assert changed["method"] == "notifications/tools/list_changed"
    laptop.program.wait_for("mcptunnel-agent: ")
    assert time.monotonic() - begun_s < SOON_S
    listens[1].close()


def test_a_device_with_a_key_is_cut_off_and_stays_out(estate: Estate) -> None:
    """Link, call, stream and listen end; its key does not help it, also after a restart of the relay.

    Another device of the user, and another user's with the same installation id, go on.
    """
    relay = estate.relay().start()
    client_key, key = relay.key("alice", "mcp"), relay.key("alice", "agent")
    laptop = estate.agent(relay, key).start()
    client = Client(relay.port, client_key, MODERN).connect()
    assert "demo__add" in client.tools()
    tower = estate.agent(relay, relay.key("alice", "agent"), name="tower").start()
    bobs = estate.agent(relay, relay.key("bob", "agent"))
    state = bobs.folder / "state"
    state.mkdir(mode=0o700)
    (state / "installation-id").write_text(installation(laptop))
    bobs.start()
    bob = Client(relay.port, relay.key("bob", "mcp"), MODERN).connect()
    eventually(lambda: "tower__demo__add" in client.tools(), TIMEOUT_S, "the tower's tools")
    working(bob, ["demo__add"])

    loses_all(relay, client_key, laptop)
    ended(laptop)
    assert not [name for name in client.tools() if name.startswith(("demo__", "laptop__"))]
    assert "'laptop' was revoked" in client.call("demo__add", a=1, b=2).text
    assert states(relay)["laptop"] == "revoked"

    laptop.spawn()
    ended(laptop)
    start = len(tower.program.log), len(bobs.program.log)
    relay.program.stop()
    relay.start()
    laptop.spawn()
    ended(laptop)
    for agent, since in zip((tower, bobs), start, strict=True):
        agent.program.wait_for("connected to", start=since)
        assert "revoked" not in agent.program.log
    working(client, ["tower__demo__add"])
    working(bob, ["demo__add"])

    (laptop.folder / "agent.key").write_text(relay.key("alice", "agent"))
    laptop.start()
    eventually(lambda: "laptop__demo__add" in client.tools(), TIMEOUT_S, "its tools")
    working(client, ["laptop__demo__add", "demo__add"])  # its old name is still its own


def test_a_device_that_was_signed_in_is_out_until_a_person_signs_in_anew(estate: Estate) -> None:
    """Its sign-in is over, whatever it calls itself; so it is for who shared it, and the command says so."""
    laptop = Laptop(estate)
    relay = laptop.relay
    older = relay.key("alice", "agent")
    laptop.login()
    first = laptop.agent().start()
    desk = estate.agent(relay, None, env=laptop.env, name="desk").start()
    stolen = laptop.grant.access_token.reveal()
    listed = finished((*COMMAND, "grants", "list", "--config", str(relay.config)), relay.folder)
    assert "\tlaptop, desk\t" in listed.stdout

    status, told = devices(relay, "revoke", "laptop")
    assert status == 0, told
    assert "Device laptop of alice is revoked." in told
    assert "1 sign-in has ended that it used." in told
    assert f"Device desk ({installation(desk)}) used the same sign-in" in told
    ended(first)
    desk.program.wait_for("mcptunnel-agent: .*Sign in again: mcptunnel login")
    assert desk.program.exit_code(TIMEOUT_S) == 1

    for is_restarted in (False, True):
        if is_restarted:
            relay.program.stop()
            relay.start()
        first.spawn().wait_for("mcptunnel-agent: .*Sign in again: mcptunnel login")
        assert first.program.exit_code(TIMEOUT_S) == 1
        with RawAgent(relay.port, stolen) as liar:
            assert liar.refusal().startswith(b"HTTP/1.1 401")
        with RawAgent(relay.port, older) as link:
            refused = link.greet(Hello(installation(first), "laptop", "1"))
            assert isinstance(refused, Goaway)
            assert refused.code is ErrorCode.DEVICE_REVOKED
    with RawAgent(relay.port, older) as link:  # which is a key of any device, and still in force
        assert isinstance(link.greet(Hello("f" * 32, "shed", "1")), Welcome)

    laptop.login()
    first.start()
    assert laptop.call() == "hello"
    assert states(relay)["laptop"] == "connected"
    relay.key_texts += secrets(laptop.grant)
    audit = finished((*COMMAND, "audit", "--config", str(relay.config), "--json"), relay.folder)
    events = [json.loads(line)["event"] for line in audit.stdout.splitlines()]
    assert [event for event in events if event.startswith("device.")] == [
        "device.revoked",
        "device.let_in_again",
    ]


def test_a_device_is_allowed_again_and_forgotten(estate: Estate) -> None:
    """Also while no relay runs; one that is connected is not forgotten."""
    relay = estate.relay().start()
    agent = estate.agent(relay, relay.key("alice", "agent")).start()
    agent.program.stop()
    relay.program.stop()
    status, told = devices(relay, "revoke", "laptop")
    assert status == 0
    assert "does not let it in any more, but still serves other devices" in told
    relay.start()
    agent.spawn()
    ended(agent)
    assert devices(relay, "allow", "laptop") == (0, "Device laptop may come in again.\n")
    agent.start()
    status, told = devices(relay, "forget", "laptop")
    assert status == 1
    assert "The device laptop is connected. Stop its agent, or revoke it first." in told
    agent.program.stop()
    eventually(lambda: states(relay) == {"laptop": "offline"}, TIMEOUT_S, "the relay to notice")
    assert devices(relay, "forget", installation(agent)) == (0, "Device laptop is forgotten.\n")
    assert states(relay) == {}
    agent.start()
    assert states(relay) == {"laptop": "connected"}

"""Who is connected, under which name: names never swap, and one installation has one tunnel."""

from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.relay.bearers import Bearers
from mcptunnel.relay.devices import MAX_DEVICES, Device, Devices
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.frames import Goaway
from tests.net.tunnels import Lone, Owner

ALICE, BOB = Principal("local", "alice"), Principal("local", "bob")


class Bench:
    """Devices, with real tunnels on links that go nowhere."""

    def __init__(self) -> None:
        self.changes: list[Principal] = []
        self.forgotten: list[Device] = []
        bearers = Bearers(lambda *_: None)
        self.devices = Devices(self.changes.append, self.forgotten.append, bearers)
        self.ends: dict[Tunnel, Lone] = {}

    def tunnel(self) -> Tunnel:
        end = Lone(owner=Owner(Role.RELAY)).greeted()
        self.ends[end.tunnel] = end
        return end.tunnel

    def connect(
        self, installation_id: str, wanted: str = "laptop", user: Principal = ALICE
    ) -> Device:
        name = self.devices.grant_name(user, installation_id, wanted)
        return self.devices.connect(
            user, installation_id, name=name, tunnel=self.tunnel(), epoch_s=10.0
        )

    def disconnect(self, device: Device) -> None:
        assert device.tunnel is not None
        assert self.devices.disconnect(device, device.tunnel, 20.0)


def info(name: str, revision: int = 1) -> ServerStatus:
    return ServerStatus(name, "stdio", "ready", revision)


# Names.


def test_a_second_device_of_a_live_name_gets_a_number() -> None:
    bench = Bench()
    names = [bench.connect(f"i{number}").name for number in range(3)]
    assert names == ["laptop", "laptop-2", "laptop-3"]


def test_another_user_may_use_the_name() -> None:
    bench = Bench()
    assert bench.connect("i1").name == "laptop"
    assert bench.connect("i1", user=BOB).name == "laptop"
    assert len(bench.devices.everyone()) == 2


def test_two_devices_do_not_swap_names() -> None:
    """Whatever the order in which they come back."""
    bench = Bench()
    first, second = bench.connect("i1"), bench.connect("i2")
    bench.disconnect(first)
    bench.disconnect(second)
    assert bench.connect("i2").name == "laptop-2"
    assert bench.connect("i1").name == "laptop"


def test_a_device_that_comes_back_while_its_name_is_taken_gets_a_free_one() -> None:
    bench = Bench()
    first = bench.connect("i1")
    bench.disconnect(first)
    assert bench.connect("i2").name == "laptop"
    assert bench.connect("i1").name == "laptop-2"


def test_a_renamed_device_bears_its_new_name() -> None:
    bench = Bench()
    bench.disconnect(bench.connect("i1", "laptop"))
    assert bench.connect("i1", "tower").name == "tower"


def test_the_same_installation_keeps_its_name_when_it_replaces_itself() -> None:
    bench = Bench()
    bench.connect("i1")
    assert bench.connect("i1").name == "laptop"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["i1", "i2", "i3", "i4"]),
            st.sampled_from(["laptop", "laptop-2", "tower"]),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_live_names_never_collide(steps: list[tuple[str, str, bool]]) -> None:
    """However installations come and go, no two live devices of a user share a name."""
    bench = Bench()
    for installation_id, wanted, comes in steps:
        device = bench.devices.get(ALICE, installation_id)
        if comes:
            before = None if device is None else device.name
            others = {
                other.name
                for other in bench.devices.of(ALICE)
                if other.is_connected and other.installation_id != installation_id
            }
            device = bench.connect(installation_id, wanted)
            assert device.name not in others
            assert device.name == wanted or device.name.startswith(f"{wanted}-")
            if before == wanted and wanted not in others:
                assert device.name == before
        elif device is not None and device.is_connected:
            bench.disconnect(device)
    live = [device.name for device in bench.devices.of(ALICE) if device.is_connected]
    assert len(live) == len(set(live)) == bench.devices.connected_count


# Coming and going.


def test_a_device_is_known_from_its_first_connection_on() -> None:
    bench = Bench()
    device = bench.connect("i1")
    assert bench.devices.of(ALICE) == [device]
    assert bench.devices.get(ALICE, "i1") is device
    assert bench.devices.get(ALICE, "i2") is None
    assert bench.devices.get(BOB, "i1") is None
    assert bench.devices.of(BOB) == []
    assert device.is_connected
    assert bench.devices.connected_count == 1
    assert bench.changes == [ALICE]
    bench.disconnect(device)
    assert bench.devices.of(ALICE) == [device]
    assert (device.tunnel, device.connected_s, device.last_seen_s) == (None, None, 20.0)
    assert bench.devices.connected_count == 0
    assert bench.changes == [ALICE, ALICE]


def test_a_new_process_of_an_installation_replaces_the_old_one() -> None:
    bench = Bench()
    device = bench.connect("i1")
    old = device.tunnel
    assert old is not None
    assert bench.connect("i1") is device
    (message,) = bench.ends[old].link.take()
    assert isinstance(message[0], Goaway)
    assert message[0].code is ErrorCode.REPLACED
    assert device.tunnel is not old
    assert bench.devices.connected_count == 1
    assert not bench.devices.disconnect(device, old, 30.0)
    assert device.is_connected
    assert bench.devices.connected_count == 1


def test_a_device_that_is_going_away_takes_no_calls() -> None:
    bench = Bench()
    device = bench.connect("i1")
    assert device.tunnel is not None
    bench.ends[device.tunnel].receive(Goaway(0, ErrorCode.SHUTDOWN))
    assert not device.is_connected


def test_what_the_store_remembers_is_offline() -> None:
    bench = Bench()
    stored = [Device(ALICE, f"i{n}", f"d{n}", float(n), float(n)) for n in range(2)]
    bench.devices.restore(stored)
    assert bench.devices.of(ALICE) == stored
    assert not any(device.is_connected for device in stored)
    assert bench.connect("i1", "d1") is stored[1]
    assert bench.devices.of(ALICE) == stored


# How many there may be.


def test_a_new_device_too_many_drives_out_the_one_that_was_away_the_longest() -> None:
    bench = Bench()
    for number in range(MAX_DEVICES):
        device = bench.connect(f"i{number}", f"d{number}")
        if number in (3, 5):
            assert device.tunnel is not None
            bench.devices.disconnect(device, device.tunnel, epoch_s=30.0 - number)
    assert bench.devices.has_room(ALICE, "new")
    bench.connect("new")
    assert [device.installation_id for device in bench.forgotten] == ["i5"]
    assert bench.devices.get(ALICE, "i5") is None
    assert len(bench.devices.of(ALICE)) == MAX_DEVICES
    bench.connect("newer")
    assert [device.installation_id for device in bench.forgotten] == ["i5", "i3"]
    assert not bench.devices.has_room(ALICE, "newest")
    assert bench.devices.has_room(ALICE, "newer")
    assert bench.devices.has_room(BOB, "newest")


def test_of_too_many_stored_devices_those_seen_last_are_taken_in() -> None:
    bench = Bench()
    stored = [Device(ALICE, f"i{n}", f"d{n}", 0.0, float(n % 30)) for n in range(MAX_DEVICES + 2)]
    bench.devices.restore(stored)
    assert [device.installation_id for device in bench.forgotten] == ["i0", "i30"]
    assert len(bench.devices.of(ALICE)) == MAX_DEVICES


# Announcements.


def test_tools_of_an_unchanged_server_stay() -> None:
    bench = Bench()
    device = bench.connect("i1")
    bench.devices.announce(device, {"a": info("a"), "b": info("b")})
    first = dict(device.servers)
    first["a"].known[Kind.TOOL].fresh = first["b"].known[Kind.TOOL].fresh = True
    bench.devices.announce(device, {"a": info("a"), "b": info("b", 2)})
    assert device.servers == first
    assert device.servers["a"].known[Kind.TOOL].fresh
    assert not device.servers["b"].known[Kind.TOOL].fresh
    bench.devices.announce(device, {"b": info("b", 2)})
    assert list(device.servers) == ["b"]


def test_an_announcement_that_changes_nothing_is_no_change() -> None:
    bench = Bench()
    device = bench.connect("i1")
    bench.devices.announce(device, {"a": info("a"), "b": info("b")})
    count = len(bench.changes)
    bench.devices.announce(device, {"b": info("b"), "a": info("a")})
    assert len(bench.changes) == count
    bench.devices.announce(device, {"a": info("a")})
    assert len(bench.changes) == count + 1


def test_revisions_count_only_within_a_connection() -> None:
    """A new process counts from the start: the same number says nothing. Old tools stay till then."""
    bench = Bench()
    device = bench.connect("i1")
    bench.devices.announce(device, {"a": info("a", 5)})
    device.servers["a"].known[Kind.TOOL].fresh = True
    tools = device.servers["a"].tools
    bench.disconnect(device)
    bench.connect("i1")
    assert not device.announced
    bench.devices.announce(device, {"a": info("a", 5)})
    assert not device.servers["a"].known[Kind.TOOL].fresh
    assert device.servers["a"].tools is tools


def test_a_mark_is_the_last_thing_that_makes_room() -> None:
    bench = Bench()
    stored = [Device(ALICE, f"i{n}", f"d{n}", float(n), float(n)) for n in range(MAX_DEVICES + 1)]
    stored[0].revoked_s = 1.0
    bench.devices.restore(stored)
    assert bench.forgotten == [stored[1]]


def test_a_device_that_is_forgotten_is_a_new_one_when_it_comes_again() -> None:
    bench = Bench()
    old = Device(ALICE, "i1", "laptop", 1.0, 2.0, revoked_s=3.0)
    bench.devices.restore([old])
    bench.devices.forget(old)
    assert bench.devices.of(ALICE) == []
    new = bench.connect("i1", "laptop")
    assert (new is old, new.is_connected, new.is_revoked) == (False, True, False)


def test_what_was_granted_after_the_mark_is_admitted() -> None:
    device = Device(ALICE, "i1", "laptop", 1.0, 2.0)
    assert device.admits(0.0)
    device.revoked_s = 5.0
    assert [device.admits(granted_s) for granted_s in (0.0, 5.0, 5.1)] == [False, False, True]

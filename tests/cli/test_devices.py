"""`mcptunnel devices`, without a running relay; with one: tests/programs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection

from mcptunnel.auth.keys import RANDOM_BYTES, Scope
from mcptunnel.cli.main import main
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.store.database import FILE_NAME, Database
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import Devices
from mcptunnel.store.keys import Keys
from mcptunnel.store.oauth.families import Families, Family

ANNA, BOB = Principal(LOCAL_ISSUER, "anna"), Principal("https://idp", "bob")
FIRST, SECOND = "1" * 32, "2" * 32


def _fill(connection: Connection) -> None:
    """Anna has two machines with one sign-in; bob's has the id of her first one."""
    family = Family(
        id="shared",
        principal=ANNA,
        client_id="mcptunnel-agent",
        resource="https://r",
        scopes=frozenset({"agent"}),
        created_s=1.0,
        last_used_s=1.0,
        expires_s=1e11,
    )
    Families(connection).add(family)
    for now_s, principal, installation_id, name in (
        (1.0, ANNA, FIRST, "laptop"),
        (2.0, ANNA, SECOND, "tower"),
        (3.0, BOB, FIRST, "tower"),
    ):
        Devices(connection).seen(principal, installation_id, name, now_s)
        DeviceUses(connection).note(principal, installation_id, "shared")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCPTUNNEL_CONFIG", raising=False)
    Path("relay.toml").write_text('[auth]\nmode = "local"\n')
    Path("state").mkdir(mode=0o700)
    with Database(Path("state") / FILE_NAME) as database:
        database.write(_fill)


def devices(*arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(main, ["devices", command, "--config", "relay.toml", *rest])


def states(*arguments: str) -> list[tuple[str, str]]:
    listed = json.loads(devices("list", "--json", *arguments).stdout)
    return [(one["name"], one["state"]) for one in listed]


def test_devices_are_listed_in_the_order_in_which_they_came() -> None:
    """All, or those of one user; with all that the other commands take."""
    assert devices("list").stdout.splitlines() == [
        "NAME\tID\tUSER\tSTATE\tFIRST SEEN\tLAST SEEN",
        f"laptop\t{FIRST}\tanna\toffline\t1970-01-01 00:00Z\t1970-01-01 00:00Z",
        f"tower\t{SECOND}\tanna\toffline\t1970-01-01 00:00Z\t1970-01-01 00:00Z",
        f"tower\t{FIRST}\thttps://idp|bob\toffline\t1970-01-01 00:00Z\t1970-01-01 00:00Z",
    ]
    assert states("--user", "anna") == [("laptop", "offline"), ("tower", "offline")]
    assert states("--user", "bob") == []
    assert states("--user", "bob", "--issuer", "https://idp") == [("tower", "offline")]
    assert "No device is known." in devices("list", "--user", "nobody").stderr


def test_a_revoked_device_takes_its_sign_in_with_it() -> None:
    """The command says who else loses it; another user's device of that id has nothing to do with it."""
    told = devices("revoke", "laptop")
    assert told.stderr.splitlines() == [
        "Device laptop of anna is revoked.",
        "1 sign-in has ended that it used.",
        f"Device tower ({SECOND}) used the same sign-in, and has lost it, too.",
    ]
    assert (told.exit_code, told.stdout) == (0, "")
    assert states() == [("laptop", "revoked"), ("tower", "offline"), ("tower", "offline")]
    again = devices("revoke", "laptop")
    assert again.exit_code == 0
    assert "is over, or not known" in again.stderr
    assert "mcptunnel keys list --config relay.toml; " in again.stderr
    assert "mcptunnel grants list --config relay.toml\n" in again.stderr


def test_the_key_that_it_used_is_named_and_not_revoked() -> None:
    def use(connection: Connection) -> str:
        keys = Keys(connection)
        issued = keys.issue(ANNA, Scope.AGENT, "service", random=bytes(RANDOM_BYTES), now_s=1.0)
        DeviceUses(connection).note(ANNA, FIRST, issued.record.id)
        return issued.record.id

    with Database(Path("state") / FILE_NAME) as database:
        key_id = database.write(use)
    told = devices("revoke", "laptop").stderr
    assert f"Key {key_id} (service) does not let it in any more" in told
    assert f"mcptunnel keys revoke --config relay.toml {key_id}\n" in told


def test_a_device_is_allowed_again_and_forgotten() -> None:
    assert "laptop is not revoked" in devices("allow", "laptop").stderr
    devices("revoke", "laptop")
    assert devices("allow", "laptop").stderr == "Device laptop may come in again.\n"
    assert devices("forget", "laptop").stderr == "Device laptop is forgotten.\n"
    assert states("--user", "anna") == [("tower", "offline")]
    devices("revoke", "--user", "anna", "tower")
    told = devices("forget", "--user", "anna", "tower").stderr
    assert "So is that it was revoked: a key that it used lets it in again" in told


@pytest.mark.parametrize("command", ["revoke", "allow", "forget"])
def test_what_may_mean_several_is_refused(command: str) -> None:
    """With what tells them apart; an id goes before a name, which others may have chosen so."""
    ambiguous = devices(command, "tower")
    assert ambiguous.exit_code == 1
    assert f"Give the ID: tower may be {SECOND} of anna and {FIRST} of" in ambiguous.stderr
    assert f"Give --user: {FIRST} may be" in devices(command, FIRST).stderr
    unknown = devices(command, "nothing")
    assert unknown.exit_code == 1
    assert "mcptunnel devices list --config relay.toml" in unknown.stderr
    assert devices(command, "--issuer", "https://idp", "tower").exit_code == 2
    assert [state for _, state in states()] == ["offline"] * 3


def test_an_id_is_not_outdone_by_a_name() -> None:
    """Else somebody could name a device like another's id, and have the wrong one revoked."""
    with Database(Path("state") / FILE_NAME) as database:
        database.write(lambda c: Devices(c).seen(BOB, "3" * 32, SECOND, 4.0))
    assert devices("revoke", SECOND).exit_code == 0
    assert states("--user", "anna") == [("laptop", "offline"), ("tower", "revoked")]


def test_a_name_is_not_outdone_by_an_id_that_was_chosen_so() -> None:
    """Else another user's agent could take the name of a lost machine for its id, and be revoked instead."""
    name = "Annas-MacBook-Pro"
    with Database(Path("state") / FILE_NAME) as database:
        database.write(lambda c: Devices(c).seen(BOB, name, "x", 4.0))
        database.write(lambda c: Devices(c).seen(ANNA, "5" * 32, name, 5.0))
    refused = devices("revoke", name)
    assert refused.exit_code == 1
    assert f"Give --user: {name} may be {name} of" in refused.stderr
    assert "revoked" not in dict(states()).values()
    assert devices("revoke", "--user", "anna", name).exit_code == 0
    assert states("--user", "anna")[-1] == (name, "revoked")
    assert devices("revoke", "--user", "bob", "--issuer", BOB.issuer, name).exit_code == 0
    assert states("--user", "bob", "--issuer", BOB.issuer)[-1] == ("x", "revoked")

"""`mcptunnel logout`: at the relay and here, or not at all."""

from tests.agent import in_reactor
from tests.agent.sign_in import grant, refresh
from tests.cli.test_login import Stage, stage

__all__ = ["stage"]


@in_reactor
async def test_a_sign_in_ends_at_the_relay_and_here(stage: Stage) -> None:
    stage.kept.write(grant(stage.relay.origin))
    status, told = await stage.run("logout", stage.relay.origin)
    assert (status, told) == (0, f"The sign-in at {stage.relay.origin} is over.\n")
    (given_back,) = stage.relay.forms_at("/revoke")
    assert given_back["token"] == refresh(1)
    assert stage.kept.read() is None
    status, told = await stage.run("logout", stage.relay.origin)
    assert (status, told) == (1, f"Nobody is signed in at {stage.relay.origin}.\n")


@in_reactor
async def test_a_file_that_others_could_read_can_be_ended(stage: Stage) -> None:
    stage.kept.write(grant(stage.relay.origin))
    stage.kept.path.chmod(0o644)
    status, told = await stage.run("logout", stage.relay.origin)
    assert status == 0, told
    assert len(stage.relay.forms_at("/revoke")) == 1


@in_reactor
async def test_without_the_relay_it_stays_unless_it_is_to_be_forgotten(stage: Stage) -> None:
    """Who has copied the file could use it on."""
    stage.kept.write(grant(stage.relay.origin))
    await stage.relay.stop()
    status, told = await stage.run("logout", stage.relay.origin)
    assert status == 1
    assert "The relay cannot be told: " in told
    assert "The sign-in stays; try again. `--forget` removes it here alone." in told
    assert stage.kept.read() is not None
    status, told = await stage.run("logout", "--forget", stage.relay.origin)
    assert (status, told) == (0, f"The sign-in at {stage.relay.origin} is removed.\n")
    assert stage.kept.read() is None


@in_reactor
async def test_a_damaged_file_can_only_be_forgotten(stage: Stage) -> None:
    stage.kept.write(grant(stage.relay.origin))
    stage.kept.path.write_text("{}")
    status, told = await stage.run("logout", stage.relay.origin)
    assert status == 1
    assert "so the relay cannot be told. `--forget` removes it here alone." in told
    status, _ = await stage.run("logout", "--forget", stage.relay.origin)
    assert status == 0

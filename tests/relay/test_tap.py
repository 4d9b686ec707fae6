"""The command `twistd mcptunnel-relay`, as far as it needs no process of its own."""

from pathlib import Path

import pytest

from mcptunnel.relay import tap
from mcptunnel.relay.service import RelayService
from mcptunnel.relay.tap import Options, makeService

CONFIG = """
listen = "tcp:{port}:interface=127.0.0.1"
public_url = "http://127.0.0.1:{port}"
state_dir = "state"
"""


@pytest.fixture
def here(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with a configuration; clock, limits and collector of this process stay."""
    monkeypatch.delenv("MCPTUNNEL_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tap, "use_steady_clock", lambda _reactor: None)
    monkeypatch.setattr(tap, "raise_file_limit", lambda: None)
    monkeypatch.setattr(tap, "spare_what_is_here", lambda _reactor: None)
    (tmp_path / "relay.toml").write_text(CONFIG.format(port=free_port))
    return tmp_path


def options(*arguments: str) -> Options:
    parsed = Options()
    parsed.parseOptions(["--config", "relay.toml", *arguments])
    return parsed


def test_options_override_the_file(here: Path) -> None:
    config = options("--limits-max-sessions", "5").config
    assert config.limits.max_sessions == 5
    assert config.state_dir == here / "state"


@pytest.mark.usefixtures("here", "running_reactor")
def test_the_service_is_a_relay() -> None:
    assert isinstance(makeService(options()), RelayService)


@pytest.mark.usefixtures("here", "running_reactor")
def test_the_program_goes_by_a_clock_that_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.internet import reactor  # noqa: PLC0415 - the one that runs

    steady: list[object] = []
    monkeypatch.setattr(tap, "use_steady_clock", steady.append)
    makeService(options())
    assert steady == [reactor]


@pytest.mark.usefixtures("here", "running_reactor")
def test_a_service_that_cannot_be_made_is_a_message(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        makeService(options("--listen", "ssl:1:privateKey=missing.pem"))
    assert caught.value.code == 1
    assert "missing.pem" in capfd.readouterr().err


@pytest.mark.usefixtures("running_reactor")
def test_a_start_that_fails_is_one_too(
    here: Path, free_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """The message alone: a traceback would say less."""
    (here / "state").write_text("a file where the directory should be")
    service = makeService(options())
    with pytest.raises(SystemExit) as caught:
        service.startService()
    assert caught.value.code == 1
    told = capfd.readouterr().err
    assert "state" in told
    assert told.count("\n") == 1
    (here / "relay.toml").write_text(
        CONFIG.format(port=free_port).replace("interface=127.0.0.1", "interface=192.0.2.1")
    )
    with pytest.raises(SystemExit) as caught:
        makeService(options()).privilegedStartService()
    assert caught.value.code == 1
    assert "192.0.2.1" in capfd.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_broken_configuration_is_an_exit_message(here: Path) -> None:
    (here / "relay.toml").write_text("listn = 1")
    with pytest.raises(SystemExit) as caught:
        options()
    assert "listn" in str(caught.value.code)

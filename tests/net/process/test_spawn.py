import os
import subprocess
from pathlib import Path

import pytest

from mcptunnel.net.process import ChildStartError, spawn
from tests.net.process.test_pipes import Selector

ENV = {"PATH": os.environ["PATH"]}


def output_of(*command: str, cwd: str | None = None) -> list[str]:
    with spawn.spawn(command, ENV, cwd) as process:
        return process.communicate()[0].decode().splitlines()


@pytest.mark.parametrize(
    ("command", "cwd", "words"),
    [
        (["no-such-program-xyz", "--token=s3cret"], None, "no such program in PATH"),
        (["/no/such/program"], None, "there is no such file"),
        (["/etc/passwd"], None, "not executable"),
        (["cat"], "/no/such/folder", "working directory '/no/such/folder'"),
        (["cat\0"], None, "null byte"),
        (["cat", "x" * 10_000_000], None, "Argument list too long"),
        ([], None, "empty"),
    ],
)
def test_a_command_that_cannot_start_says_why(
    command: list[str], cwd: str | None, words: str
) -> None:
    with pytest.raises(ChildStartError, match=words) as raised:
        spawn.spawn(command, ENV, cwd)
    assert "s3cret" not in str(raised.value)


def test_a_script_whose_interpreter_is_missing(tmp_path: Path) -> None:
    """Found by its path, and in PATH: it is the interpreter that has to be installed."""
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o700)
    for command, env in ((str(script), ENV), ("script", {"PATH": str(tmp_path)})):
        with pytest.raises(ChildStartError, match="interpreter of that script") as raised:
            spawn.spawn([command], env, None)
        assert raised.value.remedy.startswith("Install it")


def test_the_setting_that_is_wrong_is_named() -> None:
    for command, cwd, setting in ((["x-y-z"], None, "command"), (["cat"], "/no/such", "cwd")):
        with pytest.raises(ChildStartError) as raised:
            spawn.spawn(command, ENV, cwd)
        assert raised.value.setting == setting
        assert raised.value.remedy


def test_a_child_sees_only_its_environment_and_directory(tmp_path: Path) -> None:
    lines = output_of("sh", "-c", "env; pwd", cwd=str(tmp_path))
    names = {line.partition("=")[0] for line in lines if "=" in line}
    assert names <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}
    assert lines[-1] == str(tmp_path)


def test_a_child_inherits_three_descriptors(tmp_path: Path) -> None:
    with (tmp_path / "ours").open("wb") as file:
        os.set_inheritable(file.fileno(), True)
        assert output_of("ls", "/proc/self/fd")[:3] == ["0", "1", "2"]
        assert len(output_of("ls", "/proc/self/fd")) == 4, "and the folder that ls reads"


def test_a_child_leads_a_session_of_its_own() -> None:
    process = spawn.spawn(["cat"], ENV, None)
    with process:
        assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid


def started(script: str) -> "subprocess.Popen[bytes]":
    return spawn.spawn(["sh", "-c", script], ENV, None)


def test_an_exit_is_seen_before_the_child_is_reaped() -> None:
    said: list[str] = []
    selector = Selector()
    with started("exit 3") as process:
        watch = spawn.ExitWatch(selector, process, lambda: said.append("exited"))
        watch.expect()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert selector.reading == [watch]
        watch.doRead()
        assert (said, process.returncode) == (["exited"], None)
        watch.doRead()
        assert said == ["exited"]
        assert (selector.reading, selector.getDelayedCalls()) == ([], [])


def test_without_process_descriptors_polling_starts_when_an_exit_is_expected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spawn, "_process_descriptor", lambda _pid: -1)
    said: list[str] = []
    selector = Selector()
    with started("read line; exit 3") as process:
        watch = spawn.ExitWatch(selector, process, lambda: said.append("exited"))
        assert selector.getDelayedCalls() == []
        watch.expect()
        watch.expect()
        assert said == []
        selector.advance(1)
        assert said == []
        assert process.stdin
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        selector.advance(1)
        assert said == ["exited"]
        assert selector.getDelayedCalls() == []

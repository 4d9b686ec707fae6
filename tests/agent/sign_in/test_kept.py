"""Sign-ins are kept for their user alone, whole or not at all."""

import errno
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mcptunnel.agent.configuration import wrong_with_sign_in
from mcptunnel.agent.sign_in.kept import KeptGrant, KeptGrantError, login_command, logout_command
from tests.agent.sign_in import RELAY, data_folder, grant
from tests.config.test_user_data import homeless

__all__ = ["homeless"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Müllers Straße 🦄" / "sign-ins"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read_and_removed(folder: Path) -> None:
    """In a folder with umlauts and emoji, which is made."""
    kept = KeptGrant(RELAY, folder)
    assert kept.read() is None
    kept.write(grant())
    assert kept.read() == grant()
    kept.write(grant(number=2))
    assert KeptGrant(RELAY, folder).read() == grant(number=2)
    kept.remove()
    kept.remove()
    assert kept.read() is None


def test_nobody_else_can_read_it(folder: Path) -> None:
    """Whatever the umask; a folder that was open is closed."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    before = os.umask(0)
    try:
        KeptGrant(RELAY, folder).write(grant())
    finally:
        os.umask(before)
    (file,) = folder.iterdir()
    assert (mode(file), mode(folder)) == (0o600, 0o700)


def test_each_relay_has_a_file_of_its_own(folder: Path) -> None:
    """Also where names look alike."""
    relays = [
        "https://a.b",
        "http://a.b",
        "https://a.b:8443",
        "https://[::1]",
        "http://127.0.0.1:1",
    ]
    for number, relay in enumerate(relays):
        KeptGrant(relay, folder).write(grant(relay, number))
    for number, relay in enumerate(relays):
        assert KeptGrant(relay, folder).read() == grant(relay, number)


def test_it_is_in_the_users_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = data_folder(monkeypatch, tmp_path)
    assert KeptGrant(RELAY).path.parent == where
    assert KeptGrant(RELAY).path.name.startswith("relay.test-")


def test_a_user_without_a_home_is_told(homeless: pytest.MonkeyPatch) -> None:
    """By `login`, and by an agent whose configuration has no key."""
    with pytest.raises(KeptGrantError, match=r"no home directory\. Set HOME or XDG_DATA_HOME\."):
        KeptGrant(RELAY)
    assert wrong_with_sign_in(RELAY) is not None
    homeless.setenv("HOME", "/home/ada")
    assert KeptGrant(RELAY).path.is_relative_to("/home/ada")


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_open_is_refused_with_the_remedy(folder: Path, bits: int) -> None:
    """To end it, it can be read all the same."""
    kept = KeptGrant(RELAY, folder)
    kept.write(grant())
    kept.path.chmod(bits)
    with pytest.raises(KeptGrantError) as caught:
        kept.read()
    assert f"Run: chmod 600 '{kept.path}'" in str(caught.value)
    assert logout_command(RELAY) in str(caught.value)
    assert kept.read(private=False) == grant()


def test_another_users_file_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptGrant(RELAY, folder)
    kept.write(grant())
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(KeptGrantError, match="belongs to another user"):
        kept.read()


def test_nothing_is_put_into_another_users_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as with `sudo`: that user could not use it, or could read what is ours while it is written."""
    folder.mkdir(parents=True, mode=0o700)
    kept = KeptGrant(RELAY, folder)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    said = f"{folder} belongs to another user. Do this as the user who runs the agent."
    with pytest.raises(KeptGrantError, match=re.escape(said)):
        kept.write(grant())
    with pytest.raises(KeptGrantError, match=re.escape(said)):
        kept.lock().try_acquire()
    assert list(folder.iterdir()) == []


def test_what_somebody_put_in_the_way_is_not_written_into(folder: Path) -> None:
    """A file that is open elsewhere would show the tokens, whatever its mode is then."""
    kept = KeptGrant(RELAY, folder)
    kept.write(grant())
    planted = kept.path.with_suffix(f".{os.getpid()}.new")
    planted.touch(0o666)
    with planted.open() as peeping:
        kept.write(grant(number=2))
        assert peeping.read() == ""
    assert kept.read() == grant(number=2)


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Somebody else's file may be behind it."""
    kept = KeptGrant(RELAY, folder)
    kept.write(grant())
    kept.path.rename(tmp_path / "elsewhere")
    kept.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeptGrantError, match="cannot be read"):
        kept.read()


@pytest.mark.parametrize("raw", [b"", grant().to_bytes()[:-20], b"\xff" * 40_000])
def test_a_torn_file_says_how_to_sign_in_again(folder: Path, raw: bytes) -> None:
    kept = KeptGrant(RELAY, folder)
    kept.write(grant())
    kept.path.write_bytes(raw)
    with pytest.raises(KeptGrantError) as caught:
        kept.read()
    assert str(caught.value).endswith(f"Sign in again: {login_command(RELAY)}")


@pytest.mark.parametrize(
    ("number", "is_passing"),
    [
        (errno.EMFILE, True),
        (errno.EIO, True),
        (errno.ESTALE, True),
        (errno.EACCES, False),
        (errno.ELOOP, False),
    ],
)
@pytest.mark.parametrize("step", ["open", "read"])
def test_a_file_that_cannot_be_read_now_may_be_read_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int, *, is_passing: bool
) -> None:
    """Too many open files, a disk or a network that fails: that says nothing about the sign-in."""

    def fails(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    kept = KeptGrant(RELAY, folder)
    kept.write(grant())
    with monkeypatch.context() as trouble:
        trouble.setattr(os, step, fails)
        with pytest.raises(KeptGrantError) as caught:
            kept.read()
    assert caught.value.is_passing is is_passing
    assert os.strerror(number) in str(caught.value)


def test_a_folder_in_its_place_is_told(folder: Path) -> None:
    kept = KeptGrant(RELAY, folder)
    kept.path.mkdir(parents=True)
    with pytest.raises(KeptGrantError, match="cannot be read: Is a directory"):
        kept.read()


def test_a_file_of_another_relay_is_refused(folder: Path) -> None:
    """A credential never goes to a relay that it is not for."""
    KeptGrant(RELAY, folder).write(grant("https://other.test"))
    with pytest.raises(KeptGrantError, match="is for another relay"):
        KeptGrant(RELAY, folder).read()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A full disk, at any step: the old file stays whole, and nothing lies beside it."""
    kept = KeptGrant(RELAY, folder)
    kept.write(grant())

    def fail(*_arguments: object) -> None:
        raise OSError(28, "no")

    place: object = os if step == "fsync" else Path
    monkeypatch.setattr(place, step, fail)
    with pytest.raises(KeptGrantError, match="cannot be written: No space left on device"):
        kept.write(grant(number=2))
    assert kept.read() == grant()
    assert list(folder.iterdir()) == [kept.path]


def test_a_process_that_dies_while_it_writes_leaves_what_was(folder: Path) -> None:
    """Killed before the new file has its name: readers see the old one."""
    kept = KeptGrant(RELAY, folder)
    kept.write(grant())
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from mcptunnel.agent.sign_in.kept import KeptGrant\n"
        "from tests.agent.sign_in import RELAY, grant\n"
        "os.fsync = lambda _descriptor: os._exit(9)\n"
        "KeptGrant(RELAY, Path(sys.argv[1])).write(grant(number=2))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(folder)], check=False, timeout=60)
    assert ended.returncode == 9
    assert kept.read() == grant()
    kept.write(grant(number=3))
    assert kept.read() == grant(number=3)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = KeptGrant(RELAY, tmp_path / "file" / "sign-ins")
    with pytest.raises(KeptGrantError, match="cannot be written: "):
        kept.write(grant())
    with pytest.raises(KeptGrantError, match="cannot be locked: "):
        kept.lock().try_acquire()
    with pytest.raises(KeptGrantError, match="cannot be read: "):
        kept.read()
    with pytest.raises(KeptGrantError, match="cannot be removed: "):
        kept.remove()


class TestLock:
    def test_one_has_it_at_a_time(self, folder: Path) -> None:
        """Also within a process; a new file does not free it."""
        kept = KeptGrant(RELAY, folder)
        first, second = kept.lock(), kept.lock()
        assert first.try_acquire()
        kept.write(grant())
        assert not second.try_acquire()
        first.release()
        first.release()
        assert second.try_acquire()
        second.release()
        assert mode(kept.path.with_suffix(".lock")) == 0o600

    def test_of_another_relay_is_another(self, folder: Path) -> None:
        one, other = KeptGrant(RELAY, folder).lock(), KeptGrant("https://b.test", folder).lock()
        assert one.try_acquire()
        assert other.try_acquire()
        one.release()
        other.release()

    def test_a_dead_process_does_not_hold_it(self, folder: Path) -> None:
        program = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from mcptunnel.agent.sign_in.kept import KeptGrant\n"
            "assert KeptGrant('https://relay.test', Path(sys.argv[1])).lock().try_acquire()\n"
            "print('held', flush=True)\n"
            "sys.stdin.read()\n"
        )
        command = [sys.executable, "-c", program, str(folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            lock = KeptGrant(RELAY, folder).lock()
            assert not lock.try_acquire()
            holder.kill()
            holder.wait()
            assert lock.try_acquire()
            lock.release()


def test_commands_can_be_pasted() -> None:
    assert login_command("https://a.b:1") == "mcptunnel login https://a.b:1"
    assert login_command("https://[::1]") == "mcptunnel login 'https://[::1]'"

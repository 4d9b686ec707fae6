"""A PostgreSQL server of the tests' own, on the loopback, with a password, gone afterwards.

Without PostgreSQL on the machine the tests that need it are left out, and the last lines of the run
say so. Where CI=true they fail instead.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

USER = "mcptunnel"
_MAKING = ("-U", USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "-D")
_QUICK = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=40"


def programs() -> Path | None:
    """Return where initdb and pg_ctl are: Debian does not put them on the PATH."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3]
    )
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def wants_it(item: pytest.Item) -> bool:
    """Tell whether a test is run on PostgreSQL."""
    call = getattr(item, "callspec", None)
    parameters = {} if call is None else call.params
    return parameters.get("database") == "postgresql" or "postgresql_url" in getattr(
        item, "fixturenames", ()
    )


def left_out(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that cannot be run here, and need not."""
    if programs() is not None or os.environ.get("CI") == "true":
        return []
    return [item for item in items if wants_it(item)]


@contextmanager
def another_database(url: str, name: str) -> Iterator[str]:
    """Make an empty database beside that at `url`, gone afterwards; yield its URL."""
    place = make_url(url)
    engine = create_engine(place.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
            yield place.set(database=name).render_as_string(hide_password=False)
            connection.execute(text(f"DROP DATABASE {name}"))
    finally:
        engine.dispose()


@contextmanager
def running(folder: Path, port: int) -> Iterator[str]:
    """Run a server; yield the URL of an empty database."""
    # Not in pytest's directory, which is closed to the user that root has to become.
    home = Path(tempfile.mkdtemp(prefix="mcptunnel-postgresql-"))
    data, password = home / "data", secrets.token_urlsafe()
    (home / "password").write_text(password)
    account = _account()
    if account is not None:
        for path in (home, home / "password"):
            os.chown(path, account.pw_uid, account.pw_gid)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {_QUICK}"
    control = [str(folder / "pg_ctl"), "-D", str(data), "-w"]
    try:
        _run(
            [str(folder / "initdb"), "--pwfile", str(home / "password"), *_MAKING, str(data)],
            account,
        )
        _run([*control, "-l", str(home / "log"), "-o", options, "start"], account)
        with _stopping([*control, "-m", "immediate", "stop"], account):
            yield f"postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(home)


@contextmanager
def _stopping(command: list[str], account: pwd.struct_passwd | None) -> Iterator[None]:
    """Stop the server at the end, also at that of a test run that is killed."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", 'cat; exec "$@"', "sh", *command],
        cwd="/",
        stdin=subprocess.PIPE,  # ends with this process, however that ends
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        **_as(account),
    )
    assert guard.stdin is not None
    try:
        yield
    finally:
        guard.stdin.close()
        assert guard.wait(60) == 0


def _account() -> pwd.struct_passwd | None:
    """Whom to run it as: PostgreSQL refuses root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _run(command: list[str], account: pwd.struct_passwd | None) -> None:
    done = subprocess.run(
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        **_as(account),
    )
    assert done.returncode == 0, done.stdout

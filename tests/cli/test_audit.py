"""`mcptunnel audit`."""

import json
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection

from mcptunnel.cli.main import main
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.store.audit import AuditEvent, AuditLog
from mcptunnel.store.database import FILE_NAME, Database

ANNA = Principal(LOCAL_ISSUER, "anna")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCPTUNNEL_CONFIG", raising=False)
    Path("relay.toml").write_text('[auth]\nmode = "local"\n')
    Path("state").mkdir(mode=0o700)
    events = [
        AuditEvent(at_s=1.0, event="user.signed_in", principal=ANNA, address="192.0.2.1"),
        AuditEvent(
            at_s=2.0, event="client.registered", client_id="c", detail={"client": "\x1b[1m"}
        ),
        AuditEvent(at_s=3.0, event="user.signed_out", principal=ANNA),
    ]
    with Database(Path("state") / FILE_NAME) as database:
        for event in events:
            database.write(partial(_add, event=event))


def _add(connection: Connection, event: AuditEvent) -> None:
    AuditLog(connection).add(event)


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["audit", "--config", "relay.toml", *arguments])


def test_the_newest_events_oldest_first() -> None:
    """A table for people, in which nothing colours the terminal."""
    result = audit("-n", "2")
    assert result.exit_code == 0, result.output
    heading, *rows = result.stdout.splitlines()
    assert heading.split("\t") == ["AT", "EVENT", "USER", "CLIENT", "ADDRESS", "DETAIL"]
    assert [row.split("\t")[1] for row in rows] == ["client.registered", "user.signed_out"]
    assert "\x1b" not in result.stdout
    assert rows[1].split("\t")[2] == "anna"


def test_lines_of_json_for_programs() -> None:
    lines = [json.loads(line) for line in audit("--json").stdout.splitlines()]
    assert [line["id"] for line in lines] == [1, 2, 3]
    assert lines[0]["address"] == "192.0.2.1"


def test_events_of_one_user_or_of_one_name() -> None:
    def names(*arguments: str) -> list[str]:
        return [
            json.loads(line)["event"] for line in audit("--json", *arguments).stdout.splitlines()
        ]

    assert names("--user", "anna") == ["user.signed_in", "user.signed_out"]
    assert names("--user", "anna", "--issuer", "https://idp.example") == []
    assert names("--event", "client.registered") == ["client.registered"]


def test_where_there_is_nothing_there_is_only_the_heading() -> None:
    assert audit("--event", "nothing").stdout == "AT\tEVENT\tUSER\tCLIENT\tADDRESS\tDETAIL\n"

"""`mcptunnel grants`, without a running relay; with one: tests/programs."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcptunnel.cli.main import main
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.store.database import FILE_NAME, Database
from mcptunnel.store.oauth.families import Families, Family

ANNA = Principal(LOCAL_ISSUER, "anna")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCPTUNNEL_CONFIG", raising=False)
    Path("relay.toml").write_text('[auth]\nmode = "local"\n')
    Path("state").mkdir(mode=0o700)
    now_s = time.time()
    with Database(Path("state") / FILE_NAME) as database:
        for number in range(3):
            family = Family(
                id=f"grant{number}",
                principal=ANNA,
                client_id="app",
                resource="https://relay.example/mcp",
                scopes=frozenset({"mcp"}),
                created_s=now_s,
                last_used_s=now_s,
                expires_s=now_s + 1000,
            )
            database.write(lambda c, family=family: Families(c).add(family))  # type: ignore[misc]


def grants(*arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(main, ["grants", command, "--config", "relay.toml", *rest])


def ids() -> list[str]:
    return [one["id"] for one in json.loads(grants("list", "--json").stdout)]


def test_grants_are_listed_and_taken_back() -> None:
    assert ids() == ["grant0", "grant1", "grant2"]
    assert "anna\tapp\t-\thttps://relay.example/mcp" in grants("list").stdout
    assert grants("revoke", "grant1").stderr == "1 grant is taken back.\n"
    assert ids() == ["grant0", "grant2"]
    assert grants("revoke", "grant1").exit_code == 1
    assert grants("revoke", "--client", "app", "--user", "bob").exit_code == 1
    assert grants("revoke", "--client", "app", "--user", "anna").exit_code == 0
    assert ids() == []
    assert "Nothing is allowed" in grants("list").stderr


@pytest.mark.parametrize("words", [(), ("grant0", "--client", "app"), ("grant0", "--user", "anna")])
def test_a_command_says_what_it_means(words: tuple[str, ...]) -> None:
    assert grants("revoke", *words).exit_code == 2
    assert len(ids()) == 3

"""`mcptunnel users`, without and with a running relay."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcptunnel.cli.main import main
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.store.database import FILE_NAME, Database
from mcptunnel.store.people.users import Users

BOB = Principal("https://idp.example", "bob")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCPTUNNEL_CONFIG", raising=False)
    Path("relay.toml").write_text('[auth]\nmode = "local"\n')


def users(*arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(main, ["users", command, "--config", "relay.toml", *rest])


def stored(*principals: Principal) -> None:
    with Database(Path("state") / FILE_NAME) as database:
        for principal in principals:
            database.write(
                lambda c, principal=principal: Users(c).seen(  # type: ignore[misc]
                    principal, display_name=f"Mx {principal.subject}", email=None, now_s=1.0
                )
            )


@pytest.mark.parametrize(
    ("words", "beginning", "lifetime"),
    [
        (("setup-link",), "http://127.0.0.1:8787/setup?token=mcpt_su_", "Good once, until "),
        (("invite",), "http://127.0.0.1:8787/invite?token=mcpt_iv_", "It is not shown again."),
        (("invite", "--name", "bär"), "http://127.0.0.1:8787/invite?token=mcpt_iv_", "Good once"),
    ],
)
def test_a_link_is_printed_alone(words: tuple[str, ...], beginning: str, lifetime: str) -> None:
    result = users(*words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(beginning)
    assert result.stdout.count("\n") == 1
    assert lifetime in result.stderr
    assert "mcpt_" not in result.stderr


def test_users_are_kept_out_and_let_in() -> None:
    anna = Principal(LOCAL_ISSUER, "anna")
    Path("state").mkdir(mode=0o700)
    stored(anna)
    assert users("disable", "anna").stderr == "User anna is kept out.\n"
    (listed,) = json.loads(users("list", "--json").stdout)
    assert (listed["user"], listed["name"]) == ("anna", "Mx anna")
    assert listed["disabled_s"] is not None
    assert "kept out" in users("list").stdout
    assert users("disable", "anna").stderr == "User anna is already kept out.\n"
    assert users("enable", "anna").stderr == "User anna may sign in again.\n"
    assert users("enable", "anna").stderr == "User anna is not kept out.\n"
    assert users("remove", "anna").stderr == "User anna is removed.\n"
    assert users("remove", "anna").stderr.startswith("There is no user anna. See: mcptunnel users")
    assert users("list").stderr == "Nobody has signed in yet.\n"


def test_a_user_of_a_provider_is_named_with_it() -> None:
    Path("state").mkdir(mode=0o700)
    stored(BOB)
    assert users("disable", "bob").stderr == f"Give --issuer: bob is a user of {BOB.issuer}.\n"
    assert users("disable", "Mx bob").stderr == "Give the user: Mx bob is the name of bob.\n"
    assert users("disable", "bob", "--issuer", BOB.issuer).exit_code == 0
    Path("relay.toml").write_text(
        f'[auth]\nissuer = "{BOB.issuer}"\nclient_id = "x"\nallowed_users = ["bob"]\n'
    )
    assert users("enable", "bob").exit_code == 0, "the configured provider is meant"
    assert f"{BOB.issuer}|bob" in users("list").stdout


@pytest.mark.parametrize("words", [("invite",), ("setup-link",), ("reset-password", "x")])
def test_without_passwords_there_are_no_links(words: tuple[str, ...]) -> None:
    Path("relay.toml").write_text("")
    result = users(*words)
    assert result.exit_code == 1
    assert result.stderr.endswith('that takes auth.mode = "local".\n')


def test_a_password_is_reset_only_for_who_has_one() -> None:
    result = users("reset-password", "nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "There is no user nobody with a password here.\n"

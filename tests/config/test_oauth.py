"""The section of the authorization server."""

from pathlib import Path

import pytest

from mcptunnel.config.errors import ConfigError, InvalidValueError
from mcptunnel.config.load import load_relay
from mcptunnel.config.oauth import OAuthConfig, parse_client_id


def oauth(text: str, folder: Path) -> OAuthConfig:
    return load_relay(None, {"MCPTUNNEL_CONFIG": f"\n[auth.oauth]\n{text}"}, folder).auth.oauth


def complaint(text: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        oauth(text, folder)
    (problem,) = caught.value.problems
    return str(problem)


def test_the_defaults_are_good(tmp_path: Path) -> None:
    assert oauth("max_clients = 10000", tmp_path) == OAuthConfig()


def test_clients_are_tables_under_their_ids(tmp_path: Path) -> None:
    text = '[auth.oauth.clients.app]\ntitle = "App"\nredirect_uris = ["https://a.example/b"]\n'
    (client,) = oauth(text + 'secret = "s"', tmp_path).clients
    assert (client.name, client.title) == ("app", "App")
    assert client.redirect_uris == ("https://a.example/b",)
    assert "secret='s'" not in repr(client)


def test_a_file_is_relative_to_the_configuration(tmp_path: Path) -> None:
    assert oauth('pinned_documents = "d.json"', tmp_path).pinned_documents == tmp_path / "d.json"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('registration = "token"', "registration_token"),
        ('registration_token = "x"', "is only for"),
        ('registration = "maybe"', "registration"),
        ("access_lifetime_s = 5", "access_lifetime_s"),
        ("refresh_grace_s = 500", "refresh_grace_s"),
        ("[auth.oauth.clients.app]", "redirect_uris"),
        ('[auth.oauth.clients."a b"]\nredirect_uris = ["https://a.example"]', "cannot be"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in complaint(text, tmp_path)


@pytest.mark.parametrize("text", ["", "a b", "ä", "x" * 256])
def test_an_id_is_printable(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_client_id(text)

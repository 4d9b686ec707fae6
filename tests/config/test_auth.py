"""Who may use the relay: the modes, the provider, and that no relay starts open by accident."""

from pathlib import Path

import pytest

from mcptunnel.config.auth import AuthConfig
from mcptunnel.config.errors import ConfigError
from mcptunnel.config.load import load_relay
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.surroundings import about_auth

PROVIDER = 'issuer = "https://idp.example/"\nclient_id = "relay"\n'


def relay(text: str, folder: Path, overrides: dict[str, str] | None = None) -> RelayConfig:
    return load_relay(None, {"MCPTUNNEL_CONFIG": f"\n{text}"}, folder, overrides)


def auth(text: str, folder: Path) -> AuthConfig:
    return relay(f"[auth]\n{text}", folder).auth


def complaint(text: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        relay(text, folder)
    (problem,) = caught.value.problems
    return str(problem)


def test_a_relay_that_says_nothing_takes_keys(tmp_path: Path) -> None:
    """As before there was anything else; and nobody gets in without one."""
    for text in ("{}", '{"auth": {}}', '{"auth": {"mode": "keys"}}'):
        config = load_relay(None, {"MCPTUNNEL_CONFIG": text}, tmp_path)
        assert config.auth.mode == "keys"
        assert not config.auth.has_sign_in


def test_an_issuer_means_a_provider(tmp_path: Path) -> None:
    found = auth(PROVIDER, tmp_path)
    assert (found.mode, found.issuer, found.client_id) == ("oidc", "https://idp.example/", "relay")
    assert found.scopes == ("openid", "profile", "email")
    assert found.user_claim == "sub"
    assert found.client_secret is None
    assert found.has_sign_in


def test_every_field_in_camel_case(tmp_path: Path) -> None:
    found = auth(
        'mode = "oidc"\nissuer = "https://idp.example"\nclientId = "r"\nclientSecret = "s3"\n'
        'scopes = "openid groups"\nuserClaim = "oid"\nallowedUsers = ["a"]\n'
        'allowedEmails = ["ü@example.org"]\nallowedDomains = ["example.org"]\n'
        'allowedGroups = ["staff"]\ngroupsClaim = "roles"\nextraParameters = { hd = "x" }\n'
        'caFile = "ca.pem"\nsessionIdleS = 600\nsessionLifetimeS = 6000\n',
        tmp_path,
    )
    assert found.client_secret is not None
    assert found.client_secret.reveal() == "s3"
    assert found.scopes == ("openid", "groups")
    assert (found.user_claim, found.groups_claim) == ("oid", "roles")
    assert found.allowed_emails == ("ü@example.org",)
    assert found.extra_parameters == {"hd": "x"}
    assert found.ca_file == tmp_path / "ca.pem"
    assert not found.is_open


def test_threat_32_the_secret_of_the_provider_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3\n")
    path.chmod(0o600)
    text = f'{PROVIDER}client_secret_file = "secret"'
    secret = auth(text, tmp_path).client_secret
    assert secret is not None
    assert secret.reveal() == "s3"
    path.chmod(0o640)
    assert "auth.client_secret_file: " in complaint(f"[auth]\n{text}", tmp_path)
    both = complaint(f'[auth]\n{text}\nclient_secret = "x"', tmp_path)
    assert both.endswith("contradicts auth.client_secret. Remove one of them.")
    path.unlink()
    assert "is not there. Write the secret into it" in complaint(f"[auth]\n{text}", tmp_path)


def test_threat_32_nothing_shows_the_secret(tmp_path: Path) -> None:
    config = relay(f'[auth]\n{PROVIDER}client_secret = "hushhush"', tmp_path)
    assert "hushhush" not in repr(config)
    text = complaint(f'[auth]\n{PROVIDER}client_secret = ["hushhush"]', tmp_path)
    assert "hushhush" not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('mode = "oidc"\nclient_id = "x"', "auth.issuer: is missing. Write for example"),
        ('issuer = "https://a"', "auth.client_id: is missing. Register the relay"),
        (f"{PROVIDER}scopes = []", "auth.scopes: is empty"),
        ('issuer = "a.example"\nclient_id = "x"', "auth.issuer: is not an http or https URL"),
        ('issuer = "https://"\nclient_id = "x"', "auth.issuer: is not an http or https URL"),
        ('issuer = "https://a:b"\nclient_id = "x"', "auth.issuer: is not an http or https URL"),
        ('issuer = "https://a/?b"\nclient_id = "x"', "auth.issuer: has more than scheme"),
        ('issuer = "http://a.example"\nclient_id = "x"', "would be asked unencrypted"),
        ('mode = "local"\nissuer = "https://a"', 'auth.issuer: is only for mode = "oidc"'),
        ('mode = "keys"\nallowed_users = ["x"]', 'this is "keys"'),
        ('mode = "open"', "'open' is not known. Known here: oidc, local, keys, none."),
        ("session_idle_s = 900\nsession_lifetime_s = 600", "is more than session_lifetime_s"),
    ],
)
def test_what_is_wrong_is_told_with_a_remedy(text: str, told: str, tmp_path: Path) -> None:
    line = complaint(f"[auth]\n{text}", tmp_path)
    assert told in line
    assert line.endswith(".")


def test_a_provider_on_this_machine_needs_no_tls(tmp_path: Path) -> None:
    found = auth('issuer = "http://127.0.0.1:18100"\nclient_id = "x"', tmp_path)
    assert found.issuer == "http://127.0.0.1:18100"


NONE = '\n[auth]\nmode = "none"'


@pytest.mark.parametrize(
    "text",
    [
        NONE,
        f'listen = "tcp:8787:interface=localhost"{NONE}',
        f'listen = "tcp:8787:interface=\\\\:\\\\:1"{NONE}',
        f'listen = "tcp:8787"\npublic_url = "https://a.example"\ninsecure = true{NONE}',
    ],
)
def test_nobody_is_asked_on_loopback_alone_or_on_demand(text: str, tmp_path: Path) -> None:
    assert relay(text, tmp_path).auth.mode == "none"


@pytest.mark.parametrize(
    "text",
    [
        f'listen = "tcp:8787"\npublic_url = "http://localhost:8787"{NONE}',
        f'listen = "tcp:8787:interface=0.0.0.0"\npublic_url = "http://localhost:8787"{NONE}',
        f'listen = "unix:/run/x"\npublic_url = "http://localhost"{NONE}',
        f'public_url = "https://relay.example"{NONE}',
        f'mode = "relay"{NONE}',
    ],
)
def test_a_relay_never_starts_open_by_accident(text: str, tmp_path: Path) -> None:
    """Not on other interfaces, and not behind a proxy that others reach."""
    line = complaint(text, tmp_path)
    assert 'auth.mode: "none" would let everybody in' in line
    assert "insecure = true" in line


def test_an_option_cannot_open_it_by_accident_either(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="would let everybody in"):
        relay(NONE, tmp_path, {"listen": "tcp:0", "public_url": "http://localhost:1"})


def test_files_of_mcp_local_tunnel_work_unchanged(tmp_path: Path) -> None:
    """Its README's examples: only `mode` and `auth.issuer` are needed."""
    least = 'mode = "relay"\nauth = { issuer = "https://auth.example.com" }'
    found = relay(least, tmp_path).auth
    assert (found.mode, found.client_id, found.scopes) == ("oidc", "mcp-local-tunnel", ("openid",))
    full = (
        '{"mode": "relay", "auth": {"issuer": "https://keycloak.example.com/realms/myrealm",'
        ' "clientId": "mcp-local-tunnel", "clientSecret": "optional-secret"}, "port": 3000,'
        ' "host": "0.0.0.0", "issuerUrl": "https://tunnel.example.com",'
        ' "secret": "some-persistent-secret"}'
    )
    config = load_relay(None, {"MCPTUNNEL_CONFIG": full}, tmp_path)
    assert config.secret is None, "too short to seal with: the one in state_dir is used"
    assert config.public_url == "https://tunnel.example.com"
    most = (
        'mode = "relay"\nissuerUrl = "https://tunnel.example.com"\n[auth]\n'
        'issuer = "https://id.example/realms/mine"\nclientId = "c"\nclientSecret = "s"\n'
        'scopes = ["openid", "email"]\nuserClaim = "preferred_username"'
    )
    found = relay(most, tmp_path).auth
    assert (found.client_id, found.scopes) == ("c", ("openid", "email"))
    assert found.user_claim == "preferred_username"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (NONE, "auth.mode: nobody has to prove who they are"),
        (f"[auth]\n{PROVIDER}", "auth: everybody may come in whom https://idp.example/"),
        (f'[auth]\n{PROVIDER}allowed_users = ["a"]\nca_file = "x.pem"', "auth.ca_file: "),
    ],
)
def test_what_may_not_be_meant_is_warned_of(text: str, told: str, tmp_path: Path) -> None:
    (warning,) = about_auth(relay(text, tmp_path))
    assert warning.startswith(told)


def test_the_others_are_no_reason_to_warn(tmp_path: Path) -> None:
    for mode in ("keys", "local"):
        assert not list(about_auth(relay(f'[auth]\nmode = "{mode}"', tmp_path)))

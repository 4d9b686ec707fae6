"""Whole files, as people write them."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.errors import ConfigError
from mcptunnel.config.load import load_agent, load_relay
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.secret import Secret

_RELAY = """
listen = "tcp:8787:interface=127.0.0.1"
public_url = "http://127.0.0.1:8787"
state_dir = "./state"
[auth]
mode = "keys"
"""

_AGENT = """
relay = "http://127.0.0.1:8787"
name = "laptop"
key_file = "./agent.key"
[servers.time]
command = ["python", "-m", "mcp_server_time"]
env = { TZ = "UTC" }
[servers.web]
url = "http://127.0.0.1:9000/mcp"
"""


def _write_key(directory: Path, text: str = "mcpt_ak_x\n", mode: int = 0o600) -> None:
    path = directory / "agent.key"
    path.write_text(text)
    path.chmod(mode)


def _relay(text: str, cwd: Path, **overrides: str) -> RelayConfig:
    return load_relay(None, {"MCPTUNNEL_CONFIG": f"\n{text}"}, cwd, overrides)


def _agent(text: str, cwd: Path, **environ: str) -> AgentConfig:
    return load_agent(None, {"MCPTUNNEL_CONFIG": f"\n{text}", **environ}, cwd)


def _keys(caught: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return [problem.key for problem in caught.value.problems]


def test_a_relay_file(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(_RELAY)
    assert load_relay(Path("relay.toml"), {}, tmp_path) == RelayConfig(
        public_url="http://127.0.0.1:8787", state_dir=tmp_path / "state"
    )


def test_an_agent_file(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(_AGENT)
    _write_key(tmp_path)
    config = load_agent(Path("agent.toml"), {}, tmp_path)
    assert (config.relay, config.name) == ("http://127.0.0.1:8787", "laptop")
    assert config.key == Secret("mcpt_ak_x")
    assert config.key_file == tmp_path / "agent.key"
    time, web = config.servers
    assert (time.name, time.kind, time.env) == ("time", "stdio", {"TZ": "UTC"})
    assert time.command == ("python", "-m", "mcp_server_time")
    assert (web.kind, web.url, web.timeout_s) == ("http", "http://127.0.0.1:9000/mcp", 3600.0)


def test_json_in_camel_case_means_the_same(tmp_path: Path) -> None:
    _write_key(tmp_path)
    text = {
        "relay": "http://127.0.0.1:8787",
        "keyFile": "agent.key",
        "stateDir": "s",
        "mcpServers": {
            "time": {
                "command": "python",
                "args": ["-m", "mcp_server_time"],
                "env": {"TZ": "UTC"},
                "timeoutS": 5,
            },
            "web": {"type": "streamable-http", "url": "http://a/mcp", "headers": {"X": "${X}"}},
        },
    }
    environ = {"MCPTUNNEL_CONFIG": json.dumps(text), "X": "y"}
    time, web = load_agent(None, environ, tmp_path).servers
    assert time.command == ("python", "-m", "mcp_server_time")
    assert time.timeout_s == 5.0
    assert (web.kind, web.headers) == ("http", {"x": "y"})


def test_an_almost_empty_relay_file_is_enough(tmp_path: Path) -> None:
    config = load_relay(None, {"MCPTUNNEL_CONFIG": "{}"}, tmp_path)
    assert config.public_url == "http://127.0.0.1:8787"
    assert config.state_dir == tmp_path / "state"


@pytest.mark.parametrize(
    ("text", "listen", "url"),
    [
        ("port = 80", "tcp:80:interface=127.0.0.1", "http://127.0.0.1:80"),
        ('mode = "relay"', "tcp:3000:interface=0.0.0.0", "http://localhost:3000"),
        ('mode = "relay"\nport = "${PORT}"', "tcp:99:interface=0.0.0.0", "http://localhost:99"),
        (
            'mode = "relay"\nissuerUrl = "https://a.b/"',
            "tcp:3000:interface=0.0.0.0",
            "https://a.b",
        ),
    ],
)
def test_files_of_mcp_local_tunnel(text: str, listen: str, url: str, tmp_path: Path) -> None:
    environ = {"MCPTUNNEL_CONFIG": f"\n{text}", "PORT": "99"}
    config = load_relay(None, environ, tmp_path)
    assert config.listen == listen
    assert config.public_url.removesuffix(":80") == url.removesuffix(":80")


def test_an_agent_file_of_mcp_local_tunnel(tmp_path: Path) -> None:
    text = '{"mode":"agent","relay":"a.b","servers":{"x":{"command":["npx"]}}}'
    environ = {"MCPTUNNEL_CONFIG": text, "MCPTUNNEL_KEY": "k"}
    config = load_agent(None, environ, tmp_path)
    assert config.relay == "https://a.b"
    assert config.key == Secret("k")


@pytest.mark.parametrize("text", ['listen = "tcp:80"', 'listen = "tcp:0:interface=127.0.0.1"'])
def test_a_relay_for_others_must_say_its_url(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _relay(text, tmp_path)
    assert _keys(caught) == ["public_url"]


def test_a_public_url_that_cannot_be_guessed_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _relay('listen = "tcp:8787"', tmp_path)
    assert str(caught.value) == (
        "MCPTUNNEL_CONFIG: public_url: is missing. `listen` is not a fixed port on loopback, so it"
        ' cannot be guessed. Write for example: public_url = "https://relay.example.org"'
    )


@pytest.mark.parametrize("listen", ["8787", "tpc:8787", "tcp:99999:interface=127.0.0.1", "tcp:x"])
def test_a_bad_listen_string_is_one_problem(listen: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _relay(f'listen = "{listen}"', tmp_path)
    assert _keys(caught) == ["listen"]


def test_a_bad_listen_value_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _relay('listen = 8787\npublic_url = "https://a.b"', tmp_path)
    assert _keys(caught) == ["listen"]


def test_http_to_elsewhere_is_refused_without_insecure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _relay('public_url = "http://a.b"', tmp_path)
    assert _keys(caught) == ["public_url"]
    assert _relay('public_url = "http://a.b"\ninsecure = true', tmp_path).insecure


def test_options_win_over_the_file(tmp_path: Path) -> None:
    config = load_relay(
        None,
        {"MCPTUNNEL_CONFIG": "\nport = 1\npublicUrl = 'https://a.b'\nlimits.maxSessions = 5"},
        tmp_path,
        {"listen": "tcp:2", "public_url": "https://c.d", "limits.max_sessions": "6"},
    )
    assert config.listen == "tcp:2"
    assert config.public_url == "https://c.d"
    assert config.limits.max_sessions == 6


def test_a_path_on_the_command_line_is_relative_to_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "relay.toml").write_text('state_dir = "a"')
    path = Path("etc/relay.toml")
    assert load_relay(path, {}, tmp_path).state_dir == tmp_path / "etc" / "a"
    config = load_relay(path, {}, tmp_path, {"state_dir": "b"})
    assert config.state_dir == tmp_path / "b"
    config = load_relay(path, {}, tmp_path, {"state_dir": "~/b"})
    assert config.state_dir == Path.home() / "b"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("limits.max_sessions", "many"),
        ("state_dir", ""),
        ("nonsense", "x"),
        ("limits", "x"),
        ("limits.nonsense", "x"),
        ("listen.port", "x"),
        ("allowed_hosts", "x"),
    ],
)
def test_bad_options_name_the_command_line(key: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_relay(None, {"MCPTUNNEL_CONFIG": "{}"}, tmp_path, {key: text})
    assert str(caught.value).startswith(f"command line: {key}: ")


def test_secrets_cannot_be_options(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="command line: key: is not a key"):
        load_agent(None, {"MCPTUNNEL_CONFIG": "{}"}, tmp_path, {"key": "k"})


class TestKey:
    _TEXT = 'relay = "https://a.b"\nservers.x.command = ["x"]\n'

    def test_from_the_environment(self, tmp_path: Path) -> None:
        assert _agent(self._TEXT, tmp_path, MCPTUNNEL_KEY=" k\n").key == Secret("k")

    def test_from_the_file(self, tmp_path: Path) -> None:
        assert _agent(f'{self._TEXT}key = "${{K}}"', tmp_path, K="k").key == Secret("k")

    @pytest.mark.parametrize(
        ("text", "environ"),
        [
            ('key = "k"', {"MCPTUNNEL_KEY": "k"}),
            ('key = "k"\nkey_file = "agent.key"', {}),
            ('key_file = "agent.key"', {"MCPTUNNEL_KEY": "k"}),
            ('key = ""', {}),
            ("key = 5", {}),
        ],
    )
    def test_one_at_most(self, text: str, environ: dict[str, str], tmp_path: Path) -> None:
        _write_key(tmp_path)
        with pytest.raises(ConfigError) as caught:
            _agent(self._TEXT + text, tmp_path, **environ)
        assert _keys(caught) == ["key"]

    def test_without_one_there_has_to_be_a_sign_in(self, tmp_path: Path) -> None:
        """The relay is asked for by its origin, and not at all if there is a key."""
        asked: list[str] = []

        def fault(relay: str) -> tuple[str, str] | None:
            asked.append(relay)
            return ("nobody is signed in", "Sign in.") if len(asked) > 1 else None

        def load(text: str) -> AgentConfig:
            environ = {"MCPTUNNEL_CONFIG": text}
            return load_agent(None, environ, tmp_path, sign_in_fault=fault)

        assert load(f'{self._TEXT}key = "k"').key == Secret("k")
        assert asked == []
        assert load(self._TEXT).key is None
        assert asked == ["https://a.b"]
        with pytest.raises(ConfigError, match="key: is missing, and nobody is signed in"):
            load(self._TEXT)

    def test_a_key_never_shows_in_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            _agent('key = "hunter2"', tmp_path, MCPTUNNEL_KEY="hunter2")
        assert "hunter2" not in str(caught.value)


class TestStateDir:
    _TEXT = 'relay = "https://a.b"\nservers.x.command = ["x"]\nkey = "k"\n'

    def test_one_per_real_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        for name in ("a.toml", "b.toml"):
            (tmp_path / name).write_text(self._TEXT)
        (tmp_path / "link.toml").symlink_to("a.toml")
        a, b, link = (
            load_agent(Path(name), {}, tmp_path).state_dir
            for name in ("a.toml", "b.toml", "link.toml")
        )
        assert a != b
        assert a == link
        assert a.parent == tmp_path / "data" / "mcptunnel" / "agents"

    def test_a_text_from_the_environment_has_a_stable_one(self, tmp_path: Path) -> None:
        first = _agent(self._TEXT, tmp_path)
        assert _agent(f"{self._TEXT}insecure = true", tmp_path).state_dir == first.state_dir
        assert _agent(f'{self._TEXT}name = "other"', tmp_path).state_dir != first.state_dir

    def test_given(self, tmp_path: Path) -> None:
        config = _agent(f'{self._TEXT}state_dir = "s"', tmp_path)
        assert config.state_dir == tmp_path / "s"


@pytest.mark.parametrize(
    ("server", "program"),
    [
        ('command = ["python"]', "python"),
        ('command = ["./server.py"]', "{tmp}/server.py"),
        ('command = ["bin/server"]\ncwd = "sub"', "{tmp}/sub/bin/server"),
        ('command = ["/bin/server"]', "/bin/server"),
        ('command = ["~/bin/server"]', "{home}/bin/server"),
        ('command = "~/bin/server"\nargs = ["~"]', "{home}/bin/server"),
    ],
)
def test_relative_programs_are_relative_to_the_file(
    server: str, program: str, tmp_path: Path
) -> None:
    text = f'relay = "https://a.b"\nkey = "k"\n[servers.x]\n{server}'
    (config,) = _agent(text, tmp_path).servers
    assert config.command
    assert config.command[0] == program.format(tmp=tmp_path, home=Path.home())


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    tree: dict[str, Any] = {
        "relay": "http://example.com",
        "nmae": "x",
        "tunnel": {"pingAfterS": 50, "deadAfterS": 10},
        "servers": {
            "a__b": {"command": "npx", "args": ["${NOPE}"]},
            "both": {"command": ["x"], "url": "http://x"},
            "neither": {},
            "odd": 5,
            "sse": {"type": "sse", "url": "http://x"},
        },
    }
    (tmp_path / "agent.json").write_text(json.dumps(tree))
    with pytest.raises(ConfigError) as caught:
        load_agent(Path("agent.json"), {}, tmp_path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith("agent.json: ") for line in lines)
    assert _keys(caught) == [
        "servers.a__b.args[0]",
        "nmae",
        "servers.a__b",
        "servers.both.url",
        "servers.neither.command",
        "servers.odd",
        "servers.sse.kind",
        "tunnel.dead_after_s",
        "relay",
    ]


def test_an_agent_file_is_no_relay_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="This is read as the configuration of the relay"):
        _relay('mode = "agent"', tmp_path)

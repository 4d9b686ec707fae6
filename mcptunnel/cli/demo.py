"""`mcptunnel demo`: the whole way on one machine, with a real call, until Ctrl-C."""

import signal
import sys
import tempfile
import threading
from pathlib import Path

import click
from rich.console import Console

from mcptunnel.auth.keys import Scope
from mcptunnel.cli.demo_client import DemoClient
from mcptunnel.cli.demo_ports import DEFAULT_PORT, free_port, require_free
from mcptunnel.cli.demo_programs import Programs
from mcptunnel.cli.keyring import open_keyring
from mcptunnel.cli.options import CommandError
from mcptunnel.cli.user_book import open_users
from mcptunnel.config.load import load_relay
from mcptunnel.errors import McpTunnelError

USER = "demo"
TOOL = "demo__add"
ARGUMENTS = {"a": 19, "b": 23}

_RELAY = """\
listen = "tcp:{port}:interface=127.0.0.1"
public_url = "http://127.0.0.1:{port}"
state_dir = "./relay"

[auth]
mode = "local"
"""

_AGENT = """\
relay = "http://127.0.0.1:{port}"
name = "demo-laptop"
state_dir = "./agent"
key_file = "./agent.key"

[servers.demo]
command = [{python}, "-m", "mcptunnel.testing.demo_server"]
"""

_SIGN_IN = """\

[bold]Sign in[/bold] as the first user, {user}, within 15 minutes; the link is good once:

  {link}
"""

_CONNECT = """\

[bold]Connect a client[/bold] while this runs. One that signs in by the browser needs the URL alone:

  MCP URL       {url}

  Claude Code   claude mcp add --transport http demo {url}

  Any other, with a key:

  Key           {key}

  Claude Code   claude mcp add --transport http demo {url} \\
                  --header "Authorization: Bearer {key}"

  Cursor and others, in mcp.json:
    {{"mcpServers": {{"demo": {{"url": "{url}",
      "headers": {{"Authorization": "Bearer {key}"}}}}}}}}

  VS Code, in .vscode/mcp.json:
    {{"servers": {{"demo": {{"type": "http", "url": "{url}",
      "headers": {{"Authorization": "Bearer {key}"}}}}}}}}

  Codex, in ~/.codex/config.toml, started with MCPTUNNEL_CLIENT_KEY={key}
    mcp_servers.demo = {{ url = "{url}", bearer_token_env_var = "MCPTUNNEL_CLIENT_KEY" }}

  curl          curl {url} -H "Authorization: Bearer {key}" \\
                  -H "Content-Type: application/json" -H "Accept: application/json, text/event-stream" \\
                  -H "MCP-Protocol-Version: 2026-07-28" -H "Mcp-Method: tools/call" -H "Mcp-Name: {tool}" \\
                  -d '{body}'
"""


@click.command(
    epilog="\b\nExamples:\n  mcptunnel demo\n  mcptunnel demo --port 9000\n  mcptunnel demo --check"
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"The relay's port on 127.0.0.1; {DEFAULT_PORT} if left out.",
)
@click.option("--check", is_flag=True, help="Take a free port, make the call, and end.")
def demo(port: int | None, *, check: bool) -> None:
    """Start a relay and an agent with a demo server and make a real call through them.

    Everything is in a temporary directory and ends, traceless, with Ctrl-C.
    """
    console = Console(highlight=False, soft_wrap=True)
    if port is None:
        port = free_port() if check else DEFAULT_PORT
    require_free(port)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_signal: stop.set())
    with (
        tempfile.TemporaryDirectory(prefix="mcptunnel-demo-") as directory,
        Programs(Path(directory), stop) as programs,
    ):
        try:
            client = _start(console, programs, port)
            _show_call(console, client)
            _show_sign_in(console, programs, client)
            if not check:
                _show_connections(console, client)
                programs.watch()
        except McpTunnelError as error:
            if not stop.is_set():
                raise CommandError(f"{error}\n{programs.logs()}") from error
        if stop.is_set():
            console.print("\nStopping ...")
    if not check:
        console.print("Stopped; nothing is left.")


def _start(console: Console, programs: Programs, port: int) -> DemoClient:
    directory = programs.directory
    console.print("Making keys ...")
    with open_keyring(directory / "relay") as keys:
        agent_key = keys.create(user=USER, scope=Scope.AGENT, name="demo agent").text
        client_key = keys.create(user=USER, scope=Scope.MCP, name="demo client").text
    key_file = directory / "agent.key"
    key_file.touch(0o600)
    key_file.write_text(agent_key)
    (directory / "relay.toml").write_text(_RELAY.format(port=port))
    python = '"' + sys.executable.replace("\\", "\\\\").replace('"', '\\"') + '"'
    (directory / "agent.toml").write_text(_AGENT.format(port=port, python=python))
    client = DemoClient(port, client_key)
    console.print(f"Starting a relay on 127.0.0.1:{port} ...")
    programs.start("relay")
    programs.wait_until(client.is_up, "the relay answers")
    console.print("Starting an agent with a demo server ...")
    programs.start("agent")
    programs.wait_until(client.is_connected, "the agent is connected")
    return client


def _show_call(console: Console, client: DemoClient) -> None:
    tools = client.list_tools()
    console.print(f"\n[bold]tools/list[/bold] through the tunnel: {len(tools)} tools")
    for tool in tools:
        console.print(f"  {tool.name:<18} {tool.description}", markup=False)
    if TOOL not in [tool.name for tool in tools]:
        raise McpTunnelError(f"The tool {TOOL} is not listed.")
    result = client.call(TOOL, ARGUMENTS)
    shown = ", ".join(f"{name}={value}" for name, value in ARGUMENTS.items())
    console.print("\n[bold]tools/call[/bold] through the tunnel:")
    console.print(f"  {TOOL}({shown}) -> {result}", markup=False)
    if str(sum(ARGUMENTS.values())) not in result:
        raise McpTunnelError(f"{TOOL} gave {result!r}.")


def _show_sign_in(console: Console, programs: Programs, client: DemoClient) -> None:
    relay = load_relay(programs.directory / "relay.toml", {}, programs.directory)
    with open_users(relay) as users:
        link, _expires_s = users.make_link("setup-link", USER)
    if not client.is_good(link):
        raise McpTunnelError("The link for the first user does not work.")
    console.print(_SIGN_IN.format(user=USER, link=link))


def _show_connections(console: Console, client: DemoClient) -> None:
    body = client.call_body(TOOL, ARGUMENTS)
    text = _CONNECT.format(url=client.url, key=client.key, tool=TOOL, body=body)
    console.print(text)
    console.print("[bold]Ctrl-C[/bold] stops everything.")

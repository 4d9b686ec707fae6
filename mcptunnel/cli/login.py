"""`mcptunnel login`: a person signs in for the agents that this user runs on this machine."""

import os
import platform
import time
from contextlib import suppress
from typing import Any

import click

from mcptunnel.agent.sign_in.answers import DeviceCodes, RelayUnavailableError
from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer
from mcptunnel.agent.sign_in.by_code import sign_in_by_code
from mcptunnel.agent.sign_in.grant import DamagedError, Grant, Tokens
from mcptunnel.agent.sign_in.in_browser import SignInFailedError, sign_in_in_browser
from mcptunnel.agent.sign_in.kept import KeptGrant, KeptGrantError
from mcptunnel.agent.sign_in.renewal import acquire
from mcptunnel.cli.browser import can_open, open_in_browser
from mcptunnel.cli.options import CommandError, require_stdout
from mcptunnel.cli.reactor_run import run_in_reactor
from mcptunnel.config.errors import InvalidValueError
from mcptunnel.config.names import default_device_name
from mcptunnel.config.urls import is_plain_remote, parse_relay_url
from mcptunnel.net.http import Fetcher
from mcptunnel.net.pinning import anywhere

_EXAMPLES = """\b
Examples:
  mcptunnel login relay.example.org
  mcptunnel login --device relay.example.org
"""

_BUSY = "Another program has held the sign-in's lock for too long. Try again."


@click.command(epilog=_EXAMPLES)
@click.argument("relay")
@click.option(
    "--device", is_flag=True, help="Show a code to type on any other machine or telephone."
)
@click.option("--insecure", is_flag=True, help="Allow unencrypted http to another machine.")
def login(relay: str, *, device: bool, insecure: bool) -> None:
    """Sign in at RELAY, for the agents that you run on this machine.

    Opens a browser here, or, with --device, shows a code for a browser elsewhere. What the relay
    gives is kept in your data directory, for you alone, and is renewed by the agents that use it:
    those whose configuration has this relay and no key. Signing in again replaces it.
    """
    origin = relay_origin(relay, insecure=insecure)
    require_stdout()
    kept = KeptGrant(origin)
    user = run_in_reactor(lambda reactor: _login(reactor, kept, by_code=device))
    whom = f" as {user}" if user else ""
    click.echo(
        f"Signed in at {origin}{whom}. Agents of yours that have this relay and no key use it."
    )


def relay_origin(relay: str, *, insecure: bool) -> str:
    """Return the origin of the relay that was named. Raises CommandError."""
    try:
        origin = parse_relay_url(relay)
    except InvalidValueError as error:
        raise CommandError(f"RELAY: {error.message}. {error.remedy}".rstrip()) from error
    if is_plain_remote(origin) and not insecure:
        raise CommandError(
            f"RELAY: {origin!r} would send the sign-in unencrypted over the network. Use https, or "
            "give --insecure if something else protects the way."
        )
    return origin


async def _login(reactor: Any, kept: KeptGrant, *, by_code: bool) -> str:
    """Return the name of who signed in, "" if the relay does not tell."""
    fetcher = Fetcher(reactor, judge=anywhere)
    asked = AuthorizationServer(kept.relay, fetcher)
    try:
        # What cannot be kept should not trouble a person first.
        lock = kept.lock()
        lock.try_acquire()
        lock.release()
        tokens = await _sign_in(reactor, asked, by_code=by_code)
        grant = Grant.begun(kept.relay, tokens, time.time())
        useless: Grant | None = grant  # what no file has, nobody here could end later
        try:
            useless = await _keep(reactor, kept, grant)
        finally:
            if useless is not None:
                with suppress(RelayUnavailableError):
                    await asked.revoke(useless.refresh_token)
    except SignInFailedError as error:
        raise CommandError(
            f"Nobody was signed in: {str(error)[0].lower()}{str(error)[1:]}."
        ) from error
    except RelayUnavailableError as error:
        raise CommandError(f"The relay cannot be asked: {error}. Try again.") from error
    except DamagedError as error:
        raise CommandError(f"{kept.relay} gave nothing that lasts: {error}.") from error
    finally:
        await fetcher.stop()
    return tokens.user


async def _sign_in(reactor: Any, asked: AuthorizationServer, *, by_code: bool) -> Tokens:
    server = await asked.discover()
    if by_code:
        return await sign_in_by_code(
            reactor,
            asked,
            server,
            device_name=default_device_name(),
            host_name=platform.node(),
            show=_show_code,
        )
    return await sign_in_in_browser(reactor, asked, server, random=os.urandom, show=_show_url)


async def _keep(reactor: Any, kept: KeptGrant, grant: Grant) -> Grant | None:
    """Keep a new grant; return the one before."""
    lock = kept.lock()
    if not await acquire(reactor, lock):
        raise CommandError(_BUSY)
    try:
        before = None
        with suppress(KeptGrantError):
            before = kept.read(private=False)
        kept.write(grant)
    finally:
        lock.release()
    return before


def _show_url(url: str) -> None:
    if can_open(os.environ):
        click.echo(
            "Sign in in the browser that opens now. If none does, open this on this machine:"
        )
        open_in_browser(url)
    else:
        click.echo("Open this in a browser on this machine (on another one: give --device):")
    click.echo(f"\n  {url}\n\nWaiting for you to sign in; Ctrl-C ends it.")


def _show_code(codes: DeviceCodes) -> None:
    click.echo(f"Open this in any browser, sign in, and type the code:\n\n  {codes.page}\n")
    click.echo(f"  {codes.user_code}\n\nOr open this, and compare the code:\n")
    click.echo(f"  {codes.page_with_code}\n")
    minutes = max(1, round(codes.lifetime_s / 60))
    click.echo(f"Waiting for you, at most {minutes} minutes; Ctrl-C ends it.")

"""`mcptunnel logout`: ends a sign-in, at the relay and on this machine."""

from typing import Any

import click

from mcptunnel.agent.sign_in.answers import RelayUnavailableError
from mcptunnel.agent.sign_in.authorization_server import AuthorizationServer
from mcptunnel.agent.sign_in.kept import KeptGrant, KeptGrantError
from mcptunnel.agent.sign_in.renewal import acquire
from mcptunnel.cli.login import relay_origin
from mcptunnel.cli.options import CommandError
from mcptunnel.cli.reactor_run import run_in_reactor
from mcptunnel.net.http import Fetcher
from mcptunnel.net.pinning import anywhere

_EXAMPLES = """\b
Examples:
  mcptunnel logout relay.example.org
  mcptunnel logout --forget relay.example.org
"""


@click.command(epilog=_EXAMPLES)
@click.argument("relay")
@click.option("--forget", is_flag=True, help="Only remove it here: the relay is gone for good.")
@click.option("--insecure", is_flag=True, help="Allow unencrypted http to another machine.")
def logout(relay: str, *, forget: bool, insecure: bool) -> None:
    """End the sign-in at RELAY, and remove it from this machine.

    The relay cuts off the agents that use it. If it cannot be told, the sign-in stays: try again.
    """
    origin = relay_origin(relay, insecure=insecure or forget)
    kept = KeptGrant(origin)
    run_in_reactor(lambda reactor: _logout(reactor, kept, forget=forget))
    click.echo(f"The sign-in at {origin} is {'removed' if forget else 'over'}.", err=True)


async def _logout(reactor: Any, kept: KeptGrant, *, forget: bool) -> None:
    if not kept.path.exists():
        raise CommandError(f"Nobody is signed in at {kept.relay}.")
    lock = kept.lock()
    if not await acquire(reactor, lock):
        raise CommandError("Another program has held the sign-in's lock for too long. Try again.")
    try:
        if not forget:
            await _revoke(reactor, kept)
        kept.remove()
    finally:
        lock.release()


async def _revoke(reactor: Any, kept: KeptGrant) -> None:
    only_here = "`--forget` removes it here alone."
    fetcher = Fetcher(reactor, judge=anywhere)
    try:
        grant = kept.read(private=False)
        if grant is not None:
            await AuthorizationServer(kept.relay, fetcher).revoke(grant.refresh_token)
    except KeptGrantError as error:
        raise CommandError(f"{error.message}, so the relay cannot be told. {only_here}") from error
    except RelayUnavailableError as error:
        raise CommandError(
            f"The relay cannot be told: {error}. The sign-in stays; try again. {only_here}"
        ) from error
    finally:
        await fetcher.stop()

"""Who wants to hear of which URIs of each server: found out a part in each turn of the reactor."""

from collections.abc import Iterable, Iterator
from typing import Final

from mcptunnel.mcp import jsonrpc
from mcptunnel.model import Principal
from mcptunnel.relay.hub.honouring import STEPS_PER_TURN, Honouring
from mcptunnel.relay.hub.listen import Listen
from mcptunnel.relay.hub.listeners import Heard, Listeners, Place

_STEPS_TO_TELL: Final = 20
"""What it takes to tell a client of one resource."""


def find(principal: Principal, listeners: Listeners, honouring: Honouring) -> Iterator[None]:
    """Bring `heard` and `vain` of a user up to date; yield at the end of each turn.

    Then say once that it changed of what nobody tells of, or another server from now on: reading it, a
    client sees what became of it.
    """
    heard: dict[Place, Heard] = {}
    vain: list[tuple[Listen, str]] = []
    moved: list[tuple[Listen, str]] = []
    owners, steps = honouring.owners(principal), 0
    was_settled = owners is not None
    for listen, uri in [(each, uri) for each in listeners.listens for uri in each.places]:
        before = listen.places[uri]
        taken, known = honouring.look_up(principal, uri, before, owners)
        if known is not None:
            listen.places[uri] = known
            at_place = heard.setdefault((known.device_key, known.server), {})
            at_place.setdefault(known.item, []).append((listen, uri))
            if not honouring.can_tell(principal, known):
                vain.append((listen, uri))
            elif before not in (None, known):
                moved.append((listen, uri))
        steps += taken
        if steps >= STEPS_PER_TURN:
            yield
            owners, steps = honouring.owners(principal), 0
            was_settled = was_settled and owners is not None
    listeners.heard = heard
    told, listeners.vain = listeners.vain, frozenset(vain)
    yield from _tell((*moved, *(each for each in vain if each not in told)), steps)
    if honouring.is_settled(principal) and not was_settled:
        listeners.again = True  # some were looked up before it was known whose they are


def _tell(changed: Iterable[tuple[Listen, str]], steps: int) -> Iterator[None]:
    for listen, uri in changed:
        listen.updated(uri, {"uri": jsonrpc.raw(uri)})
        steps += _STEPS_TO_TELL
        if steps >= STEPS_PER_TURN:
            yield
            steps = 0

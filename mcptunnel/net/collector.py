"""The garbage collector of a long-running program.

A full collection looks at every object there is; with what was imported alone that takes some 50 ms,
during which nobody is answered. What is there after the start stays for ever, so it need not be looked
at again.
"""

import gc
from typing import Final

from twisted.internet.interfaces import IReactorCore

YOUNG_OBJECTS: Final = 10_000
"""How many new containers begin a collection: a busy turn's worth, where Python's default is 700."""


def spare_what_is_here(reactor: IReactorCore) -> None:
    """Take everything that exists once the reactor runs out of all later collections."""
    reactor.callWhenRunning(_freeze)


def _freeze() -> None:
    gc.collect()
    gc.freeze()
    _young, middle, old = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, middle, old)

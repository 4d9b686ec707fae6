"""A reactor's clock, for what is pure and wants to be called later."""

from collections.abc import Callable
from typing import Any

from mcptunnel.mcp.client_half.timers import Timer


class ReactorTimers:
    """Calls of a reactor (`mcp.client_half.timers.Timers`)."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        timer: Timer = self._reactor.callLater(delay_s, call)
        return timer

"""Child processes; what their tests share."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest_twisted

_Test: TypeAlias = Callable[..., Coroutine[Any, Any, None]]

in_reactor: Callable[[_Test], _Test] = pytest_twisted.ensureDeferred
"""Run a test as a coroutine in the reactor; pytest-twisted has no types."""

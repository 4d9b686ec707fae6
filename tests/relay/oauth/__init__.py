"""Tests of the authorization server."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest_twisted

_Test = TypeVar("_Test", bound=Callable[..., Any])
in_reactor: Callable[[_Test], _Test] = pytest_twisted.ensureDeferred

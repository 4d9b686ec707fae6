"""No test leaves a descriptor or a zombie behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def nothing_left(
    running_reactor: Any,
    no_child_left: None,  # noqa: ARG001 - for its effect
) -> Iterator[None]:
    assert running_reactor
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors

"""Whether the relay is stopping, for all who take something in."""

from dataclasses import dataclass
from math import ceil
from typing import Final

STOPPING: Final = "the relay is stopping"
REFUSAL: Final = "The relay is stopping. Nothing was done; try again."


@dataclass(slots=True)
class Draining:
    """Once `is_on`, nothing new is begun; who comes is told to come back after `retry_after_s`."""

    retry_after_s: float = 1.0
    is_on: bool = False
    refusal: str = REFUSAL

    @property
    def retry_after(self) -> int:
        """The value of Retry-After (RFC 9110, section 10.2.3): whole seconds, at least one."""
        return max(1, ceil(self.retry_after_s))

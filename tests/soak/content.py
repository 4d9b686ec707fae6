"""Bodies that both ends can make from two numbers, so that each byte can be checked at both."""

import random
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """`size` bytes that follow from `seed`."""

    seed: int
    size: int

    def whole(self) -> bytes:
        return random.Random(self.seed).randbytes(self.size)

    def pieces(self, count: int) -> list[bytes]:
        """Return them in about so many pieces."""
        whole, step = self.whole(), max(1, -(-self.size // count))
        return [whole[at : at + step] for at in range(0, self.size, step)]


def told(data: bytes) -> dict[str, int]:
    """Return what a receiver tells of a body."""
    return {"bytes": len(data), "checksum": zlib.crc32(data)}


def event_text(seed: int, number: int) -> str:
    """Return the text of one event of a stream."""
    return f"{number} {random.Random(seed * 100_003 + number).randbytes(48).hex()}"

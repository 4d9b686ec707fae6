"""Random bytes that are other ones each time, and the same in each run."""


class Chance:
    """Counts."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, count_bytes: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(count_bytes, "big")

"""The secret with which an agent takes its session up again over a new link.

It changes at every resume. An agent that never got the WELCOME with the new one still has the one
before; that counts until the agent shows the new one, or is heard on the link that brought it.
"""

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest

TOKEN_BYTES = 32


class ResumeToken:
    """The token of one session, as the relay knows it: hashes only. `random` is `secrets.token_bytes`.

    `received_count` is always the number of frames that the session has received so far: nothing
    arrives on a link before the agent has got its WELCOME.
    """

    __slots__ = ("_held", "_random", "_told", "_told_at_count")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._held = b""  # what the agent certainly has
        self._told = b""
        self._told_at_count = 0

    def renew(self, received_count: int) -> str:
        """Return a new token, to be told to the agent."""
        token = self._random(TOKEN_BYTES).hex()
        self._told, self._told_at_count = _hash_of(token), received_count
        return token

    def proven(self, token: str, received_count: int) -> bool:
        """Whether a token, said by an agent, is the one of this session."""
        said = _hash_of(token)
        if received_count > self._told_at_count or compare_digest(said, self._told):
            self._held = self._told
        return compare_digest(said, self._held)


def _hash_of(token: str) -> bytes:
    return sha256(token.encode()).digest()

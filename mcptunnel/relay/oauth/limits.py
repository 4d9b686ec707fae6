"""How often the endpoints of the authorization server may be asked (threats 12 and 13)."""

from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from mcptunnel.auth.device_grants import WrongCodes, code_wait_s, one_more_wrong
from mcptunnel.auth.rate_limits import AddressLimits, Rate, RateLimits, address_key

MAX_KEYS: Final = 10_000
ALL_TIMES: Final = 20
"""All addresses together may ask so many times as often as one."""

CLIENT_TIMES: Final = 10
"""A client, too: many people use the same one, from many addresses."""

MAX_PROVED: Final = 10_000

_MINUTE_S: Final = 60.0
_ALL: Final = "all"


class Limited(StrEnum):
    """What is counted: each has its own buckets."""

    AUTHORIZE = "authorize"
    TOKEN = "token"  # noqa: S105 - an endpoint, no credential
    REGISTER = "register"
    REVOKE = "revoke"
    DEVICE_AUTHORIZATION = "device_authorization"
    DEVICE = "device"
    SIGN_IN = "sign_in"


_COST: Final = {Limited.REGISTER: 4.0, Limited.DEVICE_AUTHORIZATION: 4.0}
"""What these leave behind lasts: so they may be asked less often."""


class RequestLimits:
    """Token buckets for each endpoint: by address, by client, and one for all.

    What strangers use up of the last two keeps nobody out from where somebody proved who they are: by
    signing in, or for a code or refresh token. Of the times that `now_s` tells only differences matter.
    """

    def __init__(self, per_minute: int, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        one = Rate(per_s=per_minute / _MINUTE_S, burst=per_minute)
        some = Rate(per_s=one.per_s * CLIENT_TIMES, burst=one.burst * CLIENT_TIMES)
        many = Rate(per_s=one.per_s * ALL_TIMES, burst=one.burst * ALL_TIMES)
        self._of_address = {each: AddressLimits(one, max_keys=MAX_KEYS) for each in Limited}
        self._of_client = {each: RateLimits(some, max_keys=MAX_KEYS) for each in Limited}
        self._of_all = {each: RateLimits(many, max_keys=1) for each in Limited}
        self._proved: OrderedDict[str, None] = OrderedDict()

    def wait_s(self, endpoint: Limited, address: str) -> float:
        """Count a request; return 0.0, or for how many seconds it is too early."""
        now_s, cost = self._now_s(), _COST.get(endpoint, 1.0)
        waits = self._of_address[endpoint].take(address, now_s, cost)
        if waits or address_key(address) in self._proved:
            return waits
        return self._of_all[endpoint].take(_ALL, now_s, cost)

    def client_wait_s(self, endpoint: Limited, client_id: str, address: str) -> float:
        """Count a request of a client; return what `wait_s` does."""
        if address_key(address) in self._proved:
            return 0.0
        return self._of_client[endpoint].take(client_id, self._now_s())

    def proved(self, address: str) -> None:
        """Note that somebody has just proved who they are, from an address."""
        key = address_key(address)
        self._proved[key] = None
        self._proved.move_to_end(key)
        if len(self._proved) > MAX_PROVED:
            self._proved.popitem(last=False)


class GuessedCodes:
    """How many wrong user codes a person, or an address, has typed lately (RFC 8628, 5.1)."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._wrong: OrderedDict[str, WrongCodes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong)

    def wait_s(self, *keys: str) -> float:
        """Return how long to wait until another code may be tried under all these keys; 0 for now."""
        now_s = self._now_s()
        return max(code_wait_s(self._wrong.get(key, WrongCodes()), now_s) for key in keys)

    def was_wrong(self, *keys: str) -> None:
        """Count a wrong code under each of the keys."""
        now_s = self._now_s()
        for key in keys:
            self._wrong[key] = one_more_wrong(self._wrong.get(key, WrongCodes()), now_s)
            self._wrong.move_to_end(key)
        while len(self._wrong) > MAX_KEYS:
            self._wrong.popitem(last=False)

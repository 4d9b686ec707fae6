"""Parameters of OAuth requests, from a query or a form (RFC 6749, sections 3.1, 3.2 and appendix B).

A parameter without a value counts as omitted; one that comes twice is refused, whichever it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from mcptunnel.auth.errors import ErrorCode, OAuthError

MAX_BYTES: Final = 32 * 1024
"""Of a whole query or form; a signed client assertion takes a few KiB of it."""

MAX_COUNT: Final = 64
FORM_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Parameters:
    """Names and values; they hold secrets, so they do not show in a repr."""

    values: Mapping[str, str] = field(repr=False)
    repeated: frozenset[str] = frozenset()

    def get(self, name: str) -> str | None:
        """Return a value, or None. Raises OAuthError `invalid_request` when the name came twice."""
        if name in self.repeated:
            raise OAuthError(ErrorCode.INVALID_REQUEST, f"The parameter {name} is repeated")
        return self.values.get(name)

    def require(self, name: str) -> str:
        """Return a value. Raises OAuthError `invalid_request` when it is missing or came twice."""
        value = self.get(name)
        if value is None:
            raise OAuthError(ErrorCode.INVALID_REQUEST, f"The parameter {name} is missing")
        return value

    def refuse_repeated(self) -> None:
        """Raise OAuthError `invalid_request` when any parameter, also an unknown one, came twice."""
        if self.repeated:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "A parameter is repeated")


def parse_parameters(raw: bytes) -> Parameters:
    """Return the parameters of a query or form; what came twice is noted, not yet refused.

    An authorization request needs that: the client and its redirect decide how it is told. Raises
    OAuthError `invalid_request` for what is too large, or is not UTF-8 in percent-encoding.
    """
    if len(raw) > MAX_BYTES or raw.count(b"&") >= MAX_COUNT:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The parameters are too large or too many")
    values: dict[str, str] = {}
    seen: set[str] = set()
    repeated: set[str] = set()
    for pair in raw.split(b"&"):
        if not pair:
            continue
        name, _, text = pair.partition(b"=")
        key, value = _decoded(name), _decoded(text)
        if key in seen:
            repeated.add(key)
        seen.add(key)
        if value:
            values[key] = value
    return Parameters({k: v for k, v in values.items() if k not in repeated}, frozenset(repeated))


def parse_form(raw: bytes, content_type: str | None) -> Parameters:
    """Return the parameters of a form that is sent to an endpoint for programs, each of them once.

    Raises OAuthError `invalid_request`, also for another media type.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != FORM_TYPE:
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"The body has to be {FORM_TYPE}")
    parameters = parse_parameters(raw)
    parameters.refuse_repeated()
    return parameters


def _decoded(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The parameters are not UTF-8") from None
    if "\0" in text:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "A parameter has a NUL in it")
    return text

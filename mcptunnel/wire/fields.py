"""Checks of single values inside a frame; the same for what we send and for what we receive.

Every function returns the value it was given, now of a known type, or raises FieldError. The texts
of these errors never repeat what the peer sent.
"""

import re
from typing import Any

from mcptunnel.model import ExchangeKind, Headers
from mcptunnel.wire.constants import (
    MAX_DATA_BYTES,
    MAX_HEADER_COUNT,
    MAX_HEADERS_CHARS,
    MAX_METHOD_CHARS,
    MAX_NAME_CHARS,
    MAX_PATH_CHARS,
    MAX_RETRY_AFTER_S,
    MAX_STREAM_ID,
    MAX_TEXT_CHARS,
    MAX_WINDOW_BYTES,
    ErrorCode,
)
from mcptunnel.wire.settings import Limits

# RFC 9110, section 5.6.2, without upper case: names are lower case here, as in HTTP/2.
_NAME = r"[!#$%&'*+.^_`|~0-9a-z-]++"
_HEADER_NAMES = re.compile(rf"{_NAME}(?:,{_NAME})*+")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# A request target in origin form, as far as it matters here: one visible word.
_PATH = re.compile(r"[!-~]*")
_NOT_IN_NAMES = re.compile(r"[\0-\x1f\x7f]")

_KINDS = {kind.value: kind for kind in ExchangeKind}
_CODES = {int(code): code for code in ErrorCode}
_MAX_NUMBER = 2**53 - 1
_LIMITS = 2


class FieldError(ValueError):
    """A value that this place of a frame cannot hold; `str()` says which."""


def number(value: Any, what: str, low: int = 0, high: int = _MAX_NUMBER) -> int:
    """Check an integer; `true` and 1.0 are none."""
    if type(value) is not int or not low <= value <= high:
        raise FieldError(f"{what} must be an integer from {low} to {high}")
    return value


def stream_id(value: Any) -> int:
    """Check the id of a stream; never that of the session."""
    if type(value) is not int or not 0 < value <= MAX_STREAM_ID:
        raise FieldError("this frame needs the id of a stream")
    return value


def session(value: Any) -> None:
    """Check the stream id of a frame that is about the session."""
    if type(value) is not int or value != 0:
        raise FieldError("this frame needs stream id 0")


def data(value: Any) -> bytes:
    """Check the payload of a DATA frame; an empty one would cost no credit."""
    if type(value) is not bytes or not 0 < len(value) <= MAX_DATA_BYTES:
        raise FieldError(f"data must be 1 to {MAX_DATA_BYTES} bytes")
    return value


def boolean(value: Any, what: str) -> bool:
    if type(value) is not bool:
        raise FieldError(f"{what} must be a boolean")
    return value


def seconds(value: Any, what: str) -> float:
    """Check a duration: an integer or a float, in seconds."""
    if type(value) not in (int, float) or not 0 <= value <= MAX_RETRY_AFTER_S:
        raise FieldError(f"{what} must be from 0 to {MAX_RETRY_AFTER_S:g} seconds")
    return float(value)


def text(value: Any, what: str) -> str:
    """Check a sentence for a person or a log."""
    if type(value) is not str or len(value) > MAX_TEXT_CHARS:
        raise FieldError(f"{what} must be text of at most {MAX_TEXT_CHARS} characters")
    return value


def fitted(value: str) -> str:
    """Return a sentence of ours, of whatever origin, so that `text` takes it."""
    return value[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()


def name(value: Any, what: str, least_chars: int = 0) -> str:
    """Check a name or an opaque identifier: short, and no control characters."""
    if (
        type(value) is not str
        or not least_chars <= len(value) <= MAX_NAME_CHARS
        or _NOT_IN_NAMES.search(value)
    ):
        raise FieldError(
            f"{what} must be {least_chars} to {MAX_NAME_CHARS} characters, none of them control"
        )
    return value


def method(value: Any) -> str:
    if type(value) is not str or len(value) > MAX_METHOD_CHARS or not _METHOD.fullmatch(value):
        raise FieldError("method must be an HTTP method")
    return value


def path(value: Any) -> str:
    """Check a path with its query; spaces or line ends in it could forge a request line."""
    if type(value) is not str or len(value) > MAX_PATH_CHARS or not _PATH.fullmatch(value):
        raise FieldError(f"path must be visible ASCII of at most {MAX_PATH_CHARS} characters")
    return value


def status(value: Any) -> int:
    """Check the status code of a final response."""
    return number(value, "status", 200, 599)


def kind(value: Any) -> ExchangeKind:
    found = _KINDS.get(value) if type(value) is str else None
    if found is None:
        raise FieldError("kind must be one of " + ", ".join(_KINDS))
    return found


def code(value: Any) -> ErrorCode:
    """Check an error code; one that we do not know means INTERNAL_ERROR."""
    return _CODES.get(number(value, "code"), ErrorCode.INTERNAL_ERROR)


def limits(value: Any) -> Limits:
    """Check `[window_bytes, max_streams, ...]`; what a later version adds is passed over."""
    if type(value) is not tuple or len(value) < _LIMITS:
        raise FieldError("limits must be an array of at least two integers")
    return Limits(
        number(value[0], "window_bytes", 1, MAX_WINDOW_BYTES),
        number(value[1], "max_streams", 0, MAX_WINDOW_BYTES),
    )


def versions(value: Any) -> tuple[int, ...]:
    if type(value) is not tuple or not value:
        raise FieldError("versions must be an array of at least one integer")
    return tuple(number(version, "a version", 1) for version in value)


def headers(value: Any) -> Headers:
    """Check header fields: lower-case tokens, values without CR, LF and NUL.

    All names are matched at once, and all values: a head costs one pass, not one per field.
    """
    if type(value) is not tuple or len(value) > MAX_HEADER_COUNT:
        raise FieldError(f"headers must be an array of at most {MAX_HEADER_COUNT} fields")
    if not value:
        return ()
    if set(map(type, value)) != {tuple}:
        raise FieldError("a header field must be an array")
    try:
        names, values = zip(*value, strict=True)
        all_names, all_values = ",".join(names), "".join(values)
    except (TypeError, ValueError):
        raise FieldError("a header field must be a name and a value, both text") from None
    if all_names.count(",") != len(names) - 1 or not _HEADER_NAMES.fullmatch(all_names):
        raise FieldError("a header name must be a lower-case token")
    if "\r" in all_values or "\n" in all_values or "\0" in all_values:
        raise FieldError("a header value must not contain CR, LF or NUL")
    if len(all_names) + len(all_values) > MAX_HEADERS_CHARS:
        raise FieldError(f"headers must be at most {MAX_HEADERS_CHARS} characters together")
    return value

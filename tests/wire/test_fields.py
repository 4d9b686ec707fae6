"""Single values: what each place of a frame accepts, and what not."""

from collections.abc import Callable
from typing import Any

import pytest

from mcptunnel.model import ExchangeKind
from mcptunnel.wire import fields as check
from mcptunnel.wire.constants import (
    MAX_DATA_BYTES,
    MAX_HEADER_COUNT,
    MAX_HEADERS_CHARS,
    MAX_STREAM_ID,
    ErrorCode,
)
from mcptunnel.wire.fields import FieldError
from mcptunnel.wire.settings import Limits


def named(function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda value: function(value, "the value")


ACCEPTED = [
    (named(check.number), 0, 0),
    (named(check.number), 2**53 - 1, 2**53 - 1),
    (check.stream_id, 1, 1),
    (check.stream_id, MAX_STREAM_ID, MAX_STREAM_ID),
    (check.session, 0, None),
    (check.data, b"x", b"x"),
    (check.data, bytes(MAX_DATA_BYTES), bytes(MAX_DATA_BYTES)),
    (named(check.boolean), True, True),
    (named(check.seconds), 3, 3.0),
    (named(check.seconds), 0.5, 0.5),
    (named(check.text), "two\nlines", "two\nlines"),
    (named(check.name), "", ""),
    (named(check.name), "büro", "büro"),
    (check.method, "M-SEARCH", "M-SEARCH"),
    (check.path, "/mcp?a=%20", "/mcp?a=%20"),
    (check.path, "", ""),
    (check.status, 200, 200),
    (check.status, 599, 599),
    (check.kind, "transparent", ExchangeKind.TRANSPARENT),
    (check.code, 5, ErrorCode.CANCEL),
    (check.code, 999, ErrorCode.INTERNAL_ERROR),
    (check.limits, (1, 0), Limits(1, 0)),
    (check.limits, (1, 2, "later"), Limits(1, 2)),
    (check.versions, (1, 7), (1, 7)),
    (check.headers, (), ()),
    (check.headers, (("a", ""), ("b-c", "ü, x")), (("a", ""), ("b-c", "ü, x"))),
]

REFUSED: list[tuple[Callable[[Any], Any], Any]] = [
    *[(named(check.number), value) for value in (-1, 2**53, True, 1.0, "1", None)],
    *[(check.stream_id, value) for value in (0, -1, MAX_STREAM_ID + 1, True, 1.0, None)],
    *[(check.session, value) for value in (1, False, 0.0, None)],
    *[(check.data, value) for value in (b"", bytes(MAX_DATA_BYTES + 1), "x", None)],
    *[(named(check.boolean), value) for value in (0, 1, None)],
    *[
        (named(check.seconds), value)
        for value in (-1, 86401, float("nan"), float("inf"), True, "1")
    ],
    *[(named(check.text), value) for value in ("x" * 1025, b"x", None)],
    *[(named(check.name), value) for value in ("x" * 257, "a\nb", "\x7f", b"x", None)],
    *[(check.method, value) for value in ("", "GET /", "GE\nT", "X" * 33, None)],
    *[(check.path, value) for value in ("/a b", "/a\r\nb", "/ü", "/" + "x" * 16384, None)],
    *[(check.status, value) for value in (101, 199, 600, "200", True)],
    *[(check.kind, value) for value in ("HUB", "", None, ())],
    *[(check.code, value) for value in (-1, "5", None)],
    *[(check.limits, value) for value in ((), (1,), (0, 1), (2**31, 1), (1, -1), 5, None)],
    *[(check.versions, value) for value in ((), (0,), ("1",), 1, None)],
    *[
        (check.headers, value)
        for value in (
            None,
            "ab",
            (("a", "b"),) * (MAX_HEADER_COUNT + 1),
            ("ab",),
            ("ab", ("a", "b")),
            (("a",),),
            ((), ()),
            (("a", "b", "c"),),
            (("a", "b"), ("a", "b", "c")),
            (("A", "b"),),
            (("", "b"),),
            (("a", "b"), ("", "b")),
            (("a,b", "c"),),
            (("a b", "c"),),
            (("a:", "c"),),
            (("ü", "c"),),
            (("a\n", "c"),),
            ((b"a", "c"),),
            (("a", b"c"),),
            (("a", 1),),
            (("a", "b\r"),),
            (("a", "b\nc: d"),),
            (("a", "\0"),),
            (("a", "x" * MAX_HEADERS_CHARS),),
        )
    ],
]


@pytest.mark.parametrize(("function", "value", "result"), ACCEPTED)
def test_a_good_value_is_returned(
    function: Callable[[Any], Any], value: object, result: object
) -> None:
    """What is accepted comes back, of the type that the frame promises."""
    found = function(value)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(("function", "value"), REFUSED)
def test_a_bad_value_is_refused(function: Callable[[Any], Any], value: object) -> None:
    """Wrong types, ranges, lengths and characters raise FieldError, and nothing else."""
    with pytest.raises(FieldError):
        function(value)


def test_a_name_can_be_required() -> None:
    """An empty name is refused where one is needed."""
    with pytest.raises(FieldError):
        check.name("", "target", 1)


def test_refusals_do_not_repeat_the_value() -> None:
    """A header value may be a credential; it must not end up in a log through an error."""
    with pytest.raises(FieldError) as caught:
        check.headers((("authorization", "Bearer secret\n"),))
    assert "secret" not in str(caught.value)


def test_fitted_text_is_always_accepted() -> None:
    """Any text of ours can be made to fit, however long or broken."""
    assert check.text(check.fitted("\ud800" + "x" * 5000), "text") == "?" + "x" * 1023
    assert check.fitted("ü" * 3) == "üüü"

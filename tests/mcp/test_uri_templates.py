"""Which URIs a template can make."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp.uri_templates import matched_chars


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("file:///{path}", "file:///a.txt"),
        ("file:///{path}", "file:///"),
        ("file:///{+path}", "file:///a/b/c?d#e"),
        ("db://{table}/rows/{id}", "db://people/rows/7"),
        ("db://{table}/rows/{id}.json", "db://people/rows/7.json"),
        ("search://{?q,limit}", "search://?q=a&limit=1"),
        ("a:{x}{y}", "a:xy"),
        ("plain:uri", "plain:uri"),
        ("wiki:{title*}", "wiki:A%20B"),
    ],
)
def test_what_a_template_can_make(template: str, uri: str) -> None:
    assert matched_chars(template, uri) is not None


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("file:///{path}", "file:///a/b"),
        ("file:///{path}", "https://a"),
        ("db://{table}/rows/{id}", "db://people/columns/7"),
        ("db://{table}/rows/{id}.json", "db://people/rows/7.xml"),
        ("plain:uri", "plain:uri2"),
        ("a:{x}b{y}b", "a:b"),
    ],
)
def test_what_it_cannot(template: str, uri: str) -> None:
    assert matched_chars(template, uri) is None


def test_the_closer_one_counts_more() -> None:
    far, near = (matched_chars(one, "f:///a/b") for one in ("f:///{+path}", "f:///a/{name}"))
    assert far is not None
    assert near is not None
    assert near > far


@given(st.lists(st.text("ab/:", max_size=4), min_size=1, max_size=5), st.data())
def test_reserved_expressions_match_whatever_is_put_in(
    literals: list[str], data: st.DataObject
) -> None:
    values = [data.draw(st.text("ab/?#:", max_size=4)) for _ in literals[1:]]
    uri = literals[0] + "".join(v + text for v, text in zip(values, literals[1:], strict=True))
    assert matched_chars("{+x}".join(literals), uri) is not None


def test_no_template_takes_long() -> None:
    """One with many expressions would keep a backtracking matcher busy for ever."""
    began_s = time.process_time()
    assert matched_chars("{+a}x" * 400 + "y", "x" * 2000) is None
    assert time.process_time() - began_s < 0.5

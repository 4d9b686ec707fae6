"""The index finds what a look at every template would, and looks at few."""

from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp.names import Target
from mcptunnel.mcp.template_index import MAX_EXPRESSIONS, TemplateIndex
from mcptunnel.mcp.uri_templates import matched_chars

A, B = ("device", "a"), ("device", "b")

pieces = st.sampled_from(["x", "xy", "/", "{a}", "{+b}", "z"])
templates = st.lists(
    st.tuples(st.sampled_from([A, B]), st.lists(pieces, min_size=1, max_size=5).map("".join)),
    max_size=8,
)


def anything(_template: str, _place: tuple[str, str]) -> bool:
    return True


@given(templates, st.lists(st.sampled_from(["x", "xy", "/", "z"]), max_size=6).map("".join))
def test_it_is_the_first_of_those_that_fit_best(
    known: list[tuple[tuple[str, str], str]], uri: str
) -> None:
    fits = [matched_chars(template, uri) for _, template in known]
    best = max((chars for chars in fits if chars is not None), default=None)
    wanted = None if best is None else Target(*known[fits.index(best)][0], uri)
    assert TemplateIndex(known).best(uri, anything) == wanted


def test_one_that_is_not_its_places_does_not_count() -> None:
    index = TemplateIndex([(A, "x:{+a}"), (B, "x:y/{+a}")])
    assert index.best("x:y/z", anything) == Target(*B, "x:y/z")
    assert index.best("x:y/z", lambda _, place: place == A) == Target(*A, "x:y/z")


def test_templates_that_begin_otherwise_are_not_looked_at() -> None:
    """A thousand of them cost as much as one."""
    index = TemplateIndex([(A, f"{number:04}:{{a}}") for number in range(1000)])
    assert index.best("0500:x", anything) == Target(*A, "0500:x")
    assert index.steps <= 3


def test_steps_tell_of_the_work() -> None:
    """Templates that all begin alike have to be looked at, each with its expressions."""
    index = TemplateIndex([(A, "x:{a}/{b}/{c}/{d}") for _ in range(100)])
    assert index.best("x:y", anything) is None
    assert index.steps >= 200


def test_a_template_of_very_many_expressions_fits_nothing() -> None:
    most = "x:" + "{+a}/" * MAX_EXPRESSIONS
    uri = "x:" + "/" * MAX_EXPRESSIONS
    assert TemplateIndex([(A, most)]).best(uri, anything) == Target(*A, uri)
    assert TemplateIndex([(A, most + "{+b}")]).best(uri, anything) is None

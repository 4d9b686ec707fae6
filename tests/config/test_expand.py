"""Environment variables in values."""

import pytest

from mcptunnel.config.errors import ConfigError, Findings
from mcptunnel.config.expand import LooseText, expand

_ENVIRON = {"HOME": "/home/anna", "PORT": "80", "TRICK": "${HOME}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${HOME}/x", "/home/anna/x"),
        ("${env:HOME}", "/home/anna"),
        ("${PORT}${PORT}", "8080"),
        ("$HOME $ {HOME}", "$HOME $ {HOME}"),
        ("$${HOME}", "${HOME}"),
        ("${TRICK}", "${HOME}"),
        ("", ""),
    ],
)
def test_references_are_replaced_once(text: str, expanded: str) -> None:
    findings = Findings("x")
    assert expand({"a": text}, _ENVIRON, findings) == {"a": expanded}
    assert not len(findings)


def test_texts_at_every_depth_but_no_keys() -> None:
    findings = Findings("x")
    tree = {"${PORT}": [1, "${PORT}", {"b": "${PORT}"}], "c": {"d": "${PORT}", "e": None}}
    assert expand(tree, _ENVIRON, findings) == {
        "${PORT}": [1, "80", {"b": "80"}],
        "c": {"d": "80", "e": None},
    }


def test_an_expanded_text_may_become_a_number() -> None:
    findings = Findings("x")
    tree = expand({"a": "${PORT}", "b": "80"}, _ENVIRON, findings)
    assert isinstance(tree["a"], LooseText)
    assert not isinstance(tree["b"], LooseText)


@pytest.mark.parametrize(
    ("text", "message"),
    [("${NOPE}", "NOPE is not set"), ("${HOME:-x}", "not ${NAME}"), ("${", "not ${NAME}")],
)
def test_what_cannot_be_replaced_is_told(text: str, message: str) -> None:
    findings = Findings("x")
    expand({"a": {"b": [text]}}, _ENVIRON, findings)
    with pytest.raises(ConfigError, match=r"x: a\.b\[0\]: ") as caught:
        findings.raise_if_any()
    assert message in str(caught.value)

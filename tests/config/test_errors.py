"""Problems are told in one form, all at once."""

import pytest

from mcptunnel.config.errors import ConfigError, Findings, Problem
from mcptunnel.errors import McpTunnelError


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            Problem("relay.toml", "servers.time.command", "is empty", "Name a program."),
            "relay.toml: servers.time.command: is empty. Name a program.",
        ),
        (Problem("relay.toml", "", "cannot be read"), "relay.toml: cannot be read."),
        (Problem("", "", "there is none", "Write one."), "there is none. Write one."),
    ],
)
def test_a_problem_is_one_line(problem: Problem, line: str) -> None:
    assert str(problem) == line


def test_all_problems_are_raised_together_in_order() -> None:
    findings = Findings("relay.toml")
    findings.raise_if_any()
    findings.came_from("b", "command line")
    findings.add("a", "first", "Do one.")
    findings.add("b", "second")
    with pytest.raises(ConfigError) as caught:
        findings.raise_if_any()
    assert isinstance(caught.value, McpTunnelError)
    assert str(caught.value) == "relay.toml: a: first. Do one.\ncommand line: b: second."
    assert len(findings) == 2

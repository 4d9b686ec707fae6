"""Commands, environments and header fields."""

import pytest

from mcptunnel.config.errors import InvalidValueError
from mcptunnel.config.values import parse_command, parse_env, parse_headers


def test_a_command_names_a_program() -> None:
    assert parse_command(("npx", "-y", "")) == ("npx", "-y", "")
    for command in ((), ("",), (" ", "x")):
        with pytest.raises(InvalidValueError):
            parse_command(command)


def test_an_environment_cannot_be_changed_later() -> None:
    variables = parse_env({"TZ": "UTC", "EMPTY": ""})
    assert variables == {"TZ": "UTC", "EMPTY": ""}
    assert not hasattr(variables, "__setitem__")


@pytest.mark.parametrize("name", ["", "A=B"])
def test_impossible_variables(name: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_env({name: "x"})


def test_header_names_are_lower_case() -> None:
    assert parse_headers({"X-Api-Key": " a "}) == {"x-api-key": "a"}


@pytest.mark.parametrize(
    "fields", [{"a b": "x"}, {"": "x"}, {"Host": "x"}, {"a": "x\r\nb: y"}, {"a": "é"}]
)
def test_impossible_header_fields(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_headers(fields)
    assert "b: y" not in str(caught.value)

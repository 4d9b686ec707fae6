"""Commands, environments and header fields."""

from pathlib import Path

import pytest

from mcptunnel.config.errors import InvalidValueError
from mcptunnel.config.secret import Secret
from mcptunnel.config.values import (
    parse_command,
    parse_env,
    parse_headers,
    parse_networks,
    parse_sealing_secret,
)


def test_a_command_names_a_program() -> None:
    assert parse_command(("npx", "-y", "")) == ("npx", "-y", "")
    for command in ((), ("",), (" ", "x")):
        with pytest.raises(InvalidValueError):
            parse_command(command)


@pytest.mark.parametrize(
    ("command", "message", "remedy"),
    [
        (
            ("http://me:pw@127.0.0.1/mcp",),
            "looks like a URL",
            "Write it as url instead of command.",
        ),
        (("python -m x",), "is one text with spaces", 'Write ["python", "-m", "x"] instead.'),
        (("~nobody-x/y",), "'~nobody-x/y' names a home directory that is not known", ""),
    ],
)
def test_what_looks_like_a_program_and_is_none(
    command: tuple[str, ...], message: str, remedy: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_command(command)
    assert caught.value.message == message
    assert caught.value.remedy.startswith(remedy)


def test_a_programs_name_may_have_spaces() -> None:
    """With arguments beside it, or as a path, it is meant."""
    for command in (("my tool", "-x"), ("/opt/my tools/x",), ("./my tool",)):
        assert parse_command(command) == command


def test_a_tilde_is_the_home_directory_of_a_program_alone() -> None:
    assert parse_command(("~/bin/x", "~/y")) == (f"{Path.home()}/bin/x", "~/y")


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


def test_a_sealing_secret_must_be_long() -> None:
    assert parse_sealing_secret(Secret("x" * 32)) == Secret("x" * 32)
    with pytest.raises(InvalidValueError, match="fewer than 32") as caught:
        parse_sealing_secret(Secret("short-secret"))
    assert "short-secret" not in str(caught.value)


def test_networks_are_networks_addresses_or_a_socket() -> None:
    good = ("127.0.0.1", "10.0.0.0/8", "2001:db8::/32", "unix")
    assert parse_networks(good) == good
    for wrong in ("localhost", "10.0.0.1/8", "", "10.0.0.0/40"):
        with pytest.raises(InvalidValueError, match="no IP network"):
            parse_networks((wrong,))

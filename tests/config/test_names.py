"""Names that can be part of tool names, and labels that can be shown."""

import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.config import names
from mcptunnel.config.errors import InvalidValueError


@pytest.mark.parametrize("name", ["time", "a", "my-server_2", "A" * names.MAX_SERVER_NAME_CHARS])
def test_good_server_names(name: str) -> None:
    assert names.parse_server_name(name) == name


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("a__b", "'a_b'"),
        ("My Server", "'My_Server'"),
        ("@control", "'control'"),
        ("ü", "'files'"),
        ("", "'files'"),
        ("x" * 33, "'" + "x" * 32 + "'"),
        ("time\n", "'time'"),
    ],
)
def test_bad_server_names_come_with_a_better_one(name: str, remedy: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        names.parse_server_name(name)
    assert remedy in caught.value.remedy


def test_a_prefix_may_be_empty() -> None:
    assert names.parse_prefix("") == ""
    assert names.parse_prefix("t") == "t"
    with pytest.raises(InvalidValueError):
        names.parse_prefix("a__b")


@pytest.mark.parametrize("name", ["laptop", "Anna's laptop", "büro", " x "])
def test_device_names_are_labels(name: str) -> None:
    assert names.parse_device_name(name) == name.strip()


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "x" * 65])
def test_device_names_that_cannot_be_shown(name: str) -> None:
    with pytest.raises(InvalidValueError):
        names.parse_device_name(name)


@pytest.mark.parametrize(
    ("host", "name"),
    [("laptop.local", "laptop"), ("My_Mac (2)", "My-Mac-2"), ("", "device"), ("...", "device")],
)
def test_the_default_is_the_host_name(
    host: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: host)
    assert names.default_device_name() == name
    assert names.parse_device_name(name) == name


@given(st.text())
def test_the_better_name_is_good(name: str) -> None:
    better = name
    try:
        names.parse_server_name(name)
    except InvalidValueError as error:
        better = error.remedy.split("'")[1]
    assert names.parse_server_name(better) == better

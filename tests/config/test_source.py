"""A configuration is found in one place, or it is said why not."""

from pathlib import Path

import pytest

from mcptunnel.config.errors import ConfigError
from mcptunnel.config.source import find_source


def test_the_named_file_wins(tmp_path: Path) -> None:
    (tmp_path / "mcptunnel.toml").write_text("a = 1")
    (tmp_path / "my.toml").write_text("a = 2")
    source = find_source(Path("my.toml"), {"MCPTUNNEL_CONFIG": "a = 3\n"}, tmp_path)
    assert source.data == {"a": 2}
    assert (source.label, source.base, source.path) == ("my.toml", tmp_path, tmp_path / "my.toml")


@pytest.mark.parametrize("text", ["a = 3", "\na = 3\nb = 4", '{"a": 3}', '  {"a": 3}  '])
def test_the_variable_may_be_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "mcptunnel.toml").write_text("a = 1")
    source = find_source(None, {"MCPTUNNEL_CONFIG": text}, tmp_path)
    assert source.data["a"] == 3
    assert (source.label, source.base, source.path) == ("MCPTUNNEL_CONFIG", tmp_path, None)


@pytest.mark.parametrize("name", ["relay.toml", "with=sign.toml"])
def test_the_variable_may_be_a_path(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("a = 1")
    assert find_source(None, {"MCPTUNNEL_CONFIG": name}, tmp_path).data == {"a": 1}


@pytest.mark.parametrize(("name", "text"), [("toml", "a = 1"), ("json", '{"a": 1}')])
def test_else_the_working_directory(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / f"mcptunnel.{name}").write_text(text)
    source = find_source(None, {}, tmp_path)
    assert source.data == {"a": 1}
    assert source.label == f"mcptunnel.{name}"


def test_two_files_in_the_working_directory_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "mcptunnel.toml").write_text("")
    (tmp_path / "mcptunnel.json").write_text("{}")
    with pytest.raises(ConfigError, match="both"):
        find_source(None, {}, tmp_path)


def test_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        find_source(None, {}, tmp_path)


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert find_source(Path("x.json"), {}, tmp_path).data == {"a": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.toml", b"a = ", "is not TOML"),
        ("x.toml", b"a = 1\na = 2", "is not TOML"),
        ("x.json", b'{"a": 1,}', "is not JSON"),
        ("x.json", b"[1]", "is not an object"),
        ("x.json", b'{"a": 1, "a": 2}', "'a' is there twice"),
        ("x.conf", b'{"a": {"b": 1, "b": 2}}', "'b' is there twice"),
        ("x.toml", b"a = '\xff'", "UTF-8"),
        ("x.json", b'{"a":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_parsed(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        find_source(Path(name), {}, tmp_path)
    assert str(caught.value).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.toml", '{"listen": "tcp:80"}', "this looks like JSON. Name it x.json."),
        ("x.json", 'listen = "tcp:80"', "this looks like TOML. Name it x.toml."),
        ("x.json", '{\n  // a note\n  "a": 1}', "it has comments. Remove them, or write TOML"),
        ("x.json", '{"a": "b" // a note\n}', "it has comments"),
        ("x.json", '{"a": 1, /* a note */ "b": 2}', "it has comments"),
        ("x.json", '{"a": "http://b",}', "Correct the JSON"),
    ],
)
def test_a_wrong_form_is_recognised(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError) as caught:
        find_source(Path(name), {}, tmp_path)
    assert message in str(caught.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        find_source(Path("none.toml"), {}, tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        find_source(tmp_path, {}, tmp_path)

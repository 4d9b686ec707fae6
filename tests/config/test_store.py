"""Where the store is: in a URL, in a file with one, or nowhere in particular."""

from pathlib import Path

import pytest

from mcptunnel.config.errors import ConfigError
from mcptunnel.config.load import load_relay
from mcptunnel.config.relay import RelayConfig

URL = "postgresql://someone:s3cret@db/x"


def _load(folder: Path, text: str, **environ: str) -> RelayConfig:
    (folder / "relay.toml").write_text(f"[store]\n{text}\n")
    return load_relay(folder / "relay.toml", environ, folder)


def _problem(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, **environ)
    (problem,) = caught.value.problems
    return str(problem).removeprefix(f"{folder / 'relay.toml'}: ")


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def test_without_a_url_there_is_none(tmp_path: Path) -> None:
    assert _load(tmp_path, "").store.url is None


def test_a_url_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """It is a secret: it has no option, and is not shown."""
    _write(tmp_path / "store.url", f" {URL}\n")
    for text in ('url = "${STORE_URL}"', 'url_file = "store.url"'):
        config = _load(tmp_path, text, STORE_URL=URL)
        assert config.store.url is not None
        assert config.store.url.reveal() == URL
        assert "s3cret" not in repr(config)


def test_not_both(tmp_path: Path) -> None:
    _write(tmp_path / "store.url", URL)
    told = _problem(tmp_path, f'url = "{URL}"\nurl_file = "store.url"')
    assert told == "store.url_file: contradicts store.url. Remove one of them."


@pytest.mark.parametrize("url", ["mysql://u:s3cret@db/x", "s3cret", "http://[s3cret"])
def test_what_is_no_such_url_is_not_quoted(url: str, tmp_path: Path) -> None:
    _write(tmp_path / "store.url", url)
    for text, key in (
        (f'url = "{url}"', "store.url"),
        ('url_file = "store.url"', "store.url_file"),
    ):
        told = _problem(tmp_path, text)
        assert told.startswith(f"{key}: ")
        assert "Write " in told
        assert "postgresql://" in told
        assert "s3cret" not in told


def test_a_file_that_is_missing_or_open_to_others(tmp_path: Path) -> None:
    _write(tmp_path / "store.url", URL, 0o640)
    assert "can be read by others. Run: chmod 600 " in _problem(tmp_path, 'url_file = "store.url"')
    told = _problem(tmp_path, 'url_file = "nothing"')
    assert "nothing is not there. Write the URL into it, for example 'postgresql://" in told


def test_what_is_no_text_is_left_to_the_reader(tmp_path: Path) -> None:
    assert _problem(tmp_path, "url_file = 5").startswith("store.url_file: is a number")

"""The fuzz targets hold for their seeds and for a few random inputs; a broken rule is seen."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp import sse
from mcptunnel.wire.codec import Decoder
from tests.fuzz import __main__ as command
from tests.fuzz.seeds import seeds
from tests.fuzz.talk import said, step
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_seeds(name: str) -> None:
    """Every golden vector among them."""
    found = seeds(name)
    assert found
    for seed in found:
        TARGETS[name](seed)


@given(name=st.sampled_from(list(TARGETS)), data=st.binary(max_size=200))
def test_a_target_holds_for_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


_STEPS = st.one_of(
    st.binary(max_size=40).map(said),
    st.sampled_from(seeds("decoder")).map(said),
    st.builds(step, st.sampled_from([b"O", b"R", b"T", b"G", b"S"]), st.integers(0, 5000)),
    st.builds(step, st.just(b"R"), st.integers(0, 9)),
)


@given(role=st.sampled_from([b"A", b"R"]), steps=st.lists(_STEPS, max_size=12))
def test_a_session_holds_in_a_talk(role: bytes, steps: list[bytes]) -> None:
    """The same with steps that mean something."""
    TARGETS["session"](role + b"".join(steps))


def test_a_decoder_that_raises_something_else_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(_decoder: Decoder, _message: bytes) -> None:
        raise IndexError

    monkeypatch.setattr(Decoder, "decode", decode)
    for name in ("decoder", "session"):
        with pytest.raises(IndexError):
            TARGETS[name](b"A" + said(b"x"))


def test_an_event_that_depends_on_the_chunks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse.Parser, "feed", lambda _parser, chunk: [len(chunk)])
    with pytest.raises(AssertionError):
        TARGETS["events"](b"\x01data: a\n\n")


def test_without_atheris_the_command_fails_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing may pass because nothing ran."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert command.main(["--folder", str(tmp_path)]) == 1
    assert "nothing was fuzzed" in capsys.readouterr().err


def test_an_input_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "crash-1"
    file.write_bytes(b"A" + said(b"x"))
    assert command.main(["session", "--replay", str(file)]) == 0
    assert capsys.readouterr().out == "session holds\n"

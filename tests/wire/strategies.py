"""Hypothesis strategies for frames and what they are made of."""

from hypothesis import strategies as st

from mcptunnel.model import ExchangeKind, RequestHead, ResponseHead
from mcptunnel.wire.constants import (
    MAX_DATA_BYTES,
    MAX_RETRY_AFTER_S,
    MAX_STREAM_ID,
    MAX_WINDOW_BYTES,
    OPTIONAL_FRAME_TYPES,
    ErrorCode,
)
from mcptunnel.wire.frames import (
    Ack,
    Data,
    End,
    Frame,
    Goaway,
    Head,
    Hello,
    Open,
    Ping,
    Pong,
    Reset,
    Unknown,
    Welcome,
    Window,
)
from mcptunnel.wire.settings import Limits

stream_ids = st.integers(1, MAX_STREAM_ID)
numbers = st.integers(0, 2**53 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
codes = st.sampled_from(ErrorCode)
limits = st.builds(Limits, st.integers(1, MAX_WINDOW_BYTES), st.integers(0, MAX_WINDOW_BYTES))

header_names = st.text(
    "abcdefghijklmnopqrstuvwxyz0123456789-_!#$%&'*+.^`|~", min_size=1, max_size=20
)
header_values = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=40
)
headers = st.lists(st.tuples(header_names, header_values), max_size=6).map(tuple)

request_heads = st.builds(
    RequestHead,
    target=names,
    method=st.sampled_from(["GET", "POST", "DELETE", "M-SEARCH"]),
    path=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30),
    headers=headers,
    principal=texts,
    client=texts,
    kind=st.sampled_from(ExchangeKind),
)
response_heads = st.builds(ResponseHead, st.integers(200, 599), headers)

frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(
        Hello,
        installation_id=names,
        device_name=names,
        software_version=names,
        limits=limits,
        versions=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
        resume_token=names,
        last_received=numbers,
    ),
    st.builds(
        Welcome,
        session_id=names,
        device_name=names,
        notice=texts,
        limits=limits,
        version=st.integers(1, 9),
        resumed=st.booleans(),
        resume_token=names,
        last_received=numbers,
    ),
    st.builds(Open, stream_ids, request_heads),
    st.builds(Head, stream_ids, response_heads),
    st.builds(Data, stream_ids, st.binary(min_size=1, max_size=600)),
    st.builds(Data, stream_ids, st.just(bytes(MAX_DATA_BYTES))),
    st.builds(End, stream_ids),
    st.builds(Reset, stream_ids, codes, texts),
    st.builds(Window, stream_ids, st.integers(1, MAX_WINDOW_BYTES)),
    st.builds(Ping, numbers),
    st.builds(Pong, numbers),
    st.builds(Ack, numbers),
    st.builds(Goaway, st.integers(0, MAX_STREAM_ID), codes, texts, st.floats(0, MAX_RETRY_AFTER_S)),
    st.builds(Unknown, st.sampled_from(OPTIONAL_FRAME_TYPES), st.integers(0, MAX_STREAM_ID)),
)

"""What a fuzzer starts from: the golden vectors of the protocol, and a few streams and messages."""

import json
from pathlib import Path
from typing import Any

from mcptunnel.wire.constants import Role
from tests.fuzz.talk import Owner, said, step

VECTORS = Path(__file__).parents[1] / "vectors"

_EVENTS = (
    b"\xef\xbb\xbfevent: message\r\ndata: {}\r\nid: 7\r\nretry: 10\r\n\r\n: comment\n\n",
    b"data: a\ndata\ndata: b\n\nevent: x\rdata: c\r\rid\n\nid: \0\ndata:d\n\n",
    b"event: message\ndata: one\n\nevent: message\ndata: " + b"x" * 300 + b"\n\n",
)
_MESSAGES = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"b":[1.5]}}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":null}',
    b'{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"\\ud83d"}]}}',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no","data":{"a":1}}}',
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"},\n{}]',
)


def _vectors(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())
    return found


def _wire_messages() -> list[bytes]:
    return [
        bytes.fromhex(vector["bytes"])
        for name in ("frames.json", "refused.json")
        for vector in _vectors(name)
    ]


def _talks() -> list[bytes]:
    """Each message as the peer's first word, the talk with a resume, and talks of two real owners."""
    alone = [
        role + step(b"O", 99) + said(message) + step(b"T", 21)
        for message in _wire_messages()
        for role in (b"A", b"R")
    ]
    talks = {"relay": b"A", "agent": b"R"}
    for line in _vectors("resume.json"):
        if "bytes" in line:
            talks[line["from"]] += said(bytes.fromhex(line["bytes"]))
    return [*alone, *talks.values(), *_real_talk(resumes=False), *_real_talk(resumes=True)]


def _real_talk(*, resumes: bool) -> tuple[bytes, bytes]:
    """Let two owners exchange bodies both ways; return what each did and heard."""
    sides = {b"A": Owner(Role.AGENT), b"R": Owner(Role.RELAY)}
    talks = {name: name + step(b"O", 3001) for name in sides}
    for side in sides.values():
        side.open(3001)
    for turn in range(4):
        for name, other in ((b"A", b"R"), (b"R", b"A")):
            talks[name] += step(b"S")
            while (message := sides[name].session.message_to_send()) is not None:
                talks[other] += said(message)
                sides[other].message(message)
        if resumes and turn == 1:
            counts = {name: sides[name].session.received_count for name in sides}
            for name, other in ((b"A", b"R"), (b"R", b"A")):
                talks[name] += step(b"R", counts[other])
                sides[name].resume(counts[other])
    return talks[b"A"] + step(b"G"), talks[b"R"] + step(b"T", 50)


def seeds(target: str) -> list[bytes]:
    """Return what a target starts from."""
    match target:
        case "decoder":
            return _wire_messages()
        case "session":
            return _talks()
        case "events":
            return [b"\x02" + stream for stream in _EVENTS]
    return list(_MESSAGES)

"""Lines that a child writes, read as messages; what is none is told apart."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Batch, JsonRpcError, Message
from mcptunnel.mcp.server_half.unreadable import failed_answer

_SAMPLE_BYTES: Final = 200


def messages(line: bytes, junk: Callable[[str], None]) -> Iterable[Message]:
    """Return the messages of a line: one, or those of a batch (2025-03-26 servers may write them).

    `junk` hears the beginning of what is no JSON-RPC, before the error that ends the call which that
    tried to answer, if it shows which. Blank lines are nothing.
    """
    found = _read(line)
    if isinstance(found, Batch):
        return _of_batch(found, line, junk)
    if isinstance(found, JsonRpcError):
        return _unreadable(line, found, junk)
    return (found,)


def _of_batch(batch: Batch, line: bytes, junk: Callable[[str], None]) -> Iterator[Message]:
    if not batch.items:
        junk(_sample(line))
    for item in batch.items:
        found = _read(bytes(item))
        if isinstance(found, JsonRpcError):  # some printed list: one complaint is enough
            yield from _unreadable(bytes(item), found, junk)
            return
        if isinstance(found, Batch):
            junk(_sample(line))
            return
        yield found


def _read(text: bytes) -> Message | Batch | JsonRpcError:
    try:
        return jsonrpc.parse(text)
    except JsonRpcError as error:
        return error


def _unreadable(text: bytes, error: JsonRpcError, junk: Callable[[str], None]) -> Iterator[Message]:
    if not text.strip():
        return
    junk(_sample(text))
    failed = failed_answer(text, error)
    if failed is not None:
        yield failed


def _sample(text: bytes) -> str:
    return text[:_SAMPLE_BYTES].decode(errors="replace")

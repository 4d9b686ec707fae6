"""What a client asks for that only reads: all of MCP but calling tools.

Lists, prompts and resources are what their servers offer to be read; a tool may change anything. What is
not known here counts as more than reading.
"""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.batch import MAX_MESSAGES
from mcptunnel.mcp.jsonrpc import Batch, JsonRpcError, Message, Request
from mcptunnel.mcp.listens import LISTEN

READING: Final = frozenset(
    {
        LISTEN,
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "tools/list",
    }
)
"""The methods of such requests, of all versions."""


def only_reads(body: bytes) -> bool:
    """Tell whether nothing in a body asks for more than reading. What is no message asks for nothing.

    A batch of more messages than are ever taken is not looked at: there may be millions.
    """
    if not body:
        return True
    try:
        message = jsonrpc.parse(body)
    except JsonRpcError:
        return True
    if isinstance(message, Batch):
        return len(message.items) <= MAX_MESSAGES and all(map(_item_reads, message.items))
    return _reads(message)


def _reads(message: Message) -> bool:
    # Notifications and answers belong to requests that were let in.
    return not isinstance(message, Request) or message.method in READING


def _item_reads(item: Raw) -> bool:
    try:
        return _reads(jsonrpc.parse_item(item))
    except JsonRpcError:
        return True

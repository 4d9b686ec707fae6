"""The URIs in results and definitions: each replaced by what it is called on the other side.

Text inside content stays as it is. Nothing is decoded unless the bytes hold the word that a link needs,
and what holds none is passed on as it was written.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcptunnel.errors import McpTunnelError
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Members
from mcptunnel.mcp.meta import META

_T = TypeVar("_T")

Mapping: TypeAlias = Callable[[str], str]
"""What a URI is called on the other side."""

UI_FLAT: Final = "ui/resourceUri"
"""Where older servers of MCP Apps name the page of a tool."""


MAX_LINKS: Final = 2000
"""Links of one result: as many resources as a server's list may have, and more than are remembered."""

MAX_PARTS: Final = 10_000
"""Blocks or messages of one result that are looked at for links."""


class TooManyLinks(McpTunnelError):
    """Mapping the links of a result would take too long; the text says what the result does."""


class _Block(msgspec.Struct, frozen=True, gc=False):
    """A block of content, as far as links go (2026-07-28, server/tools, "Tool Result")."""

    type: str = ""
    uri: str | UnsetType = UNSET
    resource: Raw | UnsetType = UNSET


class _Message(msgspec.Struct, frozen=True, gc=False):
    content: Raw = Raw(b"null")


_raws = msgspec.json.Decoder(list[Raw])
_blocks = msgspec.json.Decoder(list[_Block])
_block = msgspec.json.Decoder(_Block)
_messages = msgspec.json.Decoder(list[_Message])
_DAMAGED: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, JsonRpcError)


def map_content(holder: Members, mapping: Mapping) -> bool:
    """Map the links in `content`, of a tool's result; return whether any changed.

    Content is a list of blocks, or one. What is malformed stays as it is. Like the other two, it
    raises TooManyLinks.
    """
    return _replace(holder, "content", _mapped_content, mapping)


def map_messages(result: Members, mapping: Mapping) -> bool:
    """Map the links in the messages of a prompt; return whether any changed."""
    return _replace(result, "messages", _mapped_messages, mapping)


def map_contents(result: Members, mapping: Mapping) -> bool:
    """Map the URIs of what `resources/read` found; return whether any changed."""
    return _replace(result, "contents", _mapped_contents, mapping)


def map_ui(definition: Raw, mapping: Mapping) -> Raw:
    """Map the page that a tool of MCP Apps names, in its new and in its old place."""
    if b"resourceUri" not in bytes(definition):
        return definition
    try:
        tool = jsonrpc.members(definition)
        about = jsonrpc.members(tool.get(META))
        changed = _map_uri(about, UI_FLAT, mapping)
        if "ui" in about:
            ui = jsonrpc.members(about["ui"])
            if _map_uri(ui, "resourceUri", mapping):
                about["ui"] = jsonrpc.raw(ui)
                changed = True
    except JsonRpcError:
        return definition
    if not changed:
        return definition
    tool[META] = jsonrpc.raw(about)
    return jsonrpc.raw(tool)


_Change: TypeAlias = Callable[[Raw, Mapping], Raw | None]
"""Returns what takes the place of a value, None if it stays."""


def _replace(holder: Members, member: str, change: _Change, mapping: Mapping) -> bool:
    value = holder.get(member)
    if value is None:
        return False
    left = MAX_LINKS

    def counted(uri: str) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooManyLinks(f"names more than {MAX_LINKS} resources in one result")
        return mapping(uri)

    try:
        changed = change(value, counted)
    except _DAMAGED:
        return False
    if changed is None:
        return False
    holder[member] = changed
    return True


def _mapped_content(content: Raw, mapping: Mapping) -> Raw | None:
    encoded = bytes(content)
    if b'"resource' not in encoded:
        return None
    if encoded.startswith(b"{"):
        shown = _shown(_block.decode(encoded), mapping)
        return None if shown is None else _with_link(content, shown)
    found = _few(_blocks.decode(encoded))
    changes = {at: shown for at, block in enumerate(found) if (shown := _shown(block, mapping))}
    return _with(content, changes, _with_link)


def _mapped_contents(contents: Raw, mapping: Mapping) -> Raw | None:
    found = _few(_blocks.decode(contents))
    changes = {at: shown for at, one in enumerate(found) if (shown := _shown_uri(one, mapping))}
    return _with(contents, changes, _with_uri)


def _mapped_messages(messages: Raw, mapping: Mapping) -> Raw | None:
    if b'"resource' not in bytes(messages):
        return None
    found = _few(_messages.decode(messages))
    changes = {
        at: content
        for at, message in enumerate(found)
        if (content := _mapped_content(message.content, mapping)) is not None
    }
    return _with(messages, changes, _with_content)


def _few(found: list[_T]) -> list[_T]:
    if len(found) > MAX_PARTS:
        raise TooManyLinks(f"has more than {MAX_PARTS} parts in one result")
    return found


def _with(values: Raw, changes: dict[int, _T], change: Callable[[Raw, _T], Raw]) -> Raw | None:
    """Return an array with some of its items changed: only those are taken apart. None for none."""
    if not changes:
        return None
    items = _raws.decode(values)
    for position, new in changes.items():
        items[position] = change(items[position], new)
    return jsonrpc.raw(items)


def _shown(block: _Block, mapping: Mapping) -> str | None:
    """Return what the URI of a link or an embedded resource is to be; None if it stays."""
    if block.type == "resource_link":
        return _shown_uri(block, mapping)
    if block.type == "resource" and block.resource is not UNSET:
        return _shown_uri(_block.decode(block.resource), mapping)
    return None


def _shown_uri(block: _Block, mapping: Mapping) -> str | None:
    if block.uri is UNSET:
        return None
    shown = mapping(block.uri)
    return None if shown == block.uri else shown


def _with_link(block: Raw, shown: str) -> Raw:
    """Return a block with another URI: its own, or that of the resource embedded in it."""
    members = jsonrpc.members(block)
    if jsonrpc.text(members.get("type")) == "resource":
        members["resource"] = _with_uri(members["resource"], shown)
    else:
        members["uri"] = jsonrpc.raw(shown)
    return jsonrpc.raw(members)


def _with_uri(resource: Raw, shown: str) -> Raw:
    return jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(resource), "uri", shown))


def _with_content(message: Raw, content: Raw) -> Raw:
    return jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(message), "content", content))


def _map_uri(holder: Members, member: str, mapping: Mapping) -> bool:
    uri = jsonrpc.text(holder.get(member))
    if uri is None:
        return False
    shown = mapping(uri)
    if shown == uri:
        return False
    holder[member] = jsonrpc.raw(shown)
    return True

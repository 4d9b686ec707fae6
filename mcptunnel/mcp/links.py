"""The URIs in results and definitions: each replaced by what it is called on the other side.

Text inside content stays as it is. Nothing is decoded unless the bytes hold the word that a link needs,
and what holds none is passed on as it was written.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Members
from mcptunnel.mcp.meta import META

Mapping: TypeAlias = Callable[[str], str]
"""What a URI is called on the other side."""

UI_FLAT: Final = "ui/resourceUri"
"""Where older servers of MCP Apps name the page of a tool."""


class _Block(msgspec.Struct, frozen=True):
    """A block of content, as far as links go (2026-07-28, server/tools, "Tool Result")."""

    type: str = ""
    uri: str | UnsetType = UNSET
    resource: Raw | UnsetType = UNSET


_blocks = msgspec.json.Decoder(list[Raw])
_block = msgspec.json.Decoder(_Block)
_DAMAGED: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, JsonRpcError)


def map_content(holder: Members, mapping: Mapping) -> bool:
    """Map the links in `content`, of a tool's result or a prompt's message; return whether any changed.

    Content is one block or a list of them. What is malformed stays as it is.
    """
    content = holder.get("content")
    if content is None:
        return False
    encoded = bytes(content)
    if b'"resource' not in encoded:
        return False
    mapped = _mapped_block if encoded.startswith(b"{") else _mapped_list
    return _replace(holder, "content", content, mapped, mapping)


def map_messages(result: Members, mapping: Mapping) -> bool:
    """Map the links in the messages of a prompt; return whether any changed."""
    messages = result.get("messages")
    if messages is None or b'"resource' not in bytes(messages):
        return False
    return _replace(result, "messages", messages, _mapped_messages, mapping)


def map_contents(result: Members, mapping: Mapping) -> bool:
    """Map the URIs of what `resources/read` found; return whether any changed."""
    contents = result.get("contents")
    if contents is None:
        return False
    return _replace(result, "contents", contents, _mapped_contents, mapping)


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


def _replace(holder: Members, member: str, value: Raw, change: _Change, mapping: Mapping) -> bool:
    try:
        changed = change(value, mapping)
    except _DAMAGED:
        return False
    if changed is None:
        return False
    holder[member] = changed
    return True


def _each(values: Raw, change: _Change, mapping: Mapping) -> Raw | None:
    found = _blocks.decode(values)
    changes = [change(value, mapping) for value in found]
    if not any(changes):
        return None
    return jsonrpc.raw([new or old for new, old in zip(changes, found, strict=True)])


def _mapped_list(blocks: Raw, mapping: Mapping) -> Raw | None:
    return _each(blocks, _mapped_block, mapping)


def _mapped_messages(messages: Raw, mapping: Mapping) -> Raw | None:
    return _each(messages, _mapped_message, mapping)


def _mapped_contents(contents: Raw, mapping: Mapping) -> Raw | None:
    return _each(contents, _mapped_resource, mapping)


def _mapped_message(message: Raw, mapping: Mapping) -> Raw | None:
    members = jsonrpc.members(message)
    return jsonrpc.raw(members) if map_content(members, mapping) else None


def _mapped_block(block: Raw, mapping: Mapping) -> Raw | None:
    link = _block.decode(block)
    if link.type == "resource_link":
        return _mapped_resource(block, mapping)
    if link.type != "resource" or isinstance(link.resource, UnsetType):
        return None
    resource = _mapped_resource(link.resource, mapping)
    if resource is None:
        return None
    return jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(block), "resource", resource))


def _mapped_resource(resource: Raw, mapping: Mapping) -> Raw | None:
    uri = _block.decode(resource).uri
    if isinstance(uri, UnsetType):
        return None
    shown = mapping(uri)
    if shown == uri:
        return None
    return jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(resource), "uri", shown))


def _map_uri(holder: Members, member: str, mapping: Mapping) -> bool:
    uri = jsonrpc.text(holder.get(member))
    if uri is None:
        return False
    shown = mapping(uri)
    if shown == uri:
        return False
    holder[member] = jsonrpc.raw(shown)
    return True

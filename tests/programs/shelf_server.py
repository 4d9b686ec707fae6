"""A local server on a pipe with prompts, resources and templates, and a tool that asks for something.

It has another tool with a page (MCP Apps), which it lists to clients alone that declare that they show pages.

    python -m tests.programs.shelf_server WORD [--legacy]

WORD is in everything that it says, so that one can tell which server answered.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

MODERN = "2026-07-28"
ITEM = "shelf:book"
TEMPLATE = "shelf:page/{number}"
PAGE = "ui://shelf/page"
APPS = "io.modelcontextprotocol/ui"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
ASKED = {
    "method": "elicitation/create",
    "params": {"message": "Which one?", "requestedSchema": {"type": "object", "properties": {}}},
}
ABOUT = {
    "capabilities": {"tools": {}, "prompts": {}, "resources": {}, "completions": {}},
    "instructions": "Books are read here.",
}


def command(word: str, *options: str) -> tuple[str, ...]:
    """Return the command of such a server."""
    return (sys.executable, "-m", "tests.programs.shelf_server", word, *options)


def ask(word: str, params: Any) -> Any:
    """Ask which one, unless the client comes back with an answer and with our own state."""
    if params.get("requestState") != f"{word} waits":
        asked = {"inputRequests": {"which": ASKED}, "requestState": f"{word} waits"}
        return {"resultType": "input_required", **asked}
    given = params["inputResponses"]["which"]["content"]["title"]
    link = {"type": "resource_link", "uri": f"shelf:found/{given}", "name": "found"}
    return {"content": [{"type": "text", "text": f"{word} {given}"}, link]}


def read(word: str, params: Any) -> Any:
    """Return a resource; a page says what its host should allow it."""
    content = {"uri": params["uri"], "text": f"{word} {params['uri']}"}
    if params["uri"] == PAGE:
        content |= {
            "mimeType": "text/html;profile=mcp-app",
            "_meta": {"ui": {"prefersBorder": True}},
        }
    return {"contents": [content]}


def tools(declared: Any) -> Any:
    """Return the tools for a client with these capabilities."""
    listed = [{"name": "ask", "inputSchema": {"type": "object"}}]
    if APPS in declared.get("extensions", {}):
        about = {"ui": {"resourceUri": PAGE, "visibility": ["model", "app"]}}
        listed.append({"name": "show", "inputSchema": {"type": "object"}, "_meta": about})
    return {"tools": listed}


def call(word: str, params: Any) -> Any:
    """Call one of the tools."""
    if params["name"] == "ask":
        return ask(word, params)
    declared = params.get("_meta", {}).get(CAPABILITIES, {}).get("extensions", {})
    return {"content": [{"type": "text", "text": f"{word} {sorted(declared)}"}]}


def get(word: str, params: Any) -> Any:
    """Return a prompt."""
    said = {"type": "text", "text": f"{word} {params['name']}"}
    return {"messages": [{"role": "user", "content": said}]}


def listed(member: str, **item: Any) -> Callable[[str, Any], Any]:
    """Return what answers with a list of one thing."""
    return lambda _word, _params: {member: [item]}


METHODS: dict[str, Callable[[str, Any], Any]] = {
    "prompts/list": listed("prompts", name="review"),
    "resources/list": listed("resources", uri=ITEM, name="book"),
    "resources/templates/list": listed("resourceTemplates", uriTemplate=TEMPLATE, name="page"),
    "tools/call": call,
    "prompts/get": get,
    "resources/read": read,
    "completion/complete": lambda word, params: {
        "completion": {"values": [f"{word} {params['ref']['uri']}"]}
    },
}


def main() -> None:
    """Answer until the pipe is closed."""
    word, legacy = sys.argv[1], "--legacy" in sys.argv
    declared: Any = {}
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        method, params = message["method"], message.get("params") or {}
        declared = params.get("_meta", {}).get(CAPABILITIES, declared)
        found = METHODS[method](word, params) if method in METHODS else None
        if method == "tools/list":
            found = tools(declared)
        if not legacy and method == "server/discover":
            found = {"supportedVersions": [MODERN], **ABOUT}
        elif legacy and method == "initialize":
            info, declared = {"name": "shelf", "version": "1"}, params["capabilities"]
            found = {"protocolVersion": "2025-11-25", "serverInfo": info, **ABOUT}
        if found is None:
            answer: Any = {"error": {"code": -32601, "message": f"no {method}"}}
        elif legacy:
            answer = {"result": found}
        else:
            kept = {"ttlMs": 0, "cacheScope": "private"}
            answer = {"result": {"resultType": "complete", **kept, **found}}
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""A local server on a pipe with prompts, resources and templates, and a tool that asks for something.

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


def get(word: str, params: Any) -> Any:
    """Return a prompt."""
    said = {"type": "text", "text": f"{word} {params['name']}"}
    return {"messages": [{"role": "user", "content": said}]}


def listed(member: str, **item: Any) -> Callable[[str, Any], Any]:
    """Return what answers with a list of one thing."""
    return lambda _word, _params: {member: [item]}


METHODS: dict[str, Callable[[str, Any], Any]] = {
    "tools/list": listed("tools", name="ask", inputSchema={"type": "object"}),
    "prompts/list": listed("prompts", name="review"),
    "resources/list": listed("resources", uri=ITEM, name="book"),
    "resources/templates/list": listed("resourceTemplates", uriTemplate=TEMPLATE, name="page"),
    "tools/call": ask,
    "prompts/get": get,
    "resources/read": lambda word, params: {
        "contents": [{"uri": params["uri"], "text": f"{word} {params['uri']}"}]
    },
    "completion/complete": lambda word, params: {
        "completion": {"values": [f"{word} {params['ref']['uri']}"]}
    },
}


def main() -> None:
    """Answer until the pipe is closed."""
    word, legacy = sys.argv[1], "--legacy" in sys.argv
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        method, params = message["method"], message.get("params") or {}
        found = METHODS[method](word, params) if method in METHODS else None
        if not legacy and method == "server/discover":
            found = {"supportedVersions": [MODERN], **ABOUT}
        elif legacy and method == "initialize":
            info = {"name": "shelf", "version": "1"}
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

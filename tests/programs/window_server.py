"""A legacy server with tools that ask, wait and ask too late; one line in, some lines out.

`pid` tells whose process it is, and what became of the late question. `ask` asks its client. `wait` never
ends by itself: when it is cancelled it asks a question (`late`), answers (`answers`), or does nothing.
"""

import json
import os
import sys
from typing import Any

Json = dict[str, Any]

FORM = {"type": "object", "properties": {"name": {"type": "string"}}}
TOOLS = ("pid", "ask", "wait")


class WindowServer:
    """One conversation."""

    def __init__(self) -> None:
        self._waiting: dict[Any, Json] = {}
        self._asking: dict[str, Any] = {}
        self._late: Json | None = None

    def receive(self, message: Json) -> None:
        """Take one message."""
        method, params = message.get("method"), message.get("params", {})
        if method is None:
            self._answered(message)
        elif method == "tools/call":
            self._call(message["id"], params["name"], params)
        elif method == "notifications/cancelled":
            self._cancelled(params["requestId"])
        elif "id" in message:
            self._result(message["id"], self._plain(method, params))

    def _plain(self, method: str, params: Json) -> Json:
        if method == "initialize":
            about = {"name": "window", "version": "1"}
            version = params["protocolVersion"]
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}

    def _call(self, request_id: Any, name: str, params: Json) -> None:
        if name == "pid":
            self._text(request_id, {"pid": os.getpid(), "late": self._late})
        elif name == "ask":
            self._ask(f"asked {request_id}", request_id)
        else:
            self._waiting[request_id] = params.get("arguments", {})
            token = params.get("_meta", {}).get("progressToken")
            progress = {"progressToken": token, "progress": 1}
            self._send({"method": "notifications/progress", "params": progress})

    def _cancelled(self, request_id: Any) -> None:
        wanted = self._waiting.pop(request_id, {})
        if wanted.get("late"):
            self._ask("late", None)
        if wanted.get("answers"):
            error = {"code": 0, "message": "Request cancelled"}
            self._send({"id": request_id, "error": error})

    def _ask(self, question_id: str, request_id: Any) -> None:
        self._asking[question_id] = request_id
        params = {"message": "Your name?", "requestedSchema": FORM}
        self._send({"id": question_id, "method": "elicitation/create", "params": params})

    def _answered(self, message: Json) -> None:
        request_id = self._asking.pop(message["id"])
        told = message.get("result") or message.get("error")
        if request_id is None:
            self._late = told
        else:
            self._text(request_id, {"pid": os.getpid(), "told": told})

    def _text(self, request_id: Any, value: Json) -> None:
        self._result(request_id, {"content": [{"type": "text", "text": json.dumps(value)}]})

    def _result(self, request_id: Any, result: Json) -> None:
        self._send({"id": request_id, "result": result})

    def _send(self, message: Json) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Speak over stdin and stdout until there is no more."""
    server = WindowServer()
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "server/discover":
            error = {"code": -32601, "message": "Method not found"}
            told = {"jsonrpc": "2.0", "id": message["id"], "error": error}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        else:
            server.receive(message)


if __name__ == "__main__":
    main()

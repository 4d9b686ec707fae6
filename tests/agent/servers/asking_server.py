"""A server that asks its client things, logs, and tells of changes, in either era; run as a process.

    python asking_server.py [legacy|modern|both] [--strict] [--mute]

One of both eras speaks that of its first message.
`--strict` cannot read capabilities it does not know, as servers of the Java SDK; `--mute` dies of them.
"""

import json
import os
import sys
from collections.abc import Callable, Generator
from typing import Any

Json = dict[str, Any]
Send = Callable[[Json, Any], None]
"""Sends a message; beside it the id of the request on whose stream it belongs, if any."""

META = "io.modelcontextprotocol/"
FORM = {"type": "object", "properties": {"name": {"type": "string"}}}
QUESTIONS: dict[str, tuple[str, Json]] = {
    "ask": ("elicitation/create", {"message": "Your name?", "requestedSchema": FORM}),
    "sample": ("sampling/createMessage", {"messages": [], "maxTokens": 10}),
    "roots": ("roots/list", {}),
}
TOOLS = (*QUESTIONS, "change", "crash", "log", "state")
CAPABILITIES = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "logging": {},
}
Work = Generator[tuple[str, Json], Json, Json]
"""A call: yields questions, gets their answers (messages), returns its result."""


class AskingServer:
    """One conversation."""

    def __init__(self, send: Send, era: str = "legacy", *flags: str) -> None:
        self._send = send
        self._modern = era == "modern"
        self._is_undecided = era == "both"
        self._flags = flags
        self._works: dict[str, tuple[Any, Work]] = {}
        self._asked = 0
        self._listens: dict[Any, Json] = {}
        self.state: Json = {"level": None, "subscribed": [], "cancelled": 0, "pid": os.getpid()}

    def receive(self, message: Json) -> None:
        """Take one message."""
        method, request_id = message.get("method"), message.get("id")
        params = message.get("params", {})
        if self._is_undecided:
            self._is_undecided, self._modern = False, method != "initialize"
        if method is None:
            origin, work = self._works.pop(str(request_id))
            self._go_on(origin, work, message)
        elif method == "notifications/cancelled":
            self.state["cancelled"] += 1
            self._listens.pop(params["requestId"], None)
        elif request_id is not None:
            try:
                self._answer(request_id, method, params)
            except KeyError as error:
                self._error(request_id, -32601, f"Method not found: {method} {error}")

    def _answer(self, request_id: Any, method: str, params: Json) -> None:
        version = params.get("_meta", {}).get(META + "protocolVersion")
        if self._modern is (version is None) or (method == "initialize" and self._modern):
            self._error(request_id, -32601, f"Method not found: {method}")
        elif method == "initialize" and "--mute" in self._flags and params["capabilities"]:
            sys.exit("I know none of this")
        elif method == "initialize" and "--strict" in self._flags and self._is_odd(params):
            self._error(request_id, -32603, 'Unrecognized field "form" (class Elicitation)')
        elif method == "tools/call":
            self._go_on(request_id, self._tool(request_id, params), None)
        elif method == "subscriptions/listen":
            self._listens[request_id] = params["notifications"]
            ack = {"notifications": params["notifications"]}
            self._tell_listen(request_id, "subscriptions/acknowledged", ack)
        else:
            self._result(request_id, self._plain(method, params))

    @staticmethod
    def _is_odd(params: Json) -> bool:
        return bool(params["capabilities"].get("elicitation"))

    def _plain(self, method: str, params: Json) -> Json:
        match method:
            case "initialize":
                self.state["offered"] = params["capabilities"]
                return {"protocolVersion": "2025-06-18", "capabilities": CAPABILITIES}
            case "server/discover":
                return {"supportedVersions": ["2026-07-28"], "capabilities": CAPABILITIES}
            case "tools/list":
                return {"tools": [{"name": name, "inputSchema": {}} for name in TOOLS]}
            case "resources/subscribe":
                self.state["subscribed"].append(params["uri"])
            case "resources/unsubscribe":
                self.state["subscribed"].remove(params["uri"])
            case "logging/setLevel":
                self.state["level"] = params["level"]
            case _:
                raise KeyError(method)
        return {}

    def _tool(self, request_id: Any, params: Json) -> Work:
        name, arguments = params["name"], params.get("arguments", {})
        token = params.get("_meta", {}).get("progressToken")
        if name in QUESTIONS:
            answers = []
            given = params.get("inputResponses")
            if self._modern and not given:
                method, asked = QUESTIONS[name]
                asks = {"mine": {"method": method, "params": asked}}
                return {
                    "resultType": "input_required",
                    "inputRequests": asks,
                    "requestState": f"theirs {name}",
                }
            for step in range(0 if self._modern else arguments.get("times", 1)):
                progress = {"progressToken": token, "progress": step}
                self._notify("notifications/progress", progress, request_id)
                answers.append((yield QUESTIONS[name]))
            return self._text(given or [one.get("result", one.get("error")) for one in answers])
        if name == "crash":
            os._exit(3)
        if name == "log":
            for level in ("debug", "error"):
                self._notify("notifications/message", {"level": level, "data": level}, request_id)
        if name == "change":
            self._change("tools/list_changed", {}, "toolsListChanged")
            self._change("resources/updated", {"uri": "file:///a/b"}, "resourceSubscriptions")
        return self._text(self.state)

    def _go_on(self, origin: Any, work: Work, answer: Json | None) -> None:
        try:
            method, params = next(work) if answer is None else work.send(answer)
        except StopIteration as end:
            self._result(origin, end.value)
            return
        self._asked += 1
        asked = f"asked {self._asked}"
        self._works[asked] = origin, work
        self._send({"id": asked, "method": method, "params": params}, origin)

    def _change(self, method: str, params: Json, kind: str) -> None:
        if not self._modern:
            self._notify(f"notifications/{method}", params, None)
        for listen, wanted in self._listens.items():
            if wanted.get(kind):
                self._tell_listen(listen, method, params)

    def _tell_listen(self, listen: Any, method: str, params: Json) -> None:
        about = {"_meta": {META + "subscriptionId": listen}}
        self._notify(f"notifications/{method}", {**params, **about}, listen)

    def _text(self, value: object) -> Json:
        return {"content": [{"type": "text", "text": json.dumps(value)}]}

    def _notify(self, method: str, params: Json, origin: Any) -> None:
        self._send({"method": method, "params": params}, origin)

    def _result(self, request_id: Any, result: Json) -> None:
        if self._modern:
            result = {"resultType": "complete", **result}
        self._send({"id": request_id, "result": result}, request_id)

    def _error(self, request_id: Any, code: int, text: str) -> None:
        error = {"code": code, "message": text}
        self._send({"id": request_id, "error": error}, request_id)


def main() -> None:
    """Speak over stdin and stdout."""

    def send(message: Json, _origin: Any) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    server = AskingServer(send, *sys.argv[1:])
    for line in sys.stdin:
        server.receive(json.loads(line))


if __name__ == "__main__":
    main()

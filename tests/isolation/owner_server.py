"""A stdio server of the older era that puts its owner's name into everything it says.

    python owner_server.py OWNER [TOOLS]

TOOLS is how many more tools it lists, to fill pages. It starts fast: there are many of them.
"""

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Emit = Callable[[Json], None]

PROTOCOL = "2025-11-25"
PAGE = 100
PROGRESS_STEPS = 3
ANSWER_TIMEOUT_S = 20.0
COMMON = "own://secret"
DONE_BY_SAYING_SO = ("resources/subscribe", "resources/unsubscribe", "logging/setLevel", "ping")


class Owner:
    """Answers requests; what it asks and tells goes where the request's answer goes."""

    def __init__(self, name: str, more_tools: int = 0) -> None:
        self.name = name
        self._tools = [
            {
                "name": tool,
                "description": f"{name}: {tool}",
                "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}},
            }
            for tool in ("whoami", "count", "ask", "log", "touch")
        ]
        self._tools += [{**self._tools[0], "name": f"tool{n}"} for n in range(more_tools)]
        self._ids = itertools.count(1)
        self._answers: dict[int, Json] = {}
        self._answered = threading.Condition()

    def answer(self, message: Json) -> None:
        """Take the client's answer to a question of ours."""
        with self._answered:
            self._answers[message["id"]] = message
            self._answered.notify_all()

    def request(self, message: Json, emit: Emit) -> None:
        """Answer a request; returns when it is answered."""
        params = message.get("params", {})
        result = self._result(message["method"], params, emit)
        emit({"id": message["id"], **result})

    def _result(self, method: str, params: Json, emit: Emit) -> Json:
        simple: dict[str, Callable[[], Json]] = {
            "initialize": self._about,
            "tools/list": lambda: self._page(params),
            "tools/call": lambda: self._call(params, emit),
            "resources/list": self._resources,
            "resources/read": lambda: {
                "contents": [{"uri": params["uri"], "text": f"secret of {self.name}"}]
            },
            "prompts/list": lambda: {"prompts": [{"name": "hello", "description": self.name}]},
            "prompts/get": self._prompt,
        }
        if method in simple:
            return {"result": simple[method]()}
        if method in DONE_BY_SAYING_SO:
            return {"result": {}}
        return {"error": {"code": -32601, "message": f"{self.name} has no {method}"}}

    def _resources(self) -> Json:
        uris = (COMMON, f"own://{self.name}/board")
        return {"resources": [{"uri": uri, "name": self.name} for uri in uris]}

    def _prompt(self) -> Json:
        content = {"type": "text", "text": f"hello, {self.name}"}
        return {"messages": [{"role": "user", "content": content}]}

    def _about(self) -> Json:
        capabilities = {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "prompts": {},
            "logging": {},
        }
        info = {"name": self.name, "version": "1"}
        about = {"protocolVersion": PROTOCOL, "capabilities": capabilities, "serverInfo": info}
        return {**about, "instructions": f"Ask {self.name}."}

    def _page(self, params: Json) -> Json:
        start = int(params.get("cursor", "0"))
        page: Json = {"tools": self._tools[start : start + PAGE]}
        if start + PAGE < len(self._tools):
            page["nextCursor"] = str(start + PAGE)  # the same text, whoever is asked
        return page

    def _call(self, params: Json, emit: Emit) -> Json:
        word = params.get("arguments", {}).get("word", "")
        text = f"{self.name} {word}"
        time.sleep(sum(word.encode()) % 4 / 1000)  # so that answers overtake each other
        match params["name"]:
            case "count":
                token = params["_meta"]["progressToken"]
                for step in range(1, PROGRESS_STEPS + 1):
                    progress = {"progressToken": token, "progress": step, "message": text}
                    emit({"method": "notifications/progress", "params": progress})
            case "log":
                emit({"method": "notifications/message", "params": {"level": "info", "data": text}})
            case "touch":
                uri = {"uri": f"own://{self.name}/board"}
                emit({"method": "notifications/resources/updated", "params": uri})
            case "ask":
                text = f"{text}: {self._ask(text, emit)}"
        return {"content": [{"type": "text", "text": text}]}

    def _ask(self, text: str, emit: Emit) -> str:
        number = next(self._ids)  # 1, 2, 3, as with all the others
        schema = {"type": "object", "properties": {"word": {"type": "string"}}}
        params = {"message": text, "requestedSchema": schema}
        emit({"id": number, "method": "elicitation/create", "params": params})
        with self._answered:
            if not self._answered.wait_for(lambda: number in self._answers, ANSWER_TIMEOUT_S):
                return "nobody answered"
            answer = self._answers.pop(number)
        return json.dumps(answer.get("result", answer.get("error")))


def main() -> None:
    """Speak over stdio until the input ends; every request has a thread."""
    owner = Owner(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    writing = threading.Lock()

    def emit(message: Json) -> None:
        with writing:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            sys.stdout.flush()

    for line in sys.stdin:
        message = json.loads(line)
        if "method" not in message:
            owner.answer(message)
        elif "id" in message:
            threading.Thread(target=owner.request, args=(message, emit), daemon=True).start()


if __name__ == "__main__":
    main()

"""A client of either era over bare HTTP that looks at every byte it is sent for other people's names."""

import contextlib
import http.client
import itertools
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

Json = dict[str, Any]

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = "io.modelcontextprotocol/"
CAPABILITIES: Json = {"elicitation": {}}
TIMEOUT_S = 40.0
TOKEN = "t"
LISTEN_ID = "listen"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"

_NAMED = re.compile(r"(user-\d+)(?:-c(\d))?")


class Client:
    """The `index`th client of a user; all clients use the same ids and tokens, in the same order.

    `foreign` is what it was sent that is somebody else's; there must be nothing.
    """

    def __init__(
        self, port: int, key: str, user: str, index: int, version: str, path: str = "/mcp"
    ) -> None:
        self.user = user
        self.index = index
        self.is_modern = version == MODERN
        self.foreign: list[str] = []
        self.seen: Counter[str] = Counter()
        self.session_id = ""
        self._port = port
        self._key = key
        self._version = version
        self.path = path
        self._ids = itertools.count(1)
        self._words = itertools.count(1)
        self._asked_for: list[str] = []
        self._listening: list[http.client.HTTPConnection] = []

    @property
    def name(self) -> str:
        return f"{self.user}-c{self.index}"

    def connect(self) -> Self:
        """Do what the era asks for before the first request."""
        if not self.is_modern:
            about = {"clientInfo": {"name": self.name, "version": "1"}}
            asked = {"protocolVersion": self._version, "capabilities": CAPABILITIES, **about}
            self.request("initialize", asked)
            self.post({"method": "notifications/initialized"})
        return self

    def word(self) -> str:
        """Return a word that nobody else uses, and in which this client's name is."""
        return f"{self.name}-w{next(self._words)}"

    def call(self, tool: str, word: str) -> Json:
        """Call a tool; return the response message."""
        params = {"name": tool, "arguments": {"word": word}, "_meta": {"progressToken": TOKEN}}
        return self.request("tools/call", params)

    def tools(self) -> list[str]:
        """Return the names of all tools, all pages."""
        names: list[str] = []
        page: Json = {"nextCursor": None}
        while "nextCursor" in page:
            cursor = page["nextCursor"]
            page = self.request("tools/list", {"cursor": cursor} if cursor else {})["result"]
            names += [tool["name"] for tool in page["tools"]]
        return names

    def boards(self) -> list[str]:
        """Return what our user's boards are called, one for each server that has one."""
        resources = self.request("resources/list")["result"]["resources"]
        return [each["uri"] for each in resources if each["uri"].endswith("/board")]

    def request(self, method: str, params: Json | None = None) -> Json:
        """Send a request, answer what is asked meanwhile, and return the response."""
        response = self.post({"id": next(self._ids), "method": method, "params": params or {}})
        assert response is not None
        result = response.get("result", {})
        if result.get("resultType") != "input_required":
            return response
        answers = {key: _answer(asked["params"]) for key, asked in result["inputRequests"].items()}
        self.seen["asked"] += len(answers)
        again = {**(params or {}), "inputResponses": answers}
        return self.request(method, {**again, "requestState": result["requestState"]})

    def post(self, message: Json) -> Json | None:
        """POST a message; return the response to it, None if there is none. Raises Refused."""
        with self._sent("POST", message) as response:
            for received in self._messages(response):
                if received.get("id") == message.get("id") and "method" not in received:
                    self.session_id = response.headers.get("Mcp-Session-Id") or self.session_id
                    return received
                if received.get("method") == "elicitation/create":
                    self.seen["asked"] += 1
                    self.post({"id": received["id"], "result": _answer(received["params"])})
                else:
                    self.seen[received["method"]] += 1
        assert "id" not in message or "method" not in message, message
        return None

    def status(self, method: str, message: Json, session_id: str = "") -> int:
        """Send a message, as somebody else's session if one is given, and return the HTTP status."""
        own, self.session_id = self.session_id, session_id or self.session_id
        try:
            with self._sent(method, message) as response:
                return response.status
        except Refused as refused:
            return refused.status
        finally:
            self.session_id = own

    def listen(self, uris: list[str]) -> None:
        """Hear of resources and lists, in a thread of its own, until `close`."""
        self._asked_for = uris
        for uri in uris if not self.is_modern else ():
            self.request("resources/subscribe", {"uri": uri})  # may be refused
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(uris, ready), daemon=True).start()
        assert ready.wait(TIMEOUT_S)

    def _listen(self, uris: list[str], ready: threading.Event) -> None:
        wanted = {"toolsListChanged": True, "resourceSubscriptions": uris}
        listen = {"method": "subscriptions/listen", "params": {"notifications": wanted}}
        message: Json = {"id": LISTEN_ID, **listen} if self.is_modern else {}
        method = "POST" if self.is_modern else "GET"
        ends = (OSError, ValueError, http.client.HTTPException, Refused)
        with contextlib.suppress(*ends), self._sent(method, message, held=True) as response:
            ready.set()
            for received in self._messages(response):
                self.seen[received.get("method", "response")] += 1
        ready.set()

    def close(self) -> None:
        """End what listens."""
        for connection in self._listening:
            with contextlib.suppress(OSError, AttributeError):  # it may have ended by itself
                connection.sock.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _sent(
        self, method: str, message: Json, *, held: bool = False
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=None if held else TIMEOUT_S
        )
        if held:
            self._listening.append(connection)
        try:
            body = json.dumps(self._dressed(message)) if method == "POST" else None
            connection.request(method, self.path, body, self._headers(message))
            response = connection.getresponse()
            if response.status >= 400:
                text = response.read().decode()
                self.look(text)
                raise Refused(response.status, text)
            yield response
        finally:
            connection.close()

    def _dressed(self, message: Json) -> Json:
        message = {"jsonrpc": "2.0", **message}
        if not self.is_modern or "method" not in message:
            return message
        params = message.get("params", {})
        about = {
            META + "protocolVersion": MODERN,
            META + "clientCapabilities": CAPABILITIES,
            META + "logLevel": "debug",
        }
        return {**message, "params": {**params, "_meta": {**about, **params.get("_meta", {})}}}

    def _headers(self, message: Json) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.is_modern:
            params = message.get("params", {})
            headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": message.get("method", "")}
            if name := params.get("name") or params.get("uri"):
                headers["Mcp-Name"] = name
        elif self.session_id:
            headers |= {"MCP-Protocol-Version": self._version, "Mcp-Session-Id": self.session_id}
        return headers

    def _messages(self, response: http.client.HTTPResponse) -> Iterator[Json]:
        """Give the messages of a response as they come, each looked at."""
        if response.headers.get_content_type() == "text/event-stream":
            while line := response.readline().decode():
                has_data = line.startswith("data:") and line[5:].strip()
                message = json.loads(line[5:]) if has_data else {}
                self._look_at(message, line)
                if message:
                    yield message
        elif text := response.read().decode():
            message = json.loads(text)
            self._look_at(message, text)
            yield message

    def _look_at(self, message: Json, text: str) -> None:
        if message.get("method") == ACKNOWLEDGED or "error" in message:
            for uri in self._asked_for:  # these repeat what we said
                text = text.replace(uri, "")
        self.look(text)

    def look(self, text: str) -> None:
        """Keep what names another user, or another client of ours."""
        for found in _NAMED.finditer(text):
            if found[1] != self.user or found[2] not in (None, str(self.index)):
                self.foreign.append(f"{found[0]} in {text[:500]}")


class Refused(Exception):
    """The answer was an HTTP error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:500]}")
        self.status = status
        self.text = text


def _answer(asked: Json) -> Json:
    """Answer a form with what it asks, less the words of the relay around it."""
    found = _NAMED.search(asked["message"])
    word = asked["message"].rpartition(" ")[2] if found else ""
    return {"action": "accept", "content": {"word": f"answer to {word}"}}

"""A small MCP client (2026-07-28) for the demo: one request at a time, over loopback."""

import http.client
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from mcptunnel import __version__
from mcptunnel.errors import McpTunnelError
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.headers import modern_headers
from mcptunnel.mcp.jsonrpc import JsonRpcError, Request, Response
from mcptunnel.mcp.meta import META, modern_meta
from mcptunnel.mcp.versions import LATEST_MODERN

TIMEOUT_S: Final = 15.0
OK: Final = 200
SEE_OTHER: Final = 303


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is listed; the description is cut to one line."""

    name: str
    description: str


class DemoClient:
    """Speaks to the relay on a loopback port."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self.key = key
        self.url = f"http://127.0.0.1:{port}/mcp"

    def is_up(self) -> bool:
        """Whether the relay answers."""
        return self._health() is not None

    def is_connected(self) -> bool:
        """Whether an agent is connected."""
        health = self._health()
        return health is not None and health.get("tunnel") == "connected"

    def is_good(self, link: str) -> bool:
        """Whether a link to the relay's pages leads on. Raises McpTunnelError."""
        parts = urlsplit(link)
        status, _body = self._exchange("GET", f"{parts.path}?{parts.query}", {}, b"")
        return status == SEE_OTHER

    def list_tools(self) -> list[Tool]:
        """Return all tools. Raises McpTunnelError."""
        tools = self._request("tools/list", {})["tools"]
        return [
            Tool(tool["name"], tool.get("description", "").partition("\n")[0]) for tool in tools
        ]

    def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool and return the text of its result. Raises McpTunnelError."""
        result = self._request("tools/call", {"name": name, "arguments": arguments})
        text = "\n".join(part.get("text", "") for part in result["content"])
        if result.get("isError"):
            raise McpTunnelError(text)
        return text

    def call_body(self, name: str, arguments: dict[str, Any]) -> str:
        """Return the body of such a call, for people to copy."""
        return jsonrpc.encode(
            self._message("tools/call", {"name": name, "arguments": arguments})
        ).decode()

    def _message(self, method: str, params: dict[str, Any]) -> Request:
        about = modern_meta(
            client_info=jsonrpc.raw({"name": "mcptunnel demo", "version": __version__})
        )
        values = {name: jsonrpc.raw(value) for name, value in (params | {META: about}).items()}
        return Request(1, method, values)

    def _request(self, method: str, params: dict[str, Any]) -> Any:
        message = self._message(method, params)
        headers = dict(modern_headers(message, LATEST_MODERN))
        headers["authorization"] = f"Bearer {self.key}"
        status, body = self._exchange("POST", "/mcp", headers, jsonrpc.encode(message))
        try:
            response = jsonrpc.parse(body)
        except JsonRpcError as error:
            raise McpTunnelError(f"{method}: the relay answered {status} and no JSON") from error
        if not isinstance(response, Response) or response.result is None:
            raise McpTunnelError(f"{method}: {status} {body.decode(errors='replace')[:500]}")
        return json.loads(bytes(response.result))

    def _health(self) -> dict[str, Any] | None:
        try:
            status, body = self._exchange("GET", "/health", {}, b"")
            found: dict[str, Any] = json.loads(body)
        except (McpTunnelError, ValueError):
            return None
        return found if status == OK else None

    def _exchange(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise McpTunnelError(f"The relay cannot be reached: {error}") from error
        finally:
            connection.close()

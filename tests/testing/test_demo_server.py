"""The demo server, driven over pipes as any client would."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import pytest

from mcptunnel.testing.demo_server import LEGACY_VERSIONS, MODERN_VERSIONS
from mcptunnel.testing.demo_tools import CRASH_EXIT_CODE, TOOLS

ANSWER_S = 20
MODERN = {
    "io.modelcontextprotocol/protocolVersion": MODERN_VERSIONS[0],
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Client:
    """The other end of the pipes. Lines are read by a thread, so that nothing can hang."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "mcptunnel.testing.demo_server", *options]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def write(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def send(self, method: str, params: dict[str, Any] | None = None, **members: Any) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}, **members}
        self.write(json.dumps(message).encode())

    def read(self) -> Any:
        message = json.loads(self._lines.get(timeout=ANSWER_S))
        assert message.pop("jsonrpc") == "2.0"
        return message

    def ask(self, method: str, params: dict[str, Any] | None = None, request_id: Any = 1) -> Any:
        self.send(method, params, id=request_id)
        answer = self.read()
        assert answer["id"] == request_id
        return answer

    def initialize(self, version: str = LEGACY_VERSIONS[0]) -> Any:
        answer = self.ask("initialize", {"protocolVersion": version, "capabilities": {}})
        self.send("notifications/initialized")
        return answer

    def call(self, tool: str, arguments: dict[str, Any] | None = None) -> Any:
        return self.ask("tools/call", {"name": tool, "arguments": arguments or {}})["result"]


@pytest.fixture(scope="module")
def legacy() -> Iterator[Client]:
    """A dual-era server after `initialize`."""
    with Client() as client:
        client.initialize()
        yield client


@pytest.mark.parametrize("version", LEGACY_VERSIONS)
def test_initialize_grants_every_legacy_version(version: str) -> None:
    with Client() as client:
        assert client.initialize(version)["result"]["protocolVersion"] == version


def test_initialize_offers_another_version_for_one_it_does_not_know() -> None:
    with Client() as client:
        assert client.initialize("1999-01-01")["result"]["protocolVersion"] == LEGACY_VERSIONS[0]


def test_a_legacy_client_has_to_initialize_first() -> None:
    with Client() as client:
        assert client.ask("tools/list")["error"]["code"] == -32600
        assert client.ask("ping")["result"] == {}


def test_the_list_uses_every_field_of_a_tool(legacy: Client) -> None:
    tools = legacy.ask("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == sorted(TOOLS)
    fields = {"name", "title", "description", "inputSchema", "outputSchema", "annotations", "_meta"}
    assert set(tools[0]) == fields
    assert all(tool["description"] and tool["title"] for tool in tools)


@pytest.mark.parametrize("page_size", [1, 3, len(TOOLS), len(TOOLS) + 1])
def test_the_pages_of_the_list_together_are_the_list(page_size: int) -> None:
    with Client("--page-size", str(page_size)) as client:
        client.initialize()
        names: list[str] = []
        params: dict[str, Any] = {}
        while True:
            result = client.ask("tools/list", params)["result"]
            assert len(result["tools"]) <= page_size
            names += [tool["name"] for tool in result["tools"]]
            if "nextCursor" not in result:
                break
            params = {"cursor": result["nextCursor"]}
        assert names == sorted(TOOLS)


@pytest.mark.parametrize("cursor", ["", "nowhere", 7])
def test_a_cursor_that_it_did_not_give_is_an_error(legacy: Client, cursor: Any) -> None:
    assert legacy.ask("tools/list", {"cursor": cursor})["error"]["code"] == -32602


def test_quick_tools_answer(legacy: Client) -> None:
    assert legacy.call("add", {"a": 2, "b": 0.5})["structuredContent"] == {"sum": 2.5}
    assert legacy.call("echo", {"text": "ü"})["content"] == [{"type": "text", "text": "ü"}]
    assert legacy.call("clock")["structuredContent"]["time"].endswith("+00:00")
    assert legacy.call("clock", {"zone": "No/Where"})["isError"]


def test_a_large_result_arrives_whole(legacy: Client) -> None:
    text = legacy.call("echo", {"size": 3_000_000})["content"][0]["text"]
    assert text == "x" * 3_000_000


@pytest.mark.parametrize(
    "arguments", [{}, {"a": 1}, {"a": "1", "b": 2}, {"a": True, "b": 2}, {"a": None, "b": 2}, []]
)
def test_wrong_arguments_are_a_tool_error(legacy: Client, arguments: Any) -> None:
    answer = legacy.ask("tools/call", {"name": "add", "arguments": arguments})
    assert answer["result"]["isError"]


def test_a_number_out_of_range_is_a_tool_error(legacy: Client) -> None:
    assert legacy.call("echo", {"size": -1})["isError"]


@pytest.mark.parametrize("name", ["nothing", "", None, []])
def test_an_unknown_tool_is_a_protocol_error(legacy: Client, name: Any) -> None:
    assert legacy.ask("tools/call", {"name": name})["error"]["code"] == -32602


def test_an_unknown_method_is_a_protocol_error(legacy: Client) -> None:
    assert legacy.ask("resources/list")["error"]["code"] == -32601


@pytest.mark.parametrize(("line", "code"), [(b"{", -32700), (b"\xff", -32700), (b"[]", -32600)])
def test_lines_that_are_no_message_are_answered(legacy: Client, line: bytes, code: int) -> None:
    legacy.write(line)
    answer = legacy.read()
    assert (answer["id"], answer["error"]["code"]) == (None, code)


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":1}}',
    ],
)
def test_params_that_are_no_object_are_an_error(legacy: Client, line: bytes) -> None:
    legacy.write(line)
    assert legacy.read()["error"]["code"] == -32600


def test_blank_lines_answers_and_odd_cancellations_are_ignored(legacy: Client) -> None:
    legacy.write(b"")
    legacy.write(b'{"jsonrpc":"2.0","id":4,"result":{}}')
    legacy.send("notifications/cancelled", {"requestId": 99})
    legacy.send("notifications/cancelled", {"requestId": []})
    assert legacy.ask("ping")["result"] == {}


def test_countdown_reports_progress_before_its_result() -> None:
    with Client() as client:
        client.initialize()
        arguments = {"n": 3, "interval": 0.001}
        params = {"name": "countdown", "arguments": arguments, "_meta": {"progressToken": "t"}}
        client.send("tools/call", params, id=5)
        events = [client.read()["params"] for _ in range(3)]
        assert [(event["progressToken"], event["progress"]) for event in events] == [
            ("t", 1),
            ("t", 2),
            ("t", 3),
        ]
        assert client.read()["result"]["structuredContent"] == {"steps": 3}


def test_countdown_without_a_token_reports_nothing(legacy: Client) -> None:
    assert legacy.call("countdown", {"n": 2, "interval": 0})["structuredContent"] == {"steps": 2}


def test_a_cancelled_call_is_counted_and_never_answered() -> None:
    with Client() as client:
        client.initialize()
        for request_id in (10, "ten"):
            params = {"name": "sleep", "arguments": {"seconds": 3600}}
            client.send("tools/call", params, id=request_id)
            client.send("notifications/cancelled", {"requestId": request_id})
        assert client.call("cancelled")["structuredContent"] == {"count": 2}
        assert client.call("sleep", {"seconds": 0})["structuredContent"] == {"seconds": 0}


def test_calls_overlap() -> None:
    with Client() as client:
        client.initialize()
        params = {"name": "sleep", "arguments": {"seconds": 3600}}
        client.send("tools/call", params, id=20)
        assert client.call("add", {"a": 1, "b": 1})["structuredContent"] == {"sum": 2}


def test_crash_ends_the_process_without_an_answer() -> None:
    with Client() as client:
        client.initialize()
        client.send("tools/call", {"name": "crash"}, id=30)
        assert client.process.wait(ANSWER_S) == CRASH_EXIT_CODE


def test_it_ends_when_its_input_ends_even_with_a_call_open() -> None:
    with Client() as client:
        client.initialize()
        client.send("tools/call", {"name": "sleep", "arguments": {"seconds": 3600}}, id=40)
        assert client.process.stdin is not None
        client.process.stdin.close()
        assert client.process.wait(ANSWER_S) == 0
        assert client.process.stderr is not None
        assert client.process.stderr.read() == b""


@pytest.mark.parametrize("era", ["modern", "dual"])
def test_modern_requests_need_no_handshake(era: str) -> None:
    with Client("--era", era) as client:
        result = client.ask("server/discover", {"_meta": MODERN})["result"]
        assert result["supportedVersions"] == list(MODERN_VERSIONS)
        assert (result["resultType"], result["cacheScope"]) == ("complete", "public")
        listed = client.ask("tools/list", {"_meta": MODERN})["result"]
        assert listed["ttlMs"] >= 0
        params = {"name": "add", "arguments": {"a": 1, "b": 1}, "_meta": MODERN}
        called = client.ask("tools/call", params)["result"]
        assert called["resultType"] == "complete"
        assert called["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "mcptunnel-demo"
        assert "ttlMs" not in called


def test_a_subscription_is_acknowledged_and_stays_open() -> None:
    with Client("--era", "modern") as client:
        params = {"notifications": {"toolsListChanged": True}, "_meta": MODERN}
        client.send("subscriptions/listen", params, id="s")
        acknowledged = client.read()
        assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
        meta = acknowledged["params"]["_meta"]
        assert meta == {"io.modelcontextprotocol/subscriptionId": "s"}
        assert "error" in client.ask("ping", {"_meta": MODERN})


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -32602),
        ({"_meta": {"io.modelcontextprotocol/protocolVersion": MODERN_VERSIONS[0]}}, -32602),
        ({"_meta": {**MODERN, "io.modelcontextprotocol/protocolVersion": "2999-01-01"}}, -32022),
    ],
)
def test_modern_metadata_is_asked_for(params: dict[str, Any], code: int) -> None:
    with Client("--era", "modern") as client:
        assert client.ask("tools/list", params)["error"]["code"] == code


def test_a_modern_server_tells_a_legacy_client_its_versions() -> None:
    with Client("--era", "modern") as client:
        error = client.ask("initialize", {"protocolVersion": "2025-06-18"})["error"]
        assert error["code"] == -32022
        assert error["data"] == {"supported": list(MODERN_VERSIONS), "requested": "2025-06-18"}


def test_a_legacy_server_does_not_know_discover() -> None:
    with Client("--era", "legacy") as client:
        assert client.ask("server/discover", {"_meta": MODERN})["error"]["code"] == -32601
        assert client.initialize()["result"]["serverInfo"]["name"] == "mcptunnel-demo"
        assert "resultType" not in client.ask("tools/list", {"_meta": MODERN})["result"]


def test_a_page_of_nothing_is_refused() -> None:
    with Client("--page-size", "0") as client:
        assert client.process.wait(ANSWER_S) == 2

"""The clients of the tests: each runs its driver script and gives back what happened."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tests.interop import environments

CLIENTS = Path(__file__).with_name("clients")
TIMEOUT_S = 60.0

_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP", "DESKTOP_SESSION")

Step: TypeAlias = dict[str, Any]
Mode: TypeAlias = Literal["legacy", "auto"]


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a client gets tokens: what it keeps is in `folder`, `browser` is run with a URL as last word.

    Without `refreshes` it registers as one that cannot use refresh tokens (the SDKs alone).
    Programs that open one by themselves have to find `program`, which goes on to where they listen.
    With a `document_url` the client has a document about itself there, and need not register.
    """

    name: str
    folder: Path
    browser: Sequence[str]
    program: Path
    document_url: str | None = None
    refreshes: bool = True

    @property
    def env(self) -> dict[str, str]:
        """The environment of programs that keep things and open browsers, on a machine without a desktop."""
        known = {k: v for k, v in os.environ.items() if k not in _DESKTOP}
        return {
            **known,
            "BROWSER": str(self.program),  # for `xdg-open`
            "HOME": str(self.folder),
            "MCP_REMOTE_CONFIG_DIR": str(self.folder),
        }


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An MCP endpoint, as one server of it is seen there.

    `prefix` is what stands before the names of its tools and prompts, `uris` what its resources and
    templates are called where that is not what it calls them itself.
    """

    url: str
    token: str = ""
    prefix: str = ""
    uris: Mapping[str, str] = field(default_factory=dict)
    sign_in: SignIn | None = None

    def uri(self, own: str, template: str = "") -> str:
        """Return what a resource, or one made of a template, is called here."""
        found = self.uris.get(template or own, template or own)
        return found.removesuffix(template) + own if template else found

    def step(self, step: Step) -> Step:
        """Return a step with the names that things have here."""
        named = dict(step)
        if "name" in step:
            named["name"] = self.prefix + step["name"]
        if "uri" in step:
            named["uri"] = self.uri(step["uri"], step.get("template", ""))
        if "ref" in step:
            named["ref"] = dict(step["ref"])
            if "name" in step["ref"]:
                named["ref"]["name"] = self.prefix + step["ref"]["name"]
            else:
                named["ref"]["uri"] = self.uri(step["ref"]["uri"])
        return named


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a driver; the names are in `clients/scenario.py`."""

    t_s: float
    step: int
    name: str
    fields: dict[str, Any]


class Record:
    """All that one run of a client reported."""

    def __init__(self, lines: str) -> None:
        self.events = [_event(json.loads(line)) for line in lines.splitlines()]

    @property
    def protocol(self) -> str:
        """The version that was negotiated."""
        return str(self.of(-1, "connected")[0].fields["protocol"])

    def of(self, step: int, name: str) -> list[Event]:
        """Return the events of a step with that name."""
        return [event for event in self.events if (event.step, event.name) == (step, name)]

    def last(self, step: int) -> Event:
        """Return how a step ended."""
        return [event for event in self.events if event.step == step][-1]

    def duration_s(self, step: int) -> float:
        """Return the time from the (last) start of a call to its end."""
        return self.last(step).t_s - self.of(step, "started")[-1].t_s

    def result(self, step: int) -> dict[str, Any]:
        """Return the result of a call that must have one."""
        event = self.last(step)
        assert event.name == "result", event
        result: dict[str, Any] = event.fields["result"]
        return result

    def text(self, step: int) -> str:
        """Return the text of a result."""
        parts = self.result(step)["content"]
        return "".join(part["text"] for part in parts if part["type"] == "text")

    def error_text(self, step: int) -> str:
        """Return what a failed call said, as a JSON-RPC error or as a result with isError."""
        event = self.last(step)
        if event.name == "error":
            return str(event.fields["message"])
        assert self.result(step).get("isError"), event
        return self.text(step)

    def all(self, name: str) -> list[Event]:
        """Return the events with that name, whenever they came."""
        return [event for event in self.events if event.name == name]

    def listed(self, step: int, what: str) -> list[dict[str, Any]]:
        """Return what a list step found."""
        assert self.last(step).name == what, self.last(step)
        items: list[dict[str, Any]] = self.last(step).fields["items"]
        return items

    def tools(self, step: int) -> dict[str, dict[str, Any]]:
        """Return the tools that a list step found, by name."""
        return {tool["name"]: tool for tool in self.listed(step, "tools")}


def _event(line: dict[str, Any]) -> Event:
    return Event(line.pop("t"), line.pop("step"), line.pop("event"), line)


@dataclass(frozen=True, slots=True)
class Driver:
    """A client. `argv` makes its environment when first asked, `proxy` the program in front of it.

    `cannot` are features that it does not have even without us in between, and why. `settle_s` is how
    long it takes until it hears of news that it has been asked to listen for.
    """

    name: str
    argv: Callable[[], Sequence[str | Path]]
    mode: Mode
    sdk: int = 2
    proxy: Callable[[Endpoint], Sequence[str | Path]] | None = None
    cannot: Mapping[str, str] = field(default_factory=dict)
    settle_s: float = 0.2

    @property
    def era(self) -> str:
        """The era it speaks to an endpoint that has both."""
        return "modern" if self.mode == "auto" else "legacy"

    def run(self, endpoint: Endpoint, *steps: Step) -> Record:
        """Do the steps in one connection, with the names that the endpoint gives to things.

        Raises AssertionError, with what the client wrote, if it failed as a whole.
        """
        asked = {
            "url": endpoint.url,
            "token": endpoint.token,
            "mode": self.mode,
            "sdk": self.sdk,
            "steps": [self._settled(endpoint.step(step)) for step in steps],
        }
        if endpoint.sign_in is not None:
            asked["sign_in"] = {
                "name": endpoint.sign_in.name,
                "kept": str(endpoint.sign_in.folder / "kept.json"),
                "browser": list(endpoint.sign_in.browser),
                "grants": ["authorization_code", *["refresh_token"] * endpoint.sign_in.refreshes],
                "document_url": endpoint.sign_in.document_url,
            }
        with tempfile.TemporaryDirectory() as folder:
            if self.proxy is not None:
                asked["proxy"] = [str(word) for word in self.proxy(endpoint)]
                bearer = f"Bearer {endpoint.token}"
                asked["env"] = {**os.environ, "BEARER": bearer, "MCP_REMOTE_CONFIG_DIR": folder}
                if endpoint.sign_in is not None:
                    asked["env"] = endpoint.sign_in.env
            done = subprocess.run(
                [str(word) for word in self.argv()],
                input=json.dumps(asked),
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        if done.returncode:
            raise AssertionError(
                f"{self.name} ended with {done.returncode}:\n{done.stderr[-6000:]}"
            )
        record = Record(done.stdout)
        assert record.all("done"), done.stderr[-6000:]
        return record

    def _settled(self, step: Step) -> Step:
        return pause(self.settle_s) if step["do"] == "settle" else step


def _python_1() -> Sequence[str | Path]:
    return environments.python_mcp_1().python, CLIENTS / "python_1.py"


def _python_2() -> Sequence[str | Path]:
    return environments.python_mcp_2().python, CLIENTS / "python_2.py"


def _node() -> Sequence[str | Path]:
    made = environments.node_packages()
    return made.node, CLIENTS / "node.mjs", made.folder


def _mcp_remote(endpoint: Endpoint) -> Sequence[str | Path]:
    made = environments.node_packages()
    header = ("--header", "Authorization:${BEARER}")  # the program puts the variable in
    options = ("--allow-http", "--transport", "http-only", *(header if endpoint.token else ()))
    return made.node, made.package_file("mcp-remote", "dist/proxy.js"), endpoint.url, *options


def _mcp_remote_auto(endpoint: Endpoint) -> Sequence[str | Path]:
    return *_mcp_remote(endpoint), "--protocol", "auto"


DRIVERS = (
    Driver("python-1", _python_1, "legacy"),
    Driver("python-2-legacy", _python_2, "legacy"),
    Driver("python-2-auto", _python_2, "auto"),
    Driver("node-1", _node, "legacy", sdk=1),
    Driver("node-2-legacy", _node, "legacy"),
    Driver("node-2-auto", _node, "auto"),
    Driver("mcp-remote-legacy", _python_1, "legacy", proxy=_mcp_remote),
    Driver(
        "mcp-remote-auto",
        _python_1,
        "auto",
        proxy=_mcp_remote_auto,
        settle_s=3.0,  # it closes its listen, and opens another one after two seconds
        cannot={"cancel": "it answers the cancellation itself, and lets the call run on"},
    ),
)


def list_tools() -> Step:
    """Make a step that lists all tools."""
    return {"do": "list"}


def call(name: str, /, *, cancel_after_s: float | None = None, **arguments: Any) -> Step:
    """Make a step that calls a tool."""
    step: Step = {"do": "call", "name": name, "arguments": arguments}
    return step if cancel_after_s is None else {**step, "cancel_after_s": cancel_after_s}


def pause(seconds: float) -> Step:
    """Make a step that waits."""
    return {"do": "pause", "seconds": seconds}


def settle() -> Step:
    """Make a step that waits until the client listens."""
    return {"do": "settle"}

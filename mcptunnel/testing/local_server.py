"""A local server without a process: what it offers are functions of the test, or wait for the test."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Raw

from mcptunnel.agent.servers.interfaces import LocalCall, Passage, PassageFound
from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.announcement import ServerState, ServerStatus
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import METHOD_NOT_FOUND, JsonRpcError, Notification, Request, Response
from mcptunnel.mcp.listens import ACKNOWLEDGED, LISTEN
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import LATEST_LEGACY, LATEST_MODERN, Era
from mcptunnel.model import Outcome

Tool: TypeAlias = Callable[[Any], str] | None
"""Makes the text of a result out of the arguments; None leaves the answer to the test."""


def text_result(text: str) -> dict[str, Any]:
    """Return the result of a tool that says `text`."""
    return {"resultType": "complete", "content": [{"type": "text", "text": text}]}


Answering: TypeAlias = Callable[[Any], dict[str, Any]] | None
"""Makes a result out of the parameters, which have no `_meta`; None leaves the answer to the test."""

_CAPABILITIES = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resources",
    "completion/complete": "completions",
}


class WaitingCall:
    """A call that the test answers. What it does after the end of the call is passed over.

    `cancelled` is the reason for which the caller gave up, None until then; `paused` is whether the
    caller wants no more for now, which is the test's to heed.
    """

    def __init__(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> None:
        self.request = request
        self.asker = asker
        self.cancelled: str | None = None
        self.paused = False
        self._is_acknowledged = False
        self._receiver: CallReceiver | None = receiver

    @property
    def is_over(self) -> bool:
        return self._receiver is None

    @property
    def arguments(self) -> Any:
        """The arguments of the call, decoded."""
        return jsonrpc.decode(self.request.params.get("arguments", b"null"))

    def answer(self, result: str | dict[str, Any]) -> None:
        """Answer with a result, or with the text of one."""
        value = text_result(result) if isinstance(result, str) else result
        self._end(lambda receiver: receiver.response(Response(self.request.id, jsonrpc.raw(value))))

    def error(self, code: int, message: str) -> None:
        """Answer with a JSON-RPC error."""
        response = JsonRpcError(code, message).response(self.request.id)
        self._end(lambda receiver: receiver.response(response))

    def fail(self, text: str, outcome: Outcome = Outcome.UNKNOWN) -> None:
        """End without an answer, as when the server crashes."""
        self._end(lambda receiver: receiver.call_failed(CallFailure(text, outcome)))

    def progress(self, progress: float, message: str = "") -> None:
        """Tell how far the call is, with the caller's token."""
        token = meta.read(self.request.params).progress_token
        params = {"progressToken": token, "progress": progress, "message": message}
        self.notify("notifications/progress", params)

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification that belongs to the call."""
        if self._receiver is not None:
            encoded = {name: jsonrpc.raw(value) for name, value in params.items()}
            self._receiver.notification(Notification(method, encoded))

    def acknowledge(self, refused: Collection[str] = ()) -> None:
        """Acknowledge a listen, once, with all that it asks for but these URIs."""
        if not self._is_acknowledged:
            self._is_acknowledged = True
            wishes, about = self.wishes, {meta.SUBSCRIPTION_ID: self.request.id}
            if refused and "resourceSubscriptions" in wishes:
                uris = [uri for uri in wishes["resourceSubscriptions"] if uri not in refused]
                wishes["resourceSubscriptions"] = uris
            self.notify(ACKNOWLEDGED, {"notifications": wishes, meta.META: about})

    @property
    def wishes(self) -> Any:
        """What a listen asks for, decoded."""
        return jsonrpc.decode(self.request.params.get("notifications", Raw(b"{}")))

    def cancel(self, reason: str) -> None:
        """Give up on the caller's word (`agent.servers.interfaces.LocalCall`)."""
        if self._receiver is not None:
            self.cancelled = reason
            self._receiver = None

    def pause(self) -> None:
        """Note it: the test says when there is progress."""
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def _end(self, tell: Callable[[CallReceiver], None]) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            tell(receiver)


class MemoryServer:
    """A local server in memory (`agent.servers.interfaces.LocalServer`).

    Calls of tools without a function wait in `calls`, and so do requests for lists while
    `holds_lists` is set. `changed` is called when the status has changed; `passage` is for
    transparent requests of clients of its eras. With `tells` it can be listened to: `listens` are the
    open listens, which `tell` tells of what they asked for, once they are acknowledged with all URIs
    but those `refused`; without `declares` it does not say that it tells of resources. `era` is the
    one that it is said to speak, "" if that is not known. `answers` has everything but tools, by
    method: see `offer_list`; `about` is what `server/discover` tells beside the capabilities that
    follow from it.
    """

    def __init__(
        self,
        name: str,
        tools: Mapping[str, Tool] | None = None,
        *,
        prefix: str | None = None,
        page_size: int = 100,
    ) -> None:
        self.calls: list[WaitingCall] = []
        self.requests: list[Request] = []
        self.listens: list[WaitingCall] = []
        self.tells = True
        self.declares = True
        self.refused: set[str] = set()
        self.era: Era | Literal[""] = Era.MODERN
        self.acknowledges = True
        self.holds_lists = False
        self.changed: Callable[[], None] = lambda: None
        self.passage: Passage | None = None
        self.answers: dict[str, Answering] = {}
        self.about: dict[str, Any] = {}
        self._name = name
        self._tools = dict(tools or {})
        self._prefix = prefix
        self._page_size = page_size
        self._state = ServerState.READY
        self._detail = ""
        self._revision = 1
        self._restarts = 0

    @property
    def status(self) -> ServerStatus:
        return ServerStatus(
            self._name,
            "memory",
            self._state,
            self._revision,
            self._prefix,
            self._detail,
            str(self.era),
            LATEST_LEGACY if self.era == Era.LEGACY else LATEST_MODERN,
            self._restarts,
        )

    def find_passage(self, era: Era, found: PassageFound) -> None:
        """Tell `passage`, if it is for clients of the era."""
        passage = self.passage
        found(passage if passage is not None and era in passage.eras else None)

    def start(self) -> None:
        """Be ready."""
        self.become(ServerState.READY)

    async def stop(self, grace_s: float = 0.0) -> None:
        """Fail all calls."""
        self.become(ServerState.STOPPED)
        for call in self.calls:
            call.fail(f"The server {self._name!r} was stopped.")

    def end_listens(self) -> None:
        """Answer the open listens."""
        for listen in self.listens:
            listen.answer({"resultType": "complete"})

    async def restart(self) -> None:
        """Stop, and be ready again."""
        await self.stop()
        self._restarts += 1
        self.start()

    def offer(self, tools: Mapping[str, Tool]) -> None:
        """Offer other tools from now on."""
        self._tools = dict(tools)
        self.become(self._state)

    def offer_list(self, method: str, member: str, *items: dict[str, Any], **more: Any) -> None:
        """Answer the request for a list with these items from now on; `more` are other members."""
        result = {"resultType": "complete", member: list(items), **more}
        self.answers[method] = lambda _params: result
        self.become(self._state)

    def become(self, state: ServerState, detail: str = "") -> None:
        """Change the state; the tools may have changed as well."""
        self._state, self._detail = state, detail
        self._revision += 1
        self.changed()

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        """Answer now if the answer is known, else let the call wait in `calls`."""
        self.requests.append(request)
        call = WaitingCall(request, receiver, asker)
        if request.method == "tools/list" and not self.holds_lists:
            call.answer(self.page(request.params.get("cursor")))
        elif request.method == "tools/list":
            self.calls.append(call)
        elif request.method == "tools/call":
            self._call_tool(call, jsonrpc.text(request.params.get("name")) or "")
        elif request.method == LISTEN and self.tells:
            self.listens = [*(one for one in self.listens if not one.is_over), call]
            if self.acknowledges:
                call.acknowledge(self.refused)
        elif request.method in self.answers:
            self._answer(call, self.answers[request.method])
        elif request.method == "server/discover":
            call.answer(self._discovered())
        else:
            call.error(METHOD_NOT_FOUND, f"Method not found: {request.method}")
        return call

    def tell(self, method: str, **params: Any) -> None:
        """Tell all who listen, whatever they asked for."""
        for listen in self.listens:
            about = {meta.SUBSCRIPTION_ID: listen.request.id}
            listen.notify(method, {**params, meta.META: about})

    def acknowledge(self) -> None:
        """Acknowledge every listen that is not yet."""
        for listen in self.listens:
            listen.acknowledge(self.refused)

    def page(self, cursor: Raw | None = None) -> dict[str, Any]:
        """Return the page of the list of tools at a cursor."""
        start = int(jsonrpc.text(cursor) or "0")
        end = start + self._page_size
        listed = [
            {"name": name, "description": f"Tool {name}.", "inputSchema": {"type": "object"}}
            for name in list(self._tools)[start:end]
        ]
        more = {"nextCursor": str(end)} if end < len(self._tools) else {}
        return {"resultType": "complete", "tools": listed, **more}

    def _discovered(self) -> dict[str, Any]:
        offered = {"tools/list", *self.answers} & _CAPABILITIES.keys()
        capabilities = {_CAPABILITIES[method]: {"listChanged": True} for method in offered}
        if self.tells and self.declares and "resources" in capabilities:
            capabilities["resources"]["subscribe"] = True
        return {
            "resultType": "complete",
            "supportedVersions": [LATEST_MODERN],
            "capabilities": capabilities,
            **self.about,
        }

    def _answer(self, call: WaitingCall, answering: Answering) -> None:
        if answering is None:
            self.calls.append(call)
            return
        encoded = {k: v for k, v in call.request.params.items() if k != meta.META}
        try:
            call.answer(answering({name: jsonrpc.decode(value) for name, value in encoded.items()}))
        except JsonRpcError as error:
            call.error(error.code, error.message)

    def _call_tool(self, call: WaitingCall, name: str) -> None:
        if name not in self._tools:
            call.error(jsonrpc.INVALID_PARAMS, f"Unknown tool: {name}")
            return
        tool = self._tools[name]
        if tool is None:
            self.calls.append(call)
        else:
            call.answer(tool(call.arguments))

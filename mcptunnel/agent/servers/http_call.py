"""What is asked of one local Streamable HTTP server: each request is a POST with a stream of its own."""

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mcptunnel.agent.servers.http_handshake import Agreed
from mcptunnel.agent.servers.http_one_way import MAX_WAITING, OneWayPosts
from mcptunnel.agent.servers.http_post import Post
from mcptunnel.agent.servers.http_stream import EventStream
from mcptunnel.agent.servers.http_talk import Ended, Told
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Message, Request, Response
from mcptunnel.mcp.param_headers import Annotation, header_fields, read_list
from mcptunnel.mcp.server_half import actions as core
from mcptunnel.mcp.server_half import http as rules
from mcptunnel.mcp.server_half.calls import OpenCalls as OwnIds
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.conversation import Conversation
from mcptunnel.mcp.server_half.handshake import shown
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.model import Headers, Outcome, ResponseHead
from mcptunnel.net.errors import printable
from mcptunnel.net.http1 import Client, RequestError, RequestFailed

LISTEN_AGAIN_S: Final = 1.0
LISTEN_AGAIN_LONGEST_S: Final = 60.0
"""How long until a listen whose stream broke is asked for again, twice as long each time."""

# Statuses of a bad moment: how to talk to the server is still the same.
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

# What servers of the official SDKs say of an unknown session, with 400 where 404 is meant.
_UNKNOWN_SESSION: Final = -32000


@dataclass(slots=True)
class _Asked:
    """A POST under way, and the caller's request in it, if it has one."""

    post: Post
    request: Request | None


class Calls:
    """Makes calls as one `Agreed` says.

    After `retire` the calls under way go on, and nothing else.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        client: Client,
        headers: Headers,
        agreed: Agreed,
        context: ServerContext,
        told: Told,
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._headers = headers
        self.agreed = agreed
        self._told = told
        self._pongs = OneWayPosts(reactor, client)
        self._one_way = OneWayPosts(reactor, client, max_waiting=MAX_WAITING)
        self._ids = OwnIds()
        self._ids.new_id()  # `initialize` and the probe had the first one
        self._actions: list[core.Action] = []
        self._conversation = Conversation(
            agreed.info, self._ids, context, self._actions.append, streams=True
        )
        self._asked: dict[int, _Asked] = {}
        self._request: Request | None = None
        self._annotated: dict[str, tuple[Annotation, ...]] = {}
        self._again: dict[int, IDelayedCall] = {}
        self._again_s = LISTEN_AGAIN_S
        self._is_retired = False
        self._stream: EventStream | None = None

    @property
    def parked_count(self) -> int:
        """How many calls wait for answers of their clients."""
        return self._ids.parked_count

    def begin(self) -> None:
        """Ask for what those who listen want, and hear what belongs to no call; once, at first."""
        session = self.agreed.session
        if session is not None:
            self._stream = EventStream(
                self._reactor,
                self._client,
                (*self._headers, *rules.session_headers(session)),
                message=lambda message: self._take(message, None),
                lost=self._told.session_over,
            )
            self._stream.open()
        self._conversation.begin()
        self._perform()

    def retire(self) -> None:
        """Listen no more: another conversation with the server does."""
        self._is_retired = True
        self._conversation.retire()
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        for again in self._again.values():
            again.cancel()
        self._again.clear()
        for own, asked in list(self._asked.items()):
            if asked.request is None:
                del self._asked[own]
                asked.post.abort()

    def call(self, key: int, request: Request, asker: Asker = NOBODY) -> None:
        """Ask a modern request of the server."""
        before, self._request = self._request, request  # a caller may call again when it hears
        self._conversation.call(key, request, asker, now_s=self._reactor.seconds())
        self._perform()
        self._request = before

    def cancel(self, key: int, reason: str) -> None:
        """Give up a call: by closing its stream, and in a legacy session by saying so first."""
        self._conversation.cancel(key, reason)
        self._perform()

    def tick(self, now_s: float) -> None:
        """Let time pass; about once a second."""
        self._conversation.tick(now_s)
        self._perform()

    def pause(self, key: int) -> None:
        """Read no more of the response to a call."""
        asked = self._of_key(key)
        if asked is not None:
            asked.post.pause()

    def resume(self, key: int) -> None:
        """Read again."""
        asked = self._of_key(key)
        if asked is not None:
            asked.post.resume()

    def _of_key(self, key: int) -> _Asked | None:
        call = self._ids.of_key(key)
        return None if call is None else self._asked.get(call.own)

    # What the conversation wants done.

    def _perform(self) -> None:
        while self._actions:
            actions = list(self._actions)
            self._actions.clear()
            for action in actions:
                self._do(action)

    def _do(self, action: core.Action) -> None:
        match action:
            case core.Write(line=line, own=int(own)):
                self._ask(own, line)
            case core.Write():
                self._tell(action)
            case core.Dropped():
                asked = self._asked.pop(action.own, None)
                if asked is not None:
                    asked.post.abort()
            case core.Deliver():
                self._told.deliver(action)
            case core.Lost() if self._request is not None:
                detail = "began a new session while the call waited for answers of its client"
                self._told.ended(Ended(action.key, self._request, detail, action.outcome))
            case core.ListsChanged() if not self._is_retired:
                self._told.lists_changed()

    def _tell(self, action: core.Write) -> None:
        """POST what has no answer that matters."""
        session = self.agreed.session
        if session is None:
            return
        fields = (*self._headers, *rules.legacy_headers(session))
        try:
            (self._pongs if action.is_reply else self._one_way).post(fields, action.line)
        except RequestError:
            return  # the client is closed, and with it the session

    def _ask(self, own: int, line: bytes) -> None:
        """POST a request: the caller's, or a listen."""
        call = self._ids.get(own)
        request = self._request if call is not None else None
        session = self.agreed.session
        resuming: Headers | None = None
        if session is not None:
            resuming = (*self._headers, *rules.session_headers(session))
        post = Post(
            self._reactor,
            self._client,
            resuming,
            lambda message: self._message(own, message),
            lambda head, rest, failure: self._over(own, head, rest, failure),
        )
        try:
            post.send(self._fields(request or _listen(line)), line)
        except JsonRpcError as error:
            self._take(error.response(own), own)
        except RequestError as error:
            key = self._conversation.lost(own) if request is not None else None
            if key is not None and request is not None:
                detail = f"cannot be asked: {error}"
                self._told.ended(Ended(key, request, detail, Outcome.NOT_DELIVERED))
        else:
            self._asked[own] = _Asked(post, request)

    def _fields(self, request: Request) -> Headers:
        session = self.agreed.session
        if session is not None:
            return (*self._headers, *rules.legacy_headers(session))
        fields = (*self._headers, *rules.modern_headers(request, self.agreed.info))
        if request.method != "tools/call" or not self._annotated:
            return fields
        annotated = self._annotated.get(jsonrpc.text(request.params.get("name")) or "", ())
        return (*fields, *header_fields(annotated, request.params.get("arguments")))

    # What the server says.

    def _take(self, message: Message, origin: int | None) -> None:
        self._conversation.received(message, self._reactor.seconds(), origin)
        self._perform()

    def _message(self, own: int, message: Message) -> None:
        if isinstance(message, Response):
            asked = self._asked.get(own)
            if message.id == own and asked is not None:
                del self._asked[own]
                asked.post.finish()
                if asked.request is not None and self._wants_headers(message, asked.request):
                    self._list_first(own, asked.request)
                    return
                message = self._learned(message, asked.request)
        elif own in self._asked and self._asked[own].request is None:
            self._again_s = LISTEN_AGAIN_S  # the listen is a good one
        self._take(message, own)

    def _wants_headers(self, response: Response, request: Request) -> bool:
        """Say whether the server refused a call for headers that nobody has told us of."""
        if response.error is None or self.agreed.session is not None:
            return False
        if request.method != "tools/call":
            return False
        error = jsonrpc.error_of(response)
        is_known = (jsonrpc.text(request.params.get("name")) or "") in self._annotated
        return error is not None and error.code == jsonrpc.HEADER_MISMATCH and not is_known

    def _list_first(self, own: int, request: Request) -> None:
        key = self._conversation.lost(own)
        if key is not None:
            detail = "wants headers with the call that its list of tools does not tell"
            ended = Ended(key, request, detail, Outcome.NOT_DELIVERED, list_first=True)
            self._told.ended(ended)

    def _learned(self, response: Response, request: Request | None) -> Response:
        """Learn which headers a modern server wants, and leave out tools that cannot be called."""
        listing = request is not None and request.method == "tools/list"
        if not listing or self.agreed.session is not None or response.result is None:
            return response
        listed = read_list(response.result)
        self._annotated.update(listed.annotated)
        for name in listed.dropped:
            self._log.warn(
                "the tool {tool} is left out: its x-mcp-header annotations are invalid",
                tool=printable(name),
            )
        return Response(response.id, listed.result)

    def _over(
        self, own: int, head: ResponseHead | None, rest: bytes, failure: RequestFailed | None
    ) -> None:
        """The response ended; if the request was not answered in it, it never will be."""
        status = 0 if head is None else head.status
        answer = None if failure is not None else _response(rest)
        session_lost = failure is None and self._is_session_lost(status, answer)
        if answer is not None and not session_lost:
            self._message(own, answer)
        asked = self._asked.pop(own, None)
        if asked is None:
            return
        if asked.request is None:
            self._listen_again(own, failure)
            return
        key = self._conversation.lost(own, may_run=_may_run(status, failure))
        if key is not None:
            ended = _ended(key, asked.request, status, answer, failure)
            if session_lost:
                ended = replace(ended, outcome=Outcome.NOT_DELIVERED, session_lost=True)
            self._told.ended(ended)

    def _listen_again(self, own: int, failure: RequestFailed | None) -> None:
        """Ask for a listen again whose stream broke, if nothing else is wrong."""
        if self._is_retired:
            return
        if failure is not None and not failure.may_have_run:
            self._told.session_over()
            return

        def again() -> None:
            del self._again[own]
            self._conversation.lost(own)
            self._perform()

        delay_s, self._again_s = self._again_s, min(2 * self._again_s, LISTEN_AGAIN_LONGEST_S)
        self._again[own] = self._reactor.callLater(delay_s, again)

    def _is_session_lost(self, status: int, answer: Response | None) -> bool:
        if self.agreed.session is None:
            return False
        if status == HTTPStatus.BAD_REQUEST and answer is not None:
            error = jsonrpc.error_of(answer)
            return error is not None and error.code == _UNKNOWN_SESSION
        return status == HTTPStatus.NOT_FOUND


def _ended(
    key: int,
    request: Request,
    status: int,
    answer: Response | None,
    failure: RequestFailed | None,
) -> Ended:
    """Say why a response was no answer."""
    if failure is not None:
        ran = failure.may_have_run
        detail = f"{'gave no whole answer' if ran else 'cannot be reached'}: {failure.text}"
        outcome = Outcome.UNKNOWN if ran else Outcome.NOT_DELIVERED
        return Ended(key, request, detail, outcome, ask_again=True)
    error = None if answer is None else jsonrpc.error_of(answer)
    said = "" if error is None else f" ({shown(error.message)})"
    detail = f"answered with HTTP {status} and no result{said}"
    ask_again = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING
    return Ended(key, request, detail, Outcome.UNKNOWN, ask_again)


def _may_run(status: int, failure: RequestFailed | None) -> bool:
    """Say whether the server may work on a request that it gave no result for."""
    if failure is not None:
        return failure.may_have_run
    return not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR


def _listen(line: bytes) -> Request:
    """Read a request of our own again, for its head."""
    message = jsonrpc.parse(line)
    if not isinstance(message, Request):
        raise TypeError(message)
    return message


def _response(body: bytes) -> Response | None:
    """Read a body that should be the answer; None if it is something else."""
    try:
        message = jsonrpc.parse(body)
    except JsonRpcError:
        return None
    return message if isinstance(message, Response) else None

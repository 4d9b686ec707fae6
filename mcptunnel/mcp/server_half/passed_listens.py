"""Listens on a modern server: each is asked of it under an id of ours, and told apart by that.

The end of a client's listen is the client's affair. The agent's own, by which it follows the server's
lists, is asked for again.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.jsonrpc import (
    METHOD_NOT_FOUND,
    JsonRpcError,
    Members,
    Notification,
    Request,
    RequestId,
    Response,
)
from mcptunnel.mcp.server_half.actions import Action, Deliver, ListsChanged, Write
from mcptunnel.mcp.server_half.emulated_listens import told_by
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.server_half.listens import (
    ACKNOWLEDGED,
    KIND_OF,
    LISTEN,
    OWN_KEY,
    Listen,
    Listens,
    own_request,
)

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Until the agent's own listen is asked for again, twice as long each time that it does not last."""

_own_id = msgspec.json.Decoder(int)


class PassedListens:
    """The listens of one conversation with a modern server."""

    def __init__(
        self,
        listens: Listens,
        info: ServerInfo,
        new_id: Callable[[], int],
        emit: Callable[[Action], None],
    ) -> None:
        self._listens = listens
        self._kinds = told_by(info).kinds
        self._version = info.version
        self._new_id = new_id
        self._emit = emit
        self._by_own: dict[RequestId | None, Listen] = {}
        self._now_s = 0.0
        self._heard_s: float | None = None  # since when the agent's own listen is acknowledged
        self._wait_s = FIRST_WAIT_S
        self._again_s: float | None = None
        self._was_deaf = False

    def resume(self) -> None:
        """Ask a fresh server for all listens; its lists may be others than before."""
        if self._kinds:
            self._follow()
        for listen in self._listens:
            if listen.key != OWN_KEY:
                self._again(listen)

    def tick(self, now_s: float) -> None:
        """Let time pass: the agent's own listen, which the server has ended, is asked for again."""
        self._now_s = now_s
        if self._again_s is not None and now_s >= self._again_s:
            self._again_s = None
            self._follow()

    def retire(self) -> None:
        """Ask for nothing again: another conversation with the server does."""
        self._again_s = None

    def opened(self, listen: Listen) -> None:
        """Ask the server; it acknowledges."""
        own = listen.own = self._new_id()
        self._by_own[own] = listen
        line = jsonrpc.encode(Request(own, LISTEN, listen.params))
        self._emit(Write(line, own))

    def closed(self, listen: Listen) -> int | None:
        """Forget a listen and return our id of it, for the server to be told."""
        own, listen.own = listen.own, None
        if own is not None:
            self._by_own.pop(own, None)
        return own

    def broken(self, own: int) -> bool:
        """Ask again for a listen whose stream has ended without a result; False if it is none."""
        listen = self._by_own.pop(own, None)
        if listen is None:
            return False
        self._again(listen)
        return True

    def notified(self, notification: Notification) -> bool:
        """Pass a notification on to the one listen that it names; False if it names none."""
        listen = self._named(notification.params)
        if listen is None:
            return False
        method = notification.method
        if listen.key == OWN_KEY:
            self._told(method)
        elif method != ACKNOWLEDGED:
            self._emit(listen.tagged(method, notification.params))
        elif not listen.acknowledged:
            listen.acknowledged = True
            self._emit(listen.tagged(method, notification.params))
        return True

    def answered(self, response: Response) -> bool:
        """End the listen that a response answers; False if it answers none."""
        listen = self._by_own.pop(response.id, None)
        if listen is None:
            return False
        self._listens.pop(listen.key)
        if listen.key == OWN_KEY:
            self._follow_later(jsonrpc.error_of(response))
        else:
            self._emit(_ended(listen, response))
        return True

    def follows_lists(self) -> bool:
        """Say whether the server tells the agent itself when lists change."""
        return OWN_KEY in self._listens

    def _follow(self) -> None:
        about = meta.modern_meta(version=self._version)
        self.opened(self._listens.add(OWN_KEY, own_request(about)))

    def _told(self, method: str) -> None:
        """Take what came for the agent; after a while without a listen all may be different."""
        if method == ACKNOWLEDGED:
            self._heard_s = self._now_s
            if not self._was_deaf:
                return
            self._was_deaf = False
        elif method not in KIND_OF:
            return
        self._emit(ListsChanged())

    def _follow_later(self, error: JsonRpcError | None) -> None:
        """Ask for the agent's own listen again, but not a server that knows none."""
        if error is not None and error.code == METHOD_NOT_FOUND:
            return
        if self._heard_s is not None and self._now_s - self._heard_s >= self._wait_s:
            self._wait_s = FIRST_WAIT_S  # it lasted
        self._again_s, self._was_deaf = self._now_s + self._wait_s, True
        self._heard_s = None
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def _again(self, listen: Listen) -> None:
        was_heard = listen.acknowledged
        self._was_deaf = self._was_deaf or listen.key == OWN_KEY
        self.opened(listen)
        if was_heard:
            for kind in sorted(listen.kinds & self._kinds):
                self._emit(listen.changed(kind))

    def _named(self, params: Members) -> Listen | None:
        try:
            about = jsonrpc.members(params.get(meta.META))
            return self._by_own.get(_own_id.decode(about.get(meta.SUBSCRIPTION_ID, b"")))
        except (JsonRpcError, msgspec.MsgspecError):
            return None


def _ended(listen: Listen, response: Response) -> Deliver:
    """Return the end of a listen as the server said it, under the listener's own id."""
    if response.result is None:
        return Deliver(listen.key, Response(listen.request_id, error=response.error))
    try:
        result = jsonrpc.members(response.result)
        about = jsonrpc.members(result.get(meta.META))
    except JsonRpcError:
        return listen.end()
    about[meta.SUBSCRIPTION_ID] = jsonrpc.raw(listen.request_id)
    result[meta.META] = jsonrpc.raw(about)
    return Deliver(listen.key, Response(listen.request_id, jsonrpc.raw(result)))

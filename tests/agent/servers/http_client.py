"""An HTTP client of the test's: what was asked of it, and responses piece by piece."""

import json
from typing import Any, cast

from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1 import Client, RequestError, RequestFailed, ResponseReceiver

EVENTS = (("content-type", "text/event-stream"),)


class Asked:
    """One request under way (`net.http1.Call`)."""

    def __init__(
        self, method: str, path: str, headers: Headers, body: bytes, receiver: ResponseReceiver
    ) -> None:
        self.method, self.path = method, path
        self.fields = dict(headers)
        self.body = body
        self.receiver = receiver
        self.aborted = False
        self.pauses: list[str] = []

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    def pause(self) -> None:
        self.pauses.append("pause")

    def resume(self) -> None:
        self.pauses.append("resume")

    def abort(self) -> None:
        self.aborted = True

    def head(self, status: int = 200, headers: Headers = EVENTS) -> None:
        self.receiver.head_received(ResponseHead(status, headers))

    def event(self, message: object = None, **fields: object) -> None:
        """Send an event; without a message one that has no data."""
        more = "".join(f"{name}: {value}\n" for name, value in fields.items())
        data = "" if message is None else f" {json.dumps(message)}"
        self.receiver.data_received(f"{more}data:{data}\n\n".encode())

    def end(self) -> None:
        self.receiver.ended()

    def status(self, status: int) -> None:
        """Answer with nothing but a status."""
        self.head(status, ())
        self.end()

    def fail(self, text: str = "it broke", *, may_have_run: bool = True) -> None:
        self.receiver.failed(RequestFailed(text, may_have_run))


class FakeClient:
    """Stands in for `net.http1.Client`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.refusal = ""
        self.is_closed = False

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    @property
    def as_client(self) -> Client:
        return cast("Client", self)

    def request(
        self, method: str, path: str, headers: Headers, body: bytes, receiver: ResponseReceiver
    ) -> Asked:
        if self.refusal:
            raise RequestError(self.refusal)
        self.asked.append(Asked(method, path, headers, body, receiver))
        return self.last

    async def close(self) -> None:
        self.is_closed = True

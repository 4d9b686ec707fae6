"""A relay's site with a device whose server `web` is HTTP in memory, and clients of single servers."""

from collections.abc import Mapping

from mcptunnel.testing.local_server import MemoryServer
from tests.agent.local_http import Asked, LocalHttp
from tests.relay.web.site import HOST, Connection, MemorySite, head_of

PATH = "/servers/web/mcp"


class TransparentSite(MemorySite):
    """`local` is the server `web` of alice's `laptop`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.local = LocalHttp()
        server = MemoryServer("web")
        server.passage = self.local.passage
        self.agent = self.joined.agent(server)
        self.token = self.key()

    @property
    def last(self) -> Asked:
        return self.local.last

    def begin(
        self,
        method: str = "POST",
        path: str = PATH,
        body: bytes = b"",
        fields: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Connection:
        """Send a request; without fields about its framing, the body's length is stated."""
        fields = dict(fields or {})
        if not {"content-length", "transfer-encoding"} & set(fields):
            fields["content-length"] = str(len(body))
        connection = self.connection()
        bearer = {"host": HOST, "authorization": f"Bearer {token or self.token}"}
        connection.send(head_of(method, path, {**bearer, **fields}) + body)
        return connection

    def settle(self) -> None:
        self.joined.settle()

"""A small web site that shows every sample page, and says what was posted to it.

    python -m tests.pages.site PORT

`/sample/NAME` is a page. A post answers with a page that names the path and the fields, except that the
consent to `to:URL` redirects there, and to `via:URL` by way of a second redirect. `/consent-to?request=…`
shows such a page, with the `form_action` source that the query names, if any.
"""

import json
import sys
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, quote

from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from mcptunnel.relay.web.answers import send_body
from mcptunnel.relay.web.pages.assets import Assets
from mcptunnel.relay.web.pages.kinds import MessagePage
from mcptunnel.relay.web.pages.messages import message_for
from mcptunnel.relay.web.pages.render import Pages
from tests.relay.web.pages.samples import LOCAL, ORIGIN, PAGES, consent

POSTED: Final = "Posted"


class SamplePage(Resource):
    """One sample, by the name in the path."""

    isLeaf = True

    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self._pages = pages

    def render(self, request: Request) -> int:
        page = PAGES.get(b"/".join(request.postpath or ()).decode())
        return self._pages.send(request, 200 if page else 404, page or message_for(404))


class ConsentTo(SamplePage):
    """A consent page whose answer leads somewhere else."""

    def render(self, request: Request) -> int:
        query = parse_qs(request.uri.partition(b"?")[2].decode())
        page = replace(consent(LOCAL), request_id=query["request"][0])
        sources = query.get("source", [])
        return self._pages.send(request, 200, page, form_action=sources)


class Posted(SamplePage):
    """Every other path: where forms are posted to."""

    def render(self, request: Request) -> int:
        content: Any = request.content
        fields = parse_qs(content.read().decode(), keep_blank_values=True)
        wanted = fields.get("request", [""])[0]
        if request.path == b"/via":
            return self._redirect(request, request.uri.decode().partition("?")[2])
        if wanted.startswith("to:"):
            return self._redirect(request, wanted.removeprefix("to:"))
        if wanted.startswith("via:"):
            return self._redirect(request, f"/via?{quote(wanted.removeprefix('via:'), safe=':/')}")
        said = {"path": request.path.decode(), **{name: one[0] for name, one in fields.items()}}
        happened = json.dumps(said, ensure_ascii=False)
        return self._pages.send(request, 200, MessagePage(title=POSTED, happened=happened))

    @staticmethod
    def _redirect(request: Request, url: str) -> int:
        return send_body(request, 303, b"", headers={b"location": url.encode()})


class Root(Resource):
    def __init__(self, pages: Pages) -> None:
        super().__init__()
        self.putChild(b"sample", SamplePage(pages))
        self.putChild(b"consent-to", ConsentTo(pages))
        self.putChild(b"assets", Assets())
        self._posted = Posted(pages)

    def getChild(self, path: bytes, request: Request) -> Resource:
        return self._posted


def main() -> None:
    from twisted.internet import reactor as installed  # noqa: PLC0415 - this is a program

    reactor: Any = installed
    port = int(sys.argv[1])
    root = Root(Pages(ORIGIN))
    reactor.listenTCP(port, Site(root), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()

"""A person with a browser: follows where a sign-in leads, fills in the pages of provider and relay.

As a program it is what a client opens in place of a browser:

    python -m tests.interop.walker --user alice [--answer deny] --record FILE [--fetch] URL

With several answers each walk of the record has its own, and the last one is that of all further. It prints where the client's answer went; with --fetch it goes there, too. Each walk is a JSON line of
the record. Run by the standard library alone, since clients start it often.
"""

import argparse
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from email.message import Message
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

PAGE_TIMEOUT_S = 30.0
MAX_PAGES = 20
POLL_S = 0.05

_TAG = re.compile(r"<[^>]*>")
_HIDDEN = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Walk:
    """What was asked for, the pages that were filled in, where the browser ended, and the consent's text."""

    asked: Mapping[str, str]
    pages: tuple[str, ...]
    location: str
    consent: str = ""

    @property
    def came(self) -> dict[str, str]:
        """The parameters of the answer."""
        return dict(parse_qsl(urlsplit(self.location).query, keep_blank_values=True))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        return None


class Walker:
    """One person's browser, which keeps its cookies."""

    def __init__(self, user: str, *, decision: str = "allow") -> None:
        self._user = user
        self._decision = decision
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar()),
            urllib.request.ProxyHandler({}),
            _NoRedirect,
        )

    def go(self, url: str) -> Walk:
        """Walk from an authorization request to its `redirect_uri`, which is not opened."""
        asked = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        pages: list[str] = []
        consent = ""
        for _ in range(MAX_PAGES):
            if url.startswith(asked["redirect_uri"]):
                return Walk(asked, tuple(pages), url, consent)
            status, location, page = self.open(url)
            if status == 200:
                url, form = self._filled_in(url, page)
                pages.append(urlsplit(url).path)
                consent = _text_of(page)  # the last page is always that one
                status, location, page = self.open(url, form)
            if not location:
                raise AssertionError(f"{url} answered {status}: {page}")
            url = urljoin(url, location)
        raise AssertionError("The browser is sent around in circles.")

    def _filled_in(self, url: str, page: str) -> tuple[str, Mapping[str, str]]:
        """Return where the answer to a page goes, and the answer."""
        form = page.partition('action="/consent"')
        if not form[1]:  # of the provider, whose pages have no form
            return url, {"user": self._user}
        fields = {name: unescape(value) for name, value in _HIDDEN.findall(form[2])}
        return urljoin(url, "/consent"), {**fields, "decision": self._decision}

    def open(self, url: str, form: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, Location and text of a page."""
        body = None if form is None else urlencode(form).encode()
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        request = urllib.request.Request(url, body, {} if body is None else {"Origin": origin})
        try:
            with self._opener.open(request, timeout=PAGE_TIMEOUT_S) as got:
                return got.status, "", got.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Location", ""), error.read().decode()


def _text_of(page: str) -> str:
    return " ".join(unescape(_TAG.sub(" ", page)).split())


def _arrive(walker: Walker, url: str) -> None:
    """Open the client's own page, as soon as it listens there: a person would not have been so quick."""
    deadline = time.monotonic() + PAGE_TIMEOUT_S
    while True:
        try:
            walker.open(url)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
        else:
            return


def read_walks(record: Path) -> list[Walk]:
    """Return the walks of a record."""
    if not record.exists():
        return []
    found = [json.loads(line) for line in record.read_text().splitlines()]
    return [Walk(**{**each, "pages": tuple(each["pages"])}) for each in found]


def _answer_now(answers: Sequence[str], record: Path) -> str:
    return answers[min(len(read_walks(record)), len(answers) - 1)] if answers else "allow"


def main() -> None:
    """Walk once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", required=True)
    parser.add_argument("--answer", action="append", default=[])
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("url")
    words = parser.parse_args()
    walker = Walker(words.user, decision=_answer_now(words.answer, words.record))
    walk = walker.go(words.url)
    with words.record.open("a") as record:
        record.write(json.dumps(asdict(walk)) + "\n")
    if words.fetch:
        _arrive(walker, walk.location)
    print(walk.location)  # noqa: T201 - a command


if __name__ == "__main__":
    main()

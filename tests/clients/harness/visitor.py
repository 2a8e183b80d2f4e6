"""The console's pages, as somebody who is signed in reads them without a browser."""

import urllib.parse
import urllib.request
from collections.abc import Callable
from html.parser import HTMLParser
from http.cookiejar import CookieJar

from .gateway import PASSWORD


class Texts(HTMLParser):
    """What a page shows to be copied, by its label."""

    def __init__(self, page: str):
        super().__init__()
        self.texts: dict[str, str] = {}
        self.label: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self.label = dict(attrs)["aria-label"] or ""
            self.texts[self.label] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self.label = None

    def handle_data(self, data: str) -> None:
        if self.label is not None:
            self.texts[self.label] += data


def visitor(url: str, name: str) -> Callable[[str], str]:
    """Reads pages of the console at `url` as `name`."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
    )
    form = urllib.parse.urlencode({"username": name, "password": PASSWORD}).encode()
    with opener.open(urllib.request.Request(f"{url}/sign-in", form, {"Origin": url}), timeout=30) as answer:
        assert answer.status == 200

    def read(path: str) -> str:
        with opener.open(url + path, timeout=30) as answer:
            return answer.read().decode()

    return read

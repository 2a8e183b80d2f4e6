"""Every page with 10,000 access requests and 1,000 people in the store, asked of the executable as it is shipped.

What a page reads is counted in tests/it/pages/scale.rs, which also fills the store here. This is its time and weight.
"""

import http.client
import os
import re
import subprocess
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from browsing.places import PLACES, Scene
from browsing.site import Site
from harness.paths import CSG, REPOSITORY

LIMIT_SECONDS = 0.020
LIMIT_BYTES = 100_000
# The machine has other things to do, too: the shortest of these counts.
TRIES = 15
# A build that is not optimised is several times slower.
OPTIMISED = "debug" not in CSG.parts


@pytest.fixture(scope="module")
def full(make_gateway: Callable) -> Scene:
    site = Site(make_gateway({}))
    for name in sorted({place.who for place in PLACES if place.who} - set(site.people)):
        site.add_person(name)
    scene = Scene(site)
    assert site.gateway.stop() == 0
    filler = "pages::scale::fill_a_data_directory"
    command = ["cargo", "test", "--locked", "--test", "it", filler, "--", "--ignored", "--exact"]
    variables = {**os.environ, "CSG_FILL": str(site.gateway.folder / "data")}
    filled = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    assert filled.returncode == 0 and "1 passed" in filled.stdout, filled.stdout[-2000:] + filled.stderr[-2000:]
    site.gateway.start()
    assert len(site.admin.get("/users?limit=1000")["items"]) == 1000
    return scene


class Asker:
    """Over one connection, as a browser keeps it."""

    def __init__(self, scene: Scene, who: str | None):
        self.address = urlsplit(scene.site.url).netloc
        self.headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
        if who:
            self.headers["Cookie"] = f"csg_session={scene.site.session(who)}"
        self.connection = http.client.HTTPConnection(self.address, timeout=30)

    def get(self, path: str) -> tuple[int, bytes, float]:
        """The status, the body as it was transferred, and the seconds until all of it was there."""
        began = time.perf_counter()
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        return answer.status, body, time.perf_counter() - began

    def text(self, path: str) -> str:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request(
            "GET", path, headers={key: self.headers[key] for key in self.headers if key != "Accept-Encoding"}
        )
        return connection.getresponse().read().decode()


def test_every_page_is_quick_light_and_readable_at_once(full: Scene, say: Callable[[str], None]):
    slow, heavy, figures = [], [], []
    for place in (place for place in PLACES if isinstance(place.where, str)):
        asker, path = Asker(full, place.who), place.where.format(**full.ids)
        answers = [asker.get(path) for _ in range(TRIES)]
        status, body, _ = answers[0]
        assert status == (404 if path == "/nothing/here" else 200 if path != "/setup" else status), f"{place}: {status}"
        seconds = min(seconds for _, _, seconds in answers)
        html = asker.text(path)
        assets = readable_at_once(asker, html)
        weight = len(body) + sum(len(asker.get(asset)[1]) for asset in assets)
        figures.append((seconds, weight, str(place)))
        slow += [(place, seconds)] if seconds >= LIMIT_SECONDS else []
        heavy += [(place, weight)] if weight > LIMIT_BYTES else []
    for seconds, weight, place in sorted(figures, reverse=True):
        say(f"{seconds * 1000:6.2f} ms {weight / 1024:6.1f} KiB  {place}")
    assert not heavy, heavy
    if OPTIMISED:
        assert not slow, slow


def readable_at_once(asker: Asker, html: str) -> set[str]:
    """What a page names besides: one round trip of sheets and scripts, side by side, that name nothing themselves. The
    text is in the page already, and no script holds it up."""
    assert re.search(r"<h1[ >]", html) and "<main" in html
    sheets = set(re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="([^"]+)"', html))
    scripts = re.findall(r"<script[^>]*>", html)
    assert len(sheets) in (1, 2), sheets
    for sheet in sheets:
        style = asker.text(sheet)
        assert "@import" not in style and "@font-face" not in style and "url(" not in style, sheet
    assert all('type="module"' in script for script in scripts), scripts
    modules = {source for script in scripts for source in re.findall(r'src="([^"]+)"', script)}
    assert not any(re.search(r"^\s*import\b", asker.text(module), re.MULTILINE) for module in modules), modules
    icons = set(re.findall(r'<link[^>]+rel="icon"[^>]+href="([^"]+)"', html))
    return sheets | modules | icons

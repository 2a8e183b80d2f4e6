"""What every page is held to besides: its weight, how much has to be fetched, and what it tells the browser to beware of."""

import re
from collections.abc import Callable

import pytest

from browsing.headers import wrong_headers
from browsing.places import PLACES, Place, Scene

LIMIT_BYTES = 100_000


@pytest.mark.parametrize("place", [place for place in PLACES if isinstance(place.where, str)], ids=str)
def test_it_is_light_and_guarded(place: Place, scene: Scene, browse: Callable):
    fresh = browse(scene.site.url)
    fresh.is_signed_in(scene.site, place.who)
    answers: list = []
    fresh.page.on("response", lambda answer: answers.append(answer))
    document = fresh.visit(place.where.format(**scene.ids))
    fresh.page.wait_for_load_state("load")
    loaded = [answer for answer in answers if "/live" not in answer.url and answer.status not in (301, 302, 303)]
    weight = sum(answer.request.sizes()["responseBodySize"] for answer in loaded)
    assert weight <= LIMIT_BYTES, f"{weight} bytes: {[answer.url for answer in loaded]}"
    # What makes it readable is in the first answer; what that names is all that is fetched.
    assert len(loaded) <= 4, [answer.url for answer in loaded]
    html = document.text()
    assert "<h1" in html and fresh.heading().split()[0] in html

    assert wrong_headers(document.headers) == []
    # Two sheets and scripts of its own at most; nothing inline.
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?! type=\"module\" src=\"/assets/)", html)

"""Everybody can use every page: axe-core's rules in both themes and two widths, no scrolling sideways, one way through."""

import re
from collections.abc import Callable

import pytest

from browsing.person import Person
from browsing.places import PLACES, Place, Scene
from harness.paths import CLIENTS

AXE = (CLIENTS / "js/node_modules/axe-core/axe.min.js").read_text()
HEIGHT = 900


@pytest.fixture
def at(scene: Scene, browse: Callable) -> Callable[..., Person]:
    """Somebody at a place."""

    def arrive(place: Place, **context: object) -> Person:
        person = browse(scene.site.url, reduced_motion="reduce", **context)
        person.is_signed_in(scene.site, place.who)
        scene.go(person, place)
        return person

    return arrive


def violations(person: Person) -> list[str]:
    """The serious and critical ones that axe-core finds. It comes by the debugger's way in, so that the page's own
    Content-Security-Policy stays as it is."""
    person.page.evaluate(AXE)
    found = person.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_everybody_can_use_it(place: Place, at: Callable):
    person = at(place)
    page = person.page
    complaints = []
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            complaints += [f"{theme}, {width}: {one}" for one in violations(person)]
    assert not complaints, "\n".join(complaints)
    for width in (360, 820, 2560):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, f"scrolls sideways at {width}"
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    assert re.search(r"\S · Cloud Service Gateway$", page.title()), page.title()
    # Whoever uses a keyboard is past the navigation with one key.
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    if not page.locator("[autofocus]").count():
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"

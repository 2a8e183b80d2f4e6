"""What the suites of browsers share: the harness of the client suites, one Chromium, and people who sit before it."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from browsing.chromium import launch
from browsing.person import Person
from browsing.places import PLACES, Scene
from browsing.site import Site
from harness.cloud import StrictMoto

pytest_plugins = ["harness.fixtures"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium: Browser) -> Iterator[Callable[..., Person]]:
    """Somebody with a browser of their own, before `url`. Whatever the test is about, no page may have run into an
    error of its scripts, shown a dialog, asked another place for anything, or broken the Content-Security-Policy."""
    people: list[Person] = []

    def person(url: str, **context: object) -> Person:
        people.append(Person(chromium, url, **context))
        return people[-1]

    yield person
    complaints = [complaint for person in people for complaint in person.complaints]
    for person in people:
        person.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="module")
def site(make_gateway: Callable) -> Site:
    """A furnished gateway for a suite that calls no cloud."""
    return Site(make_gateway({}))


@pytest.fixture(scope="module")
def cloud_site(make_gateway: Callable, cloud: StrictMoto) -> Site:
    """A furnished gateway in front of a cloud."""
    return Site(make_gateway({"*.amazonaws.com": cloud.address}))


@pytest.fixture(scope="module")
def scene(site: Site) -> Scene:
    """The same, after something has happened in it."""
    for name in sorted({place.who for place in PLACES if place.who} - set(site.people)):
        site.add_person(name)
    return Scene(site)

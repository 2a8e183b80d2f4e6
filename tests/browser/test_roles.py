"""Each role sees and does what is its own, and no more: by the pages, and by calling the API by hand."""

from collections.abc import Callable

import pytest

from browsing.person import Person
from browsing.places import Scene
from browsing.site import Site

PEOPLE = ["admin", "anna", "paula", "dora", "peter", "ada"]


def by_hand(person: Person, method: str, path: str, body: str | None = None) -> int:
    """Calls the API from the console's own page, with its cookie and its token: the best that somebody can do who
    knows how the console works."""
    return person.page.evaluate(
        """async ([method, path, body]) => {
            const token = document.querySelector("[name=csrf]").value;
            const headers = { "x-csrf-token": token, "content-type": "application/json" };
            const answer = await fetch(`/api/v1${path}`, { method, body, headers });
            return answer.status;
        }""",
        [method, path, body],
    )


PAGES = {
    # Each page, and who may see it; everybody else is answered like about a page that is not there.
    "/environments/staging/cloud-services": ({"admin", "anna", "dora", "ada"}, 404),
    "/environments/production/cloud-services": ({"admin", "anna", "paula", "peter", "ada"}, 404),
    "/environments/staging/cloud-services/request": ({"admin", "dora"}, None),
    "/access-requests/{pending}": ({"admin", "anna", "dora"}, 404),
    "/access-requests/{active}": ({"admin", "anna", "dora"}, 404),
    "/welcome": ({"admin"}, 403),
    "/account": (set(PEOPLE), None),
    "/access-requests": ({"admin", "anna", "paula"}, 403),
    "/access-requests/{pending}/decide": ({"admin", "anna"}, None),
    "/access-requests/several?step=revoke&request={active}": ({"admin", "anna"}, None),
    "/environments": ({"admin"}, 403),
    "/environments/staging": ({"admin"}, None),
    "/environments/staging/delete": ({"admin"}, 403),
    "/new/environment": ({"admin"}, 403),
    "/credentials": ({"admin", "anna", "paula"}, 403),
    "/credentials/{credential}": ({"admin", "anna"}, 404),
    "/credentials/{credential}/delete": ({"admin"}, 403),
    "/new/credential": ({"admin"}, 403),
    # Who may ask for access may ask for certain rules.
    "/policy-groups": ({"admin", "anna", "paula", "dora", "peter"}, 403),
    "/policy-groups/{policies}": ({"admin", "anna", "paula", "dora", "peter"}, 404),
    "/policy-groups/{policies}/delete": ({"admin"}, 403),
    "/new/policy-group": ({"admin"}, 403),
    "/people": ({"admin"}, 403),
    "/people/dora": ({"admin"}, 403),
    "/people/dora/disable": ({"admin"}, 403),
    "/new/person": ({"admin"}, 403),
    "/audit": ({"admin", "ada"}, 403),
    "/settings": ({"admin"}, 403),
    "/system": ({"admin"}, 403),
    "/tokens": (set(PEOPLE), None),
    "/ca": (set(PEOPLE), None),
}

CALLS = {
    # Method, address and body of a call, and who may make it; 403 or 404 for everybody else. What is asked for can't
    # be done by anybody, so that each finds the same state: 409 and 422 say that one may.
    ("GET", "/users", None): {"admin"},
    ("POST", "/users", '{"username": "mallory", "password": "short"}'): {"admin"},
    ("PATCH", "/users/dora", '{"password": "short"}'): {"admin"},
    ("DELETE", "/users/dora/second-factor", None): {"admin"},
    ("POST", "/environments", '{"id": "staging", "name": "Staging"}'): {"admin"},
    ("POST", "/settings", "{}"): {"admin"},
    ("GET", "/credentials", None): {"admin", "anna", "paula"},
    ("GET", "/policy-groups", None): {"admin", "anna", "paula", "dora", "peter"},
    ("GET", "/policy-groups/{policies}", None): {"admin", "anna", "paula", "dora", "peter"},
    ("POST", "/policy-groups", '{"name": "", "policies": []}'): {"admin"},
    ("PUT", "/policy-groups/{policies}", '{"name": "", "policies": []}'): {"admin"},
    ("DELETE", "/policy-groups/{policies}", None): {"admin"},
    ("GET", "/audit", None): {"admin", "ada"},
    ("GET", "/access-requests", None): {"admin", "anna"},
    ("POST", "/access-requests/{pending}/approve", '{"credential": "none"}'): {"admin", "anna"},
    ("POST", "/access-requests/{pending}/deny", '{"comment": "\\u0000"}'): {"admin", "anna"},
    ("POST", "/access-requests/{pending}/revoke", None): {"admin", "anna"},
    ("POST", "/access-requests/{pending}/archive", None): {"admin", "anna"},
    ("POST", "/access-requests/{pending}/withdraw", '{"comment": "\\u0000"}'): {"dora"},
    ("POST", "/access-requests/{pending}/secret", None): {"dora"},
    ("POST", "/access-requests/{ended}/rotate", '{"overlap": "1h"}'): {"dora"},
    ("GET", "/access-requests/{active}/usage", None): {"admin", "anna", "dora"},
    ("POST", "/environments/staging/access-requests", '{"cloud": "aws", "services": [], "justification": ""}'): {
        "admin",
        "dora",
    },
    ("POST", "/environments/production/access-requests", '{"cloud": "aws", "services": [], "justification": ""}'): {
        "admin",
        "peter",
    },
}


@pytest.mark.parametrize("name", PEOPLE)
def test_sees_and_does_only_its_own(name: str, scene: Scene, browse: Callable):
    person = browse(scene.site.url).sign_in(name)
    for path, (may, otherwise) in PAGES.items():
        status = person.visit(path.format(**scene.ids)).status
        if name in may:
            assert status == 200, path
        else:
            assert status == otherwise if otherwise else status in (403, 404), path
    person.visit("/account")
    for (method, path, body), may in CALLS.items():
        status = by_hand(person, method, path.format(**scene.ids), body)
        if name in may:
            assert status in (200, 204, 409, 422), f"{method} {path}: {status}"
        else:
            assert status in (403, 404), f"{method} {path}: {status}"
    # Nothing was done by all that.
    assert scene.site.people["dora"].get(f"/access-requests/{scene.ids['pending']}")["status"] == "pending"


@pytest.mark.parametrize("name", PEOPLE)
def test_no_link_leads_where_one_may_not_go(name: str, scene: Scene, browse: Callable):
    person = browse(scene.site.url).sign_in(name)
    links = person.page.evaluate("[...document.querySelectorAll('nav a, .menu-list a')].map((link) => link.href)")
    assert links
    for link in set(links):
        assert person.visit(link).status == 200, link


def test_two_environments_do_not_see_each_other(scene: Scene, browse: Callable):
    peter = browse(scene.site.url).sign_in("peter")
    request = peter.ask("Glacier", environment="production", why="the yearly archive")
    dora = browse(scene.site.url).sign_in("dora")
    for one, other, foreign_request, foreign_word in (
        (dora, "production", request, "archive"),
        (peter, "staging", scene.ids["pending"], "staging"),
    ):
        for path in (f"/environments/{other}/cloud-services", f"/access-requests/{foreign_request}"):
            shown = one.visit(path)
            assert shown.status == 404, path
            # Word for word what is said of what does not exist.
            there = one.text()
            one.visit(path.replace(other, "nowhere").replace(foreign_request, "0" * 26))
            assert one.text() == there
        for word in (foreign_request, foreign_word, other):
            one.visit(f"/search?q={word}")
            assert "Nothing that you may see" in one.text(), word
        one.visit("/")
        assert other not in one.page.content().lower()


def test_who_is_disabled_is_out_at_once(site: Site, browse: Callable):
    site.add_person("walt")
    walt = browse(site.url).sign_in("walt")
    site.admin.patch("/users/walt", disabled=True)
    walt.visit("/account")
    assert walt.path == "/sign-in"
    walt.sign_in("walt")
    assert "The user name or the password is wrong" in walt.text()

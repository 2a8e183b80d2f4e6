"""What other sites, other sessions and what people type may try, and can't do."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from browsing.person import Person
from browsing.places import PLACES, Scene
from browsing.site import PASSWORD, Site
from browsing.stranger import Stranger

# Each would run on its own, in text, in an attribute with either quote, in a text area, or as an address.
EVIL = [
    "<script>window.broken=1</script>",
    "\"'><img src=x onerror=window.broken=1>",
    "</textarea></title><svg onload=window.broken=1>",
    "javascript:window.broken=1",
    "{{7*7}}${7*7}<%= 7*7 %>",
]
# All at once; and the one that is harmful only on its own.
EVIL_TOGETHER = [" ".join(EVIL), "javascript:window.broken=1"]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    stranger = Stranger()
    yield stranger
    stranger.stop()


def is_whole(person: Person) -> bool:
    """Has nothing of what was typed come alive? That a policy stopped a script would be a complaint of its own."""
    return person.page.evaluate(
        """() => window.broken === undefined && !document.querySelector(
            "img, svg[onload], [onerror], script:not([src]), iframe, object, [href^='javascript:' i], [action^='javascript:' i]"
        )"""
    )


# --- Other sites ----------------------------------------------------------------------------------------------------


def form(action: str, **fields: str) -> str:
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    return f'<form method="post" action="{action}">{inputs}<button>Claim your prize</button></form>'


# `127.0.0.1` on another port is the same site but not the same origin: cookies go along, and it is up to the gateway.
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_form_of_another_site_does_nothing(host: str, scene: Scene, stranger: Stranger, browse: Callable):
    dora = browse(scene.site.url, friends=[stranger.url(host)]).sign_in("dora")
    dora.visit("/account")
    csrf = dora.page.locator("[name=csrf]").first.input_value()
    request = scene.ids["pending"]
    for action, fields in (
        ("/sign-out", {}),
        ("/account/sessions/end", {}),
        ("/account/password", {"current_password": PASSWORD, "new_password": "the stranger's"}),
        ("/account/second-factor", {"password": PASSWORD}),
        (f"/access-requests/{request}/withdraw", {}),
        ("/environments/staging/cloud-services/request", {"services": "sns", "justification": "x", "duration": "30d"}),
        ("/sign-in", {"username": "peter", "password": PASSWORD}),
    ):
        # Even with the token, should it have got out.
        stranger.page = form(scene.site.url + action, csrf=csrf, **fields)
        dora.page.goto(stranger.url(host))
        with dora.page.expect_response(lambda answer: answer.request.method == "POST") as answer:
            dora.page.get_by_role("button").click()
        # A strange site gets no cookies along: then it is as if nobody were signed in.
        assert answer.value.status in (403, 303), action
        if answer.value.status == 303:
            assert "/sign-in" in answer.value.headers["location"] and action != "/sign-in", action
    dora.visit("/account")
    assert dora.path == "/account" and dora.page.get_by_text("Signed in as").count()
    assert "dora" in dora.page.locator("details.me summary").inner_text()
    assert scene.site.people["dora"].get(f"/access-requests/{request}")["status"] == "pending"


def test_a_script_of_another_site_reads_and_does_nothing(scene: Scene, stranger: Stranger, browse: Callable):
    dora = browse(scene.site.url, friends=[stranger.url("127.0.0.1")], bears_errors=True).sign_in("dora")
    before = len(scene.site.people["dora"].items("/environments/staging/access-requests"))
    dora.page.goto(stranger.url("127.0.0.1"))
    results = dora.page.evaluate(
        """async (url) => {
            const attempt = (path, options) => fetch(url + path, { credentials: "include", ...options }).then(
                async (answer) => `${answer.type} ${answer.status} ${await answer.text()}`, () => "refused");
            const wish = JSON.stringify({ cloud: "aws", services: ["sns"], justification: "x", duration: "30d" });
            const path = "/api/v1/environments/staging/access-requests";
            return [
                await attempt("/api/v1/me"),
                await attempt("/account"),
                await attempt(path, { method: "POST", body: wish, headers: { "content-type": "application/json" } }),
                await attempt(path, { method: "POST", body: wish, mode: "no-cors" }),
            ];
        }""",
        scene.site.url,
    )
    # What comes back from a request without CORS is empty to the script.
    assert results[:3] == ["refused"] * 3 and results[3] in ("refused", "opaque 0 "), results
    assert len(scene.site.people["dora"].items("/environments/staging/access-requests")) == before


def test_no_page_is_shown_in_a_frame(scene: Scene, stranger: Stranger, browse: Callable):
    dora = browse(scene.site.url, friends=[stranger.url("127.0.0.1")], bears_errors=True).sign_in("dora")
    stranger.page = f'<iframe src="{scene.site.url}/account" width="900" height="700"></iframe>'
    dora.page.goto(stranger.url("127.0.0.1"))
    dora.page.wait_for_load_state("load")
    [frame] = [frame for frame in dora.page.frames if frame.parent_frame]
    assert not frame.url.startswith(scene.site.url), frame.url
    assert "Your account" not in frame.locator("body").inner_text()


def test_a_link_of_another_site_leads_in_and_nowhere_else(scene: Scene, stranger: Stranger, browse: Callable):
    evil = stranger.url("127.0.0.1")
    for target in (evil, f"//127.0.0.1:{stranger.port}", f"/\\127.0.0.1:{stranger.port}", "javascript:alert(1)"):
        dora = browse(scene.site.url)
        dora.visit(f"/sign-in?next={quote(target)}")
        dora.sign_in("dora")
        assert dora.page.url.startswith(scene.site.url + "/"), dora.page.url


# --- Other sessions -------------------------------------------------------------------------------------------------


def test_a_form_needs_the_token_of_its_own_session(scene: Scene, browse: Callable):
    dora, anna = browse(scene.site.url).sign_in("dora"), browse(scene.site.url).sign_in("anna")
    other = browse(scene.site.url).sign_in("dora")
    tokens = [""]
    for person in (anna, other):
        person.visit("/account")
        tokens.append(person.page.locator("[name=csrf]").first.input_value())
    path = f"/access-requests/{scene.ids['pending']}/withdraw"
    for token in tokens:
        answer = dora.context.request.post(path, form={"csrf": token}, max_redirects=0)
        assert answer.status == 403, token
        assert "nothing was done" in answer.text()
    assert dora.context.request.post(path, data="{}", max_redirects=0).status in (400, 403)
    # The same goes for the API, when it is called with the cookie.
    api = f"/api/v1{path}"
    for headers in ({}, *({"x-csrf-token": token} for token in tokens)):
        assert dora.context.request.post(api, headers=headers).status == 403, headers
    assert scene.site.people["dora"].get(f"/access-requests/{scene.ids['pending']}")["status"] == "pending"


# --- What people type -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evil", EVIL_TOGETHER, ids=["together", "address"])
def test_nothing_reflected_comes_alive(evil: str, scene: Scene, browse: Callable):
    names = (None, "dora", "anna", "admin", "ada")
    people = {name: browse(scene.site.url).is_signed_in(scene.site, name) for name in names}
    fields = (
        "q",
        "next",
        "username",
        "token",
        "step",
        "after",
        "cursor",
        "justification",
        "services",
        "duration",
        "status",
        "environment",
        "requested_by",
        "service",
        "request",
        "user",
        "from",
        "operation",
        "outcome",
        "role",
    )
    query = "&".join(f"{field}={quote(evil, safe='')}" for field in fields)
    for place in PLACES:
        if not isinstance(place.where, str) or place.who not in people:
            continue
        person = people[place.who]
        path = place.where.format(**scene.ids).split("?")[0]
        person.visit(f"{path}?{query}")
        assert is_whole(person), path
        person.visit(f"{path}/{quote(evil, safe='')}")
        assert is_whole(person), path


def test_nothing_stored_comes_alive(site: Site, browse: Callable):
    """Every text field of every form, and every text that the API takes, then every page that shows any of it."""
    for n, evil in enumerate(EVIL):
        admin = site.admin
        admin.post("/environments", id=f"evil-{n}", name=evil)
        credential = admin.post(
            "/credentials", name=evil, cloud="aws", kind="static", access_key_id="AKIAIOSFODNN7EXAMPLE",
            secret_access_key="x" * 40, environments=[f"evil-{n}", "staging"],
        )["id"]  # fmt: skip
        # A role's path may have nearly everything in it.
        arn = f"arn:aws:iam::123456789012:role/{evil.replace(' ', '+')}/x"
        role = admin.post(
            "/credentials", name=evil, cloud="aws", kind="role", role_arn=arn, source_credential=credential,
            environments=["staging"],
        )["id"]  # fmt: skip
        admin.post("/tokens", name=evil)
        conditions = {"cloud": "aws", "service": "dynamodb", "operation": "CreateTable"}
        rule = {"type": "csg.resource.name.prefix", "status": "enforced", "value": evil, "conditions": conditions}
        group = admin.post("/policy-groups", name=evil, policies=[rule])["id"]
    evil = " ".join(EVIL)
    admin.patch("/environments/staging", name=evil)
    dora = browse(site.url, user_agent=f"{EVIL[0]} {EVIL[1]}").sign_in("dora")
    request = dora.ask("DynamoDB", why=evil)
    site.decide(request, comment=evil, policy_group=group)
    dora.take_secret(request)
    site.decide(request, "revoke", comment=evil)
    second = dora.ask("Lambda", why=evil)
    dora.page.get_by_label("Why?").fill(evil)
    dora.press("Withdraw the request")
    third = dora.ask("Glacier", why=evil)
    site.decide(third, "deny", comment=evil)
    waiting = dora.ask("API Gateway", why=evil)
    shown = 0
    for name, paths in {
        "dora": ("/account", "/search?q=script", "/environments/staging/cloud-services"),
        "anna": (
            "/search?q=script",
            "/environments/staging/cloud-services",
            "/environments/evil-1/cloud-services",
            "/access-requests",
            f"/access-requests/{waiting}/decide",
            f"/access-requests/several?step=deny&request={waiting}&request={third}",
            f"/access-requests/several/outcome?step=revoke&request={request}&request={third}",
            "/credentials",
        ),
        "admin": (
            "/welcome",
            "/account",
            "/search?q=script",
            "/environments/evil-0/cloud-services",
            "/environments",
            "/environments/evil-0",
            "/environments/evil-0/delete",
            "/new/environment",
            "/credentials",
            f"/credentials/{credential}",
            f"/credentials/{credential}/delete",
            f"/credentials/{role}",
            f"/credentials/{role}/delete",
            "/new/credential",
            "/policy-groups",
            f"/policy-groups/{group}",
            f"/policy-groups/{group}/delete",
            "/people/dora",
            "/people/admin",
            "/people/dora/disable",
            "/new/person",
            "/tokens",
            "/audit",
            "/system",
        ),
    }.items():
        person = browse(site.url).sign_in(name)
        for path in (*paths, *(f"/access-requests/{one}" for one in (request, second, third))):
            person.visit(path)
            assert is_whole(person), f"{name}: {path}"
            shown += EVIL[0] in person.page.locator("body").inner_text()
    assert shown >= 25, "the text is shown as text"


@pytest.mark.parametrize("evil", EVIL_TOGETHER, ids=["together", "address"])
def test_every_field_refuses_or_shows_it_as_text(evil: str, scene: Scene, browse: Callable):
    """Goes through all forms that there are, fills every field with it, and sends them, past what the browser checks."""
    signed_out = browse(scene.site.url)
    site = scene.site
    dora, anna, admin = (browse(site.url).is_signed_in(site, name) for name in ("dora", "anna", "admin"))
    # For what can be done to somebody and something by whatever is typed.
    somebody = f"spare-{len(evil)}"
    site.admin.post("/users", username=somebody, password=PASSWORD, roles=[])
    spare = site.admin.post(
        "/credentials", name="spare", cloud="aws", kind="static", access_key_id="AKIAIOSFODNN7EXAMPLE",
        secret_access_key="x" * 40, environments=["production"],
    )["id"]  # fmt: skip
    sent = 0
    for person, path in (
        (signed_out, "/sign-in"),
        (signed_out, "/setup"),
        (dora, "/account"),
        (dora, "/account/second-factor"),
        (dora, "/environments/staging/cloud-services/request"),
        (dora, "/search"),
        (dora, "/access-requests/{pending}"),
        (admin, "/welcome?step=credential"),
        (admin, "/welcome?step=environment"),
        (anna, "/access-requests"),
        (anna, "/access-requests/{pending}/decide"),
        (anna, "/access-requests/several?step=archive&request={ended}"),
        (admin, "/environments/production"),
        (admin, "/new/environment"),
        (admin, f"/credentials/{spare}"),
        (admin, "/credentials/{role}"),
        (admin, "/new/credential"),
        (admin, "/new/policy-group"),
        (admin, "/policy-groups/{policies}"),
        (admin, "/people"),
        (admin, f"/people/{somebody}"),
        (admin, "/new/person"),
        (admin, "/tokens"),
        (admin, "/audit"),
    ):
        path = path.format(**scene.ids)
        person.visit(path)
        for n in range(person.page.locator("main form").count()):
            person.visit(path)
            form = person.page.locator("main form").nth(n)
            fields = form.locator("input:not([type=hidden], [type=radio], [type=checkbox]), textarea")
            if not fields.count() or "withdraw" in (form.get_attribute("action") or ""):
                continue
            # Past what the browser checks, and what it lets nobody type.
            form.evaluate(
                """(form) => {
                    form.noValidate = true;
                    form.querySelector("[name=kind][value=role]")?.click();
                    for (const field of form.querySelectorAll("input[type*=date]")) field.type = "text";
                }"""
            )
            # Those of the half that is not picked are sent, too.
            for field in fields.all():
                field.fill(evil, force=True)
            with person.page.expect_navigation(wait_until="load"):
                form.evaluate("(form) => form.submit()")
            sent += 1
            assert is_whole(person), f"{path}, form {n}"
    assert sent >= 21

"""The main flow without JavaScript, and with the keyboard alone."""

from collections.abc import Callable

from browsing.person import Person
from browsing.site import PASSWORD, Site
from harness.calls import call
from harness.clients import Way
from harness.cloud import Key

MOST_TABS = 80


def works(site: Site, key: tuple[str, str], service: str) -> None:
    call(Way(site.gateway.proxy_url, site.gateway.ca, Key(*key)), service)


def test_without_javascript(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url, java_script_enabled=False).sign_in("dora")
    request = dora.ask("DynamoDB", why="no scripts")
    dora.visit("/environments/staging/cloud-services")
    assert "1 waiting" in dora.text()
    anna = browse(cloud_site.url, java_script_enabled=False).sign_in("anna")
    anna.follow("Decide on DynamoDB of dora")
    # The sentence says in general what it can't say of what is picked.
    assert "will be able to call every operation of DynamoDB" in anna.text()
    anna.press("Approve access")
    assert "is approved" in anna.text() and anna.path == "/access-requests"
    dora.visit(f"/access-requests/{request}")
    key = dora.take_secret(request)
    works(cloud_site, key, "dynamodb")
    dora.visit(f"/access-requests/{request}")
    # The tabs of the set-up are radio buttons: they need no script.
    dora.page.get_by_text("Terraform", exact=True).click()
    assert "provider" in dora.page.get_by_label("A file for Terraform").inner_text()
    dora.press("Rotate the key")
    works(cloud_site, dora.take_secret(request), "dynamodb")

    second = dora.ask("Lambda")
    dora.press("Withdraw the request")
    assert "Withdrawn" in dora.text()
    dora.visit(f"/search?q={second}")
    assert "Lambda" in dora.text()
    dora.visit("/account")
    dora.page.locator("details.me summary").click()
    with dora.page.expect_navigation():
        dora.page.get_by_role("button", name="Sign out").click()
    assert "You are signed out" in dora.text()


class Keys:
    """Hands that never leave the keyboard."""

    def __init__(self, person: Person):
        self.page = person.page

    def focused(self) -> dict:
        """What has the focus: its name, and whether that is seen."""
        return self.page.evaluate(
            """() => {
                const it = document.activeElement;
                const label = it.labels?.[0] ?? it;
                const style = getComputedStyle(it), shown = getComputedStyle(label);
                const name = it.getAttribute("aria-label") ?? label.textContent;
                const box = it.getBoundingClientRect();
                const marked = [style, shown].some((one) => one.outlineStyle !== "none" && parseFloat(one.outlineWidth) > 0);
                return { name: name.trim(), tag: it.tagName, marked, inside: box.top >= -1 && box.bottom <= innerHeight + 1 };
            }"""
        )

    def to(self, name: str) -> "Keys":
        """Tab after Tab, until what is called so has the focus, which has to be seen all the way."""
        for _ in range(MOST_TABS):
            now = self.focused()
            if now["tag"] != "BODY":
                assert now["marked"], f"the focus is not seen: {now}"
                if now["name"].startswith(name):
                    assert now["inside"], f"the focus is out of sight: {now}"
                    return self
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{name!r} is not reached with Tab")

    def press(self, key: str) -> "Keys":
        self.page.keyboard.press(key)
        return self

    def type(self, text: str) -> "Keys":
        self.page.keyboard.type(text)
        return self

    def enter(self, key: str = "Enter") -> None:
        """Presses what leads to another page."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.keyboard.press(key)


def approve_with_keys(anna: Person) -> None:
    anna.visit("/sign-in")
    keys = Keys(anna)
    keys.to("User name").type("anna").to("Password").type(PASSWORD).enter()
    assert anna.path == "/access-requests"
    keys.to("Decide on DynamoDB, Simple Notification Service (SNS) of dora").enter()
    credentials = anna.page.get_by_role("radio")
    keys.to("staging account").press("Space")
    assert credentials.first.is_checked()
    keys.to("Until when?").press("ArrowDown")
    keys.to("Comment").type("welcome")
    keys.to("Approve access").enter()
    assert "is approved" in anna.text()


def test_with_the_keyboard_alone(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url)
    dora.visit("/sign-in")
    keys = Keys(dora)
    keys.to("User name").type("dora").to("Password").type(PASSWORD).enter()
    assert dora.path == "/environments/staging/cloud-services"
    keys.press("Tab")
    keys.to("Skip to the content").press("Enter")
    keys.to("Request access").enter()
    keys.to("DynamoDB").press("Space")
    keys.to("Simple Notification Service").press("Space")
    keys.to("What for?").type("orders, typed")
    keys.to("For how long?").press("ArrowDown")
    keys.to("Request access").enter()
    assert "waits for an approver" in dora.text() and "orders, typed" in dora.text()
    approve_with_keys(browse(cloud_site.url))
    dora.visit(dora.path)
    keys.to("Show the secret once").enter()
    key, secret = dora.page.locator(".secret dd code").all_inner_texts()[:2]
    keys.to("I have saved it").enter()
    works(cloud_site, (key, secret), "sns")
    # Menus open and close with keys, and give the focus back.
    keys.to("Signed in as").press("Enter")
    assert dora.page.get_by_role("link", name="Your account").is_visible()
    keys.press("Escape")
    assert not dora.page.get_by_role("link", name="Your account").is_visible()
    assert keys.focused()["name"].startswith("Signed in as")
    # "/" goes to the search.
    dora.page.evaluate("document.activeElement.blur()")
    keys.press("/").type("dynamodb").enter()
    assert dora.path == "/search" and "DynamoDB" in dora.text()
    keys.to("Signed in as").press("Enter")
    keys.to("Sign out").enter()
    assert "You are signed out" in dora.text()

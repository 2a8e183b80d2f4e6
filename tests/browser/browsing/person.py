"""A person before a browser: what they read and press, found as they find it, by words and roles."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Dialog, Locator, Page, Request, Response

from .site import PASSWORD, Site

PATIENCE_MILLISECONDS = 15_000
# What a browser notes of answers like 403, or of nonsense in a field of dates, which a test may well be after, is no
# fault of a page's.
EXPECTED = re.compile(
    r"Failed to load resource: the server responded with a status of 4\d\d"
    r"|The specified value .* does not conform to the required format\.  The format is \"yyyy-MM-dd"
)


class Person:
    def __init__(
        self, browser: Browser, url: str, friends: Sequence[str] = (), bears_errors: bool = False, **options: object
    ):
        """`friends` are other places that may be asked; who bears errors does not mind what the console says."""
        self.url, self.friends, self.bears_errors = url, friends, bears_errors
        self.context = browser.new_context(base_url=url, **options)
        self.context.set_default_timeout(PATIENCE_MILLISECONDS)
        self.complaints: list[str] = []
        self.context.on("request", self._asked)
        self.context.on("console", lambda message: self._complain(message.type, message.text))
        self.context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        self.page: Page = self.context.new_page()
        self.page.on("dialog", self._dialog)

    def close(self) -> None:
        self.context.close()

    def _asked(self, request: Request) -> None:
        known = (f"{place}/" for place in (self.url, *self.friends))
        if not request.url.startswith((*known, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {request.url}")

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not self.bears_errors and not EXPECTED.match(text):
            self.complaints.append(f"console: {text}")

    def _dialog(self, dialog: Dialog) -> None:
        # A page that asks whether to leave an unsaved secret does as it should.
        if dialog.type != "beforeunload":
            self.complaints.append(f"dialog: {dialog.message}")
        dialog.accept()

    # --- Going about ------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def visit(self, path: str) -> Response:
        answer = self.page.goto(path)
        assert answer is not None
        return answer

    def text(self) -> str:
        return self.page.locator("main").inner_text()

    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def press(self, button: str | re.Pattern[str]) -> None:
        """Presses a button, and waits for the page that it leads to."""
        self._leads_on(self.page.locator("main").get_by_role("button", name=button))

    def follow(self, link: str) -> None:
        self._leads_on(self.page.locator("main").get_by_role("link", name=link, exact=True).first)

    def _leads_on(self, locator: Locator) -> None:
        with self.page.expect_navigation(wait_until="load"):
            locator.click()

    # --- What people come for ---------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str = PASSWORD) -> "Person":
        if self.path != "/sign-in":
            self.visit("/sign-in")
        self.fill("User name", name)
        self.fill("Password", password)
        self.press("Sign in")
        return self

    def is_signed_in(self, site: Site, name: str | None) -> "Person":
        """Has signed in before the test began, as those have who come back."""
        if name:
            # Over TLS the name says so (RFC 6265bis, section 4.1.3.2).
            cookie = {"value": site.session(name), "url": self.url}
            is_secure = self.url.startswith("https:")
            cookie |= {"name": "__Host-csg_session", "secure": True} if is_secure else {"name": "csg_session"}
            self.context.add_cookies([cookie])
        return self

    def sign_out(self) -> None:
        self.page.locator("details.me summary").click()
        self._leads_on(self.page.get_by_role("button", name="Sign out"))

    def ask(
        self, *services: str, environment: str = "staging", why: str = "orders and their mail", rules: str = ""
    ) -> str:
        """Asks for services by their whole names, under a policy group if one is named; the new request's id."""
        self.visit(f"/environments/{environment}/cloud-services")
        self.follow("Request access")
        for service in services:
            self.fill("Find a service", service)
            # Scripts find while one types.
            if self.page.get_by_role("button", name="Find", exact=True).is_visible():
                self.press("Find")
            name = self.page.get_by_text(service, exact=True)
            self.page.locator("label", has=name).get_by_role("checkbox").check()
        self.fill("What for?", why)
        self.page.get_by_label("For how long?").select_option("30d")
        if rules:
            self.page.get_by_label(re.compile("^Rules")).select_option(label=rules)
        self.press("Request access")
        assert self.path.startswith("/access-requests/"), self.text()
        return self.path.rsplit("/", 1)[1]

    def decide(self, request: str, button: str = "Approve access", comment: str = "") -> None:
        """Decides on a request, as an approver."""
        self.visit(f"/access-requests/{request}/decide")
        credentials = self.page.get_by_role("radio")
        if button == "Approve access" and not any(radio.is_checked() for radio in credentials.all()):
            credentials.first.check()
        self.page.get_by_label(re.compile("^Comment")).fill(comment)
        self.press(button)

    def end(self, request: str, button: str, comment: str = "") -> None:
        """Revokes or archives a request, as an approver: on its page, then once more on the page that says what stops."""
        self.visit(f"/access-requests/{request}")
        self._leads_on(self.page.locator("main").get_by_role("link", name=re.compile(f"^{button}")))
        self.page.get_by_label(re.compile("^Comment")).fill(comment)
        self.press(button)

    def take_secret(self, request: str) -> tuple[str, str]:
        """Key and secret, out of the page that shows them once."""
        self.visit(f"/access-requests/{request}")
        self.press("Show the secret once")
        shown = self.page.get_by_label("The secret", exact=True)
        key, secret = (
            shown.locator("dt", has_text=re.compile(f"^{label}$"))
            .locator("xpath=following-sibling::dd[1]/code")
            .inner_text()
            for label in ("Access key id", "Secret access key")
        )
        assert "This secret will never be shown again" in shown.inner_text()
        self.follow("I have saved it")
        return key, secret

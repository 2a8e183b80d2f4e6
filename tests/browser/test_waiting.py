"""What a page shows while an answer takes its time."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from browsing.site import Site

WATCH = """
new MutationObserver(() => {
  const note = document.querySelector("[role=status] .loading");
  if (note) said(note.checkVisibility() ? note.textContent : "nothing that could be seen");
}).observe(document.getElementById("toasts"), { childList: true })
"""


@pytest.mark.parametrize("step", ["a link", "a form"])
def test_an_answer_that_takes_its_time_is_announced_and_then_shown(cloud_site: Site, browse: Callable, step: str):
    anna = browse(cloud_site.url).sign_in("anna")
    anna.visit("/access-requests")
    page, held, said = anna.page, [], []

    def announced(text: str) -> None:
        said.append(text)
        held[0].continue_()

    page.expose_function("said", announced)
    page.evaluate(WATCH)
    # The answer comes once the page has said that it is on its way, and not before.
    page.route("**/access-requests?*" if step == "a form" else "**/ca", lambda route: held.append(route))
    with page.expect_navigation():
        if step == "a form":
            page.get_by_role("button", name="Filter").click(no_wait_after=True)
        else:
            page.locator('nav.side a[href="/ca"]').click(no_wait_after=True)
    assert said == ["Loading…"]
    expect(page.locator(".loading")).to_have_count(0)

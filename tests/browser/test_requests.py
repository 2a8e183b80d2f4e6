"""An access request from asking to its end, as the person who needs it sees it."""

import re
from collections.abc import Callable

from playwright.sync_api import Error

from browsing.person import Person
from browsing.site import Site
from harness.calls import call, refused
from harness.clients import Way
from harness.cloud import Key

LIST = "/environments/staging/cloud-services"


def way(site: Site, key: tuple[str, str]) -> Way:
    return Way(site.gateway.proxy_url, site.gateway.ca, Key(*key))


def calls_shown(person: Person) -> int:
    """What the page of the request says of its use."""
    numbers = person.page.locator("dl.numbers div", has_text="Calls").locator("dd")
    return int(numbers.first.inner_text()) if numbers.count() else 0


def test_ask_take_the_secret_once_call_and_see_it_counted(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url).sign_in("dora")
    assert dora.path == LIST
    assert "No cloud service is in use here yet" in dora.text()
    request = dora.ask("DynamoDB", "Simple Notification Service (SNS)")
    assert "waits for an approver" in dora.text()
    dora.visit(LIST)
    assert "1 waiting" in dora.text() and "not decided" in dora.text()

    # Her page is open while it is decided, and changes by itself.
    dora.visit(f"/access-requests/{request}")
    with dora.page.expect_response(re.compile(r"/live\?")):
        pass
    cloud_site.decide(request, comment="until Christmas")
    dora.page.get_by_role("button", name="Show the secret once").wait_for()
    assert "until Christmas" in dora.text()

    key = dora.take_secret(request)
    assert dora.path == f"/access-requests/{request}"
    for _ in range(2):
        content = dora.page.content()
        assert key[0] in content and key[1] not in content
        assert "can't be shown again" in dora.text() and "No call has come yet" in dora.text()
        assert not dora.page.get_by_role("button", name="Show the secret once").count()
        dora.page.reload()

    for service in ("dynamodb", "sns", "dynamodb"):
        call(way(cloud_site, key), service)
    dora.visit(f"/access-requests/{request}")
    wait_for_calls(dora, request, 3)
    text = dora.text()
    assert "ListTables" in text and "ListTopics" in text
    assert dora.page.locator("svg.chart").get_attribute("role") == "img"
    call(way(cloud_site, key), "dynamodb")
    wait_for_calls(dora, request, 4)

    cloud_site.decide(request, "revoke", comment="no longer needed")
    assert refused(way(cloud_site, key), "dynamodb").message == "Client is not Active"
    dora.visit(f"/access-requests/{request}")
    assert "Revoked" in dora.text() and "no longer needed" in dora.text()
    dora.visit(LIST)
    assert "0 in use" in dora.text()


def wait_for_calls(dora: Person, request: str, count: int) -> None:
    """Calls are written down in batches: the page counts them within a second or two."""
    for _ in range(40):
        dora.visit(f"/access-requests/{request}")
        if calls_shown(dora) == count:
            return
        dora.page.wait_for_timeout(250)
    raise AssertionError(f"{calls_shown(dora)} calls shown, not {count}")


def test_denied(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url).sign_in("dora")
    request = dora.ask("Lambda")
    cloud_site.decide(request, "deny", comment="use the shared function")
    dora.visit(f"/access-requests/{request}")
    assert "Denied" in dora.text() and "use the shared function" in dora.text()
    assert not dora.page.locator("main button").count(), "nothing can be done with it any more"


def test_withdrawn(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url).sign_in("dora")
    request = dora.ask("Glacier")
    dora.page.get_by_label("Why?").fill("asked for the wrong thing")
    dora.press("Withdraw the request")
    assert dora.path == f"/access-requests/{request}"
    assert "Withdrawn" in dora.text() and "asked for the wrong thing" in dora.text()
    dora.page.reload()
    assert "Withdrawn" in dora.text()


def test_rotated(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url).sign_in("dora")
    request = dora.ask("Simple Email Service (SES)")
    cloud_site.decide(request)
    first = dora.take_secret(request)
    dora.page.get_by_label("The present key works on for").select_option("1h")
    dora.press("Rotate the key")
    second = dora.take_secret(request)
    assert first != second
    for key in (first, second):
        call(way(cloud_site, key), "ses")
    assert "Ends" in dora.text(), "how long the first key still works"


def test_leaving_an_unsaved_secret_asks_once(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url).sign_in("dora")
    request = dora.ask("Redshift")
    cloud_site.decide(request)
    dora.visit(f"/access-requests/{request}")
    dora.press("Show the secret once")
    dialogs: list[str] = []
    dora.page.on("dialog", lambda dialog: dialogs.append(dialog.type))
    dora.page.get_by_role("button", name="Copy: Secret access key").click()
    dora.page.evaluate("location.assign('/account')")
    dora.page.wait_for_url("**/account")
    assert dialogs == ["beforeunload"]


def test_going_back_does_not_bring_the_secret_back(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url).sign_in("dora")
    request = dora.ask("Route 53")
    cloud_site.decide(request)
    _, secret = dora.take_secret(request)
    try:
        dora.page.go_back()
    except Error as error:
        # The page was not kept, and the form that led to it is not sent again without asking.
        assert "ERR_CACHE_MISS" in error.message, error
    else:
        assert secret not in dora.page.content()

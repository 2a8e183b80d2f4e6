"""A role in place of a key: added, allowed at AWS, approved, called with, changed; with scripts and without."""

import json
import re
from collections.abc import Callable

from browsing.person import Person
from browsing.site import Site
from harness.clients import Way
from harness.cloud import Key

ROLE = "arn:aws:iam::210987654321:role/teams/gateway"


def pick_role(person: Person, name: str, arn: str = ROLE) -> None:
    """Fills in the form of a role, which shows what belongs to one, and nothing of a key."""
    page = person.page
    person.visit("/new/credential")
    person.fill("Name", name)
    key, role = page.get_by_label("Secret access key"), page.get_by_label("Role ARN")
    assert key.is_visible() and not role.is_visible()
    page.get_by_role("radio", name=re.compile("^A role ")).check()
    assert role.is_visible() and not key.is_visible()
    role.fill(arn)
    source = page.get_by_label("Source credential")
    [label] = [text for text in source.locator("option").all_inner_texts() if text.startswith("staging account")]
    source.select_option(label=label)
    page.get_by_label("External id").fill("ours")
    page.get_by_role("checkbox", name=re.compile("^Staging")).check()


def test_from_a_role_to_a_call_in_the_name_of_the_caller(cloud_site: Site, browse: Callable):
    admin = browse(cloud_site.url).sign_in("admin")
    pick_role(admin, "payments account")
    admin.press("Add the credential")
    assert "AWS lets the gateway assume it: account 210987654321." in admin.text()
    address = admin.path
    for part in (ROLE, "assumed-role/gateway/admin", "1 hour, renewed in time", "Not known yet"):
        assert part in admin.text(), part
    admin.follow("staging account")
    assert "payments account" in admin.page.get_by_role("table").inner_text()
    admin.press("Test now")
    arn = re.search(r"arn:aws:\S+", admin.text())
    assert arn
    admin.follow("payments account")
    shown = admin.page.get_by_label("Trust policy of the role", exact=True)
    [statement] = json.loads(shown.inner_text())["Statement"]
    assert statement["Principal"] == {"AWS": arn[0]}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "ours"}}
    admin.page.get_by_role("button", name="Copy: Trust policy of the role").click()
    admin.page.get_by_text("Copied").wait_for()

    request = cloud_site.team.ask("sts")["id"]
    anna = browse(cloud_site.url).sign_in("anna")
    anna.visit(f"/access-requests/{request}/decide")
    anna.page.get_by_role("radio", name=re.compile("^payments account")).check()
    assert f"with the role {ROLE} in account 210987654321" in anna.page.locator(".allows").inner_text()
    anna.press("Approve access")
    key = cloud_site.team.reveal({"id": request})
    way = Way(cloud_site.gateway.proxy_url, cloud_site.gateway.ca, Key(key.id, key.secret))
    assert way.boto3("sts").get_caller_identity()["Arn"].endswith(":assumed-role/gateway/dora")

    admin.visit(address)
    admin.page.get_by_label("Session duration").select_option(label="2 hours")
    admin.page.get_by_label("External id").fill("")
    admin.press("Change the role")
    assert "2 hours, renewed in time" in admin.text() and "sts:ExternalId" not in shown.inner_text()
    assert way.boto3("sts").get_caller_identity()["Account"] == "210987654321"
    admin.follow("Delete the credential")
    assert "dora in staging" in admin.text()


def test_what_is_needed_is_asked_for_before_it_is_sent(cloud_site: Site, browse: Callable):
    """Of the half that is picked alone: a secret that was typed is not lost for an empty key id."""
    admin = browse(cloud_site.url).sign_in("admin")
    admin.visit("/new/credential")
    admin.fill("Name", "a key")
    admin.page.get_by_label("Secret access key").fill("hush")
    admin.page.get_by_role("button", name="Add the credential").click()
    missed = "document.querySelector(':invalid:not(form, fieldset)').name"
    assert admin.page.evaluate(missed) == "access_key_id"
    admin.page.get_by_role("radio", name=re.compile("^A role ")).check()
    admin.page.get_by_role("button", name="Add the credential").click()
    assert admin.page.evaluate(missed) == "role_arn"
    assert admin.path == "/new/credential" and admin.page.locator("main .error").count() == 0


def test_without_javascript(cloud_site: Site, browse: Callable):
    admin = browse(cloud_site.url, java_script_enabled=False).sign_in("admin")
    pick_role(admin, "by hand", "gateway")
    admin.press("Add the credential")
    page = admin.page
    role = page.get_by_label("Role ARN")
    assert "Must be of the form" in page.locator("#role-error").inner_text()
    assert (role.input_value(), role.get_attribute("aria-describedby")) == ("gateway", "role-error")
    assert page.get_by_label("External id").input_value() == "ours"
    assert not page.get_by_label("Secret access key").is_visible()
    role.fill("arn:aws-moon:iam::210987654321:role/gateway")
    admin.press("Add the credential")
    assert "It was tried with AWS and nothing was kept." in admin.text() and "called aws-moon" in admin.text()
    role.fill(ROLE)
    page.get_by_role("checkbox", name=re.compile("^Do not try it with AWS")).check()
    admin.press("Add the credential")
    assert "It was not tried with AWS." in admin.text() and "Its ARN says that it is of account" in admin.text()
    admin.press("Test now")
    assert "assumed-role/gateway/admin" in admin.text()

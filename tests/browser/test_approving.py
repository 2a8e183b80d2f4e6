"""Deciding on access requests, as an approver does it on the pages, and what that means for who asked."""

import re
from collections.abc import Callable

from browsing.person import Person
from browsing.site import Site
from harness.calls import call, refused
from harness.clients import Way, refusal
from harness.cloud import Key


def waiting(person: Person) -> int:
    """The count beside "Requests" in the navigation."""
    count = person.page.locator('nav.side a[href="/access-requests"] .count')
    return int(re.findall(r"\d+", count.inner_text())[0]) if count.count() else 0


def test_approve_and_revoke(cloud_site: Site, browse: Callable):
    dora, anna = browse(cloud_site.url).sign_in("dora"), browse(cloud_site.url).sign_in("anna")
    before = waiting(anna)
    request = dora.ask("DynamoDB", why="orders of the web shop")
    anna.visit("/access-requests")
    assert waiting(anna) == before + 1
    with anna.page.expect_navigation():
        anna.page.locator(f'main a[href*="{request}"]').first.click()
    if not anna.path.endswith("/decide"):
        anna.visit(f"/access-requests/{request}/decide")
    text = anna.text()
    for part in ("dora", "DynamoDB", "orders of the web shop", "will be able to call every operation"):
        assert part in text, part
    anna.decide(request, comment="until Christmas")
    dora.visit(f"/access-requests/{request}")
    assert "until Christmas" in dora.text()
    way = Way(cloud_site.gateway.proxy_url, cloud_site.gateway.ca, Key(*dora.take_secret(request)))
    call(way, "dynamodb")
    anna.end(request, "Revoke", comment="no longer needed")
    assert refused(way, "dynamodb").message == "Client is not Active"
    dora.visit(f"/access-requests/{request}")
    assert "Revoked" in dora.text() and "no longer needed" in dora.text()


def test_allowing_what_hands_out_credentials(cloud_site: Site, browse: Callable):
    """One by one, told plainly before and after; on a narrow screen, too."""
    anna, dora = browse(cloud_site.url).sign_in("anna"), browse(cloud_site.url).sign_in("dora")
    request = cloud_site.team.ask("ec2", "sts")["id"]
    for person in (anna, dora):
        person.page.set_viewport_size({"width": 360, "height": 800})
    anna.visit(f"/access-requests/{request}/decide")
    assert anna.page.evaluate("document.documentElement.scrollWidth") <= 360
    group = anna.page.get_by_role("group", name="Operations that hand out cloud credentials")
    assert "Refused unless you tick it" in group.inner_text()
    assert group.get_by_role("checkbox", checked=True).count() == 0
    group.get_by_role("searchbox").fill("assume")
    group.get_by_role("checkbox", name=re.compile("^AssumeRole Security Token")).check()
    anna.press("Approve access")
    allowed = cloud_site.admin.get(f"/access-requests/{request}")["allow_credential_operations"]
    assert allowed == ["sts:AssumeRole"]
    for person in (anna, dora):
        person.visit(f"/access-requests/{request}")
        assert "sts:AssumeRole" in person.text() and "works past this gateway" in person.text()
        assert person.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_with_a_policy_group(cloud_site: Site, browse: Callable):
    """Told before the click, and on the pages of both after it; the calls keep it."""
    anna, dora = browse(cloud_site.url).sign_in("anna"), browse(cloud_site.url).sign_in("dora")
    admin = browse(cloud_site.url).sign_in("admin")
    admin.visit("/policy-groups")
    admin.follow("Make a policy group")
    admin.fill("Name", "Team tables")
    admin.page.get_by_label("Service", exact=True).fill("dynamodb")
    admin.page.get_by_label("Operation", exact=True).fill("CreateTable")
    admin.page.get_by_label("Beginning or pattern", exact=True).fill("team-")
    admin.press("Add a rule")
    second = admin.page.get_by_role("group", name="Rule 2")
    assert second.get_by_label("Service", exact=True).evaluate("(field) => field === document.activeElement")
    admin.press("Remove rule 2")
    # The key for sending a form saves, and takes no rule away.
    admin.page.get_by_label("Name", exact=True).press("Enter")
    admin.page.wait_for_url(re.compile(r"/policy-groups/(?!new)[0-9a-z]+$"))
    sentence = "What CreateTable of DynamoDB creates must have a name that begins with"
    assert f"{sentence} team-" in admin.text()

    request = cloud_site.team.ask("dynamodb")["id"]
    anna.visit(f"/access-requests/{request}/decide")
    allows = anna.page.locator(".allows")
    assert "What they create may have any name." in allows.inner_text()
    anna.page.get_by_label("Which policy group?").select_option(label="Team tables")
    assert f"{sentence} “team-”." in allows.inner_text()
    anna.press("Approve access")
    for person in (anna, dora):
        person.visit(f"/access-requests/{request}")
        assert "Team tables" in person.text() and f"{sentence} team-" in person.text()
    admin.page.reload()
    admin.follow("Delete the policy group")
    assert "dora in staging" in admin.text()
    assert not admin.page.locator("main").get_by_role("button", name="Delete").count()


TEAMS = "What CreateTable of DynamoDB creates must have a name that begins with"


def test_with_the_rules_that_were_asked_for(cloud_site: Site, browse: Callable):
    """Told while one picks them, picked already for who decides, on the pages of both, and kept by the calls."""
    anna, dora = browse(cloud_site.url).sign_in("anna"), browse(cloud_site.url).sign_in("dora")
    teams, others = cloud_site.policy_group("Tables of teams"), cloud_site.policy_group("Tables of others")
    request = dora.ask("DynamoDB", rules="Tables of teams")
    dora.visit("/environments/staging/cloud-services/request")
    rules = dora.page.get_by_label(re.compile("^Rules"))
    said = dora.page.locator("[data-say=policy_group]")
    assert not said.inner_text()
    rules.select_option(label="Tables of teams")
    assert f"{TEAMS} “team-”." in said.inner_text()
    rules.select_option(label="None in particular")
    assert not said.inner_text()
    dora.visit(f"/access-requests/{request}")
    assert "Policy group asked for" in dora.text() and f"{TEAMS} team-" in dora.text()
    dora.follow("Tables of teams")
    assert f"{TEAMS} team-" in dora.text() and "Where it is used" not in dora.text()

    anna.visit(f"/access-requests/{request}/decide")
    assert "dora asks for “Tables of teams”." in anna.text()
    group, allows = anna.page.get_by_label("Which policy group?"), anna.page.locator(".allows")
    assert group.evaluate("(field) => field.selectedOptions[0].textContent") == "Tables of teams, as asked"
    assert f"{TEAMS} “team-”." in allows.inner_text()
    group.select_option(label="None")
    assert "What they create may have any name, though “Tables of teams” was asked for." in allows.inner_text()
    anna.decide(request)
    for person in (anna, dora):
        person.visit(f"/access-requests/{request}")
        assert "With the policy group “Tables of teams”, as asked." in person.text()
    dynamodb = Way(cloud_site.gateway.proxy_url, cloud_site.gateway.ca, Key(*dora.take_secret(request))).boto3(
        "dynamodb"
    )
    named = {
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    got = refusal(dynamodb.create_table, TableName="orders", **named)
    assert got.message == "Action 'CreateTable' violates policy 'csg.resource.name.prefix'"
    dynamodb.create_table(TableName="team-orders", **named)

    # Without scripts, and with a group that is gone: nothing is picked for her.
    request = dora.ask("DynamoDB", rules="Tables of others")
    cloud_site.admin.raw("DELETE", f"/policy-groups/{others}")
    plain = browse(cloud_site.url, java_script_enabled=False).sign_in("anna")
    plain.decide(request)
    assert "The policy group that was asked for is no longer there: pick another, or none." in plain.text()
    plain.page.get_by_label("Which policy group?").select_option(label="Tables of teams")
    plain.press("Approve access")
    assert cloud_site.admin.get(f"/access-requests/{request}")["policy_group"] == teams


def test_deny(cloud_site: Site, browse: Callable):
    dora, anna = browse(cloud_site.url).sign_in("dora"), browse(cloud_site.url).sign_in("anna")
    request = dora.ask("Lambda")
    anna.decide(request, "Deny", comment="use the shared function")
    dora.visit(f"/access-requests/{request}")
    assert "Denied" in dora.text() and "use the shared function" in dora.text()


def test_both_are_told_wherever_they_are(cloud_site: Site, browse: Callable):
    dora, anna = browse(cloud_site.url).sign_in("dora"), browse(cloud_site.url).sign_in("anna")
    for person in (dora, anna):
        with person.page.expect_response(re.compile(r"/live\?")):
            person.visit("/account")
    before = waiting(anna)
    request = cloud_site.team.ask("redshift")["id"]
    toast = anna.page.locator(".toast a")
    toast.wait_for()
    assert "dora" in toast.inner_text() and request in toast.get_attribute("href")
    anna.page.wait_for_function(
        """(count) => document.querySelector('nav.side a[href="/access-requests"] .count')?.textContent == count""",
        arg=str(before + 1),
    )
    cloud_site.decide(request)
    toast = dora.page.locator(".toast a")
    toast.wait_for()
    assert "approved" in toast.inner_text() and request in toast.get_attribute("href")
    # It leads there, and is no more than a line: the page that one is on stays as it is.
    assert dora.path == "/account"
    toast.click()
    dora.page.wait_for_url(f"**/access-requests/{request}")


def test_without_javascript(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url).sign_in("dora")
    anna = browse(cloud_site.url, java_script_enabled=False).sign_in("anna")
    request = dora.ask("Simple Email Service (SES)")
    anna.decide(request)
    anna.end(request, "Revoke", comment="a test")
    dora.visit(f"/access-requests/{request}")
    assert "Revoked" in dora.text()


def test_decided_meanwhile(cloud_site: Site, browse: Callable):
    dora = browse(cloud_site.url).sign_in("dora")
    anna, admin = browse(cloud_site.url).sign_in("anna"), browse(cloud_site.url).sign_in("admin")
    request = dora.ask("Glacier")
    admin.visit(f"/access-requests/{request}/decide")
    # What is being typed is not taken away when the request changes elsewhere.
    admin.page.get_by_label(re.compile("^Comment")).fill("yes")
    anna.decide(request, "Deny", comment="no")
    admin.press("Approve access")
    assert "came too late" in admin.text() and "yes" in admin.page.get_by_label("Your comment was").input_value()
    assert cloud_site.people["dora"].get(f"/access-requests/{request}")["status"] == "denied"

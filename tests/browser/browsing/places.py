"""Every page, by who looks at it. A new page is one line here, and is held to all that every page is held to."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.calls import refused
from harness.clients import Way
from harness.cloud import Key

from .authenticator import code
from .person import Person
from .site import PASSWORD, Site


@dataclass(frozen=True)
class Place:
    """A page: by its address, or by what leads to it where it is shown once. Nobody is who is not signed in."""

    who: str | None
    where: str | Callable[["Scene", Person], None]

    def __str__(self) -> str:
        where = self.where if isinstance(self.where, str) else self.where.__name__
        return f"{self.who or 'nobody'}:{where}"


class Scene:
    """A site in which something has happened, so that its pages have something to show."""

    def __init__(self, site: Site):
        self.site = site
        team = site.team
        # What stands in braces in the addresses below.
        self.ids = {name: team.ask("dynamodb", "sns")["id"] for name in ("pending", "approved", "active", "ended")}
        self.ids["credential"] = team.credential
        self.ids["role"] = site.role("production account, read only")
        self.ids["policies"] = site.policy_group("team names")
        site.admin.post("/policy-groups", name="nothing yet", policies=[])
        for name in ("approved", "active", "ended"):
            site.decide(self.ids[name], comment="for the orders", policy_group=self.ids["policies"])
        # What was asked for, that it was deleted since, and that something else was given.
        gone = site.policy_group("names of old")
        for name, group in (("asked", self.ids["policies"]), ("lost", gone), ("other", gone)):
            self.ids[name] = team.ask("dynamodb", "sns", policy_group=group)["id"]
        site.decide(self.ids["other"], policy_group=None)
        site.admin.raw("DELETE", f"/policy-groups/{gone}")
        key = team.reveal({"id": self.ids["active"]})
        refused(Way(site.gateway.proxy_url, site.gateway.ca, Key(key.id, key.secret)), "lambda")
        site.decide(self.ids["ended"], "revoke", comment="no longer needed")

    def go(self, person: Person, place: Place) -> None:
        if isinstance(place.where, str):
            person.visit(place.where.format(**self.ids))
        else:
            place.where(self, person)


# --- Pages that are shown once --------------------------------------------------------------------------------------


def wrong_password(scene: Scene, person: Person) -> None:
    person.sign_in("nobody", "wrong")


def asking_in_vain(scene: Scene, person: Person) -> None:
    person.visit("/environments/staging/cloud-services/request")
    person.fill("What for?", "x")
    person.press("Request access")


def another_rule(scene: Scene, person: Person) -> None:
    person.visit("/new/policy-group")
    person.page.locator("#service-1").fill("dynamodb")
    person.press("Add a rule")


def wrong_rules(scene: Scene, person: Person) -> None:
    person.visit(f"/policy-groups/{scene.ids['policies']}")
    person.page.locator("#service-1").fill("nothing-of-that-name")
    person.page.locator("#value-2").fill("team")
    person.press("Save the changes")


def role_in_vain(scene: Scene, person: Person) -> None:
    person.visit("/new/credential")
    person.fill("Name", "a role")
    person.page.get_by_role("radio", name="A role").check()
    person.fill("Role ARN", "no role at all")
    person.page.get_by_label("Source credential").select_option(index=1)
    person.press("Add the credential")


def role_that_aws_refuses(scene: Scene, person: Person) -> None:
    person.visit(f"/credentials/{scene.ids['role']}")
    person.page.get_by_label("Session duration").select_option(label="15 minutes")
    person.press("Change the role")


def secret(scene: Scene, person: Person) -> None:
    request = scene.site.team.ask("ses")["id"]
    scene.site.decide(request)
    person.visit(f"/access-requests/{request}")
    person.press("Show the secret once")


def second_factor_key(scene: Scene, person: Person) -> None:
    person.visit("/account/second-factor")
    person.fill("Password", PASSWORD)
    person.press("Set up a second factor")


def second_factor_wrong_code(scene: Scene, person: Person) -> None:
    second_factor_key(scene, person)
    person.fill("Six digits", "000000")
    person.press("Turn the second factor on")


def recovery_codes(scene: Scene, person: Person) -> None:
    second_factor_key(scene, person)
    person.fill("Six digits", code(person.page.get_by_label("Key", exact=True).inner_text()))
    person.press("Turn the second factor on")


def second_factor_on(scene: Scene, person: Person) -> None:
    recovery_codes(scene, person)
    person.follow("I have saved them")


def asked_for_a_code(scene: Scene, person: Person) -> None:
    recovery_codes(scene, person)
    person.follow("I have saved them")
    person.sign_out()
    person.sign_in("guarded")


PLACES = [
    Place(None, "/sign-in"),
    Place(None, "/sign-in?next=/account"),
    Place(None, "/setup"),
    Place(None, "/clients"),
    Place(None, "/api"),
    Place(None, "/nothing/here"),
    Place(None, wrong_password),
    Place("dora", "/environments/staging/cloud-services"),
    Place("dora", "/environments/staging/cloud-services/request"),
    Place("dora", asking_in_vain),
    Place("dora", "/access-requests/{pending}"),
    Place("dora", "/access-requests/{asked}"),
    Place("dora", "/access-requests/{other}"),
    Place("dora", "/policy-groups"),
    Place("dora", "/policy-groups/{policies}"),
    Place("dora", "/access-requests/{approved}"),
    Place("dora", "/access-requests/{active}"),
    Place("dora", "/access-requests/{ended}"),
    Place("dora", secret),
    Place("dora", "/environments/staging/usage"),
    Place("dora", "/search?q=staging"),
    Place("dora", "/search?q=nothing-of-that-name"),
    Place("dora", "/account"),
    Place("dora", "/account/second-factor"),
    Place("dora", second_factor_key),
    Place("dora", second_factor_wrong_code),
    Place("codes", recovery_codes),
    Place("secured", second_factor_on),
    Place("guarded", asked_for_a_code),
    Place("peter", "/environments/production/cloud-services"),
    Place("peter", "/environments/production/usage"),
    Place("anna", "/environments/staging/cloud-services"),
    Place("anna", "/environments/staging/usage"),
    Place("anna", "/access-requests/{pending}"),
    Place("anna", "/account"),
    Place("admin", "/welcome"),
    Place("admin", "/environments/staging/cloud-services"),
    Place("anna", "/access-requests"),
    Place("anna", "/access-requests?status=active"),
    Place("anna", "/access-requests?service=glacier"),
    Place("anna", "/access-requests/{pending}/decide"),
    Place("anna", "/access-requests/{asked}/decide"),
    Place("anna", "/access-requests/{lost}/decide"),
    Place("anna", "/access-requests/several?step=deny&request={pending}"),
    Place("anna", "/access-requests/several?step=revoke&request={active}&request={approved}"),
    Place("anna", "/access-requests/several/outcome?step=revoke&request={ended}"),
    Place("anna", "/credentials/{credential}"),
    Place("anna", "/credentials/{role}"),
    Place("anna", "/access-requests/{active}"),
    Place("admin", "/access-requests"),
    Place("admin", "/environments"),
    Place("admin", "/environments/staging"),
    Place("admin", "/environments/staging/delete"),
    Place("admin", "/new/environment"),
    Place("admin", "/credentials"),
    Place("admin", "/credentials/{credential}"),
    Place("admin", "/credentials/{credential}/delete"),
    Place("admin", "/credentials/{role}"),
    Place("admin", "/credentials/{role}/delete"),
    Place("admin", role_that_aws_refuses),
    Place("admin", "/new/credential"),
    Place("admin", role_in_vain),
    Place("admin", "/policy-groups"),
    Place("admin", "/policy-groups/{policies}"),
    Place("admin", "/policy-groups/{policies}/delete"),
    Place("admin", "/new/policy-group"),
    Place("admin", another_rule),
    Place("admin", wrong_rules),
    Place("anna", "/policy-groups/{policies}"),
    Place("admin", "/people"),
    Place("admin", "/people/dora"),
    Place("admin", "/people?q=nobody-of-that-name"),
    Place("admin", "/search?q=an"),
    Place("admin", "/people/dora/disable"),
    Place("admin", "/people/dora/roles/take?role=developer&environment=staging"),
    Place("admin", "/new/person"),
    Place("admin", "/tokens"),
    Place("admin", "/ca"),
    Place("admin", "/settings"),
    Place("admin", "/system"),
    Place("ada", "/audit"),
    Place("ada", "/audit?service=lambda"),
    Place("ada", "/audit?user=nobody-of-that-name"),
    Place("ada", "/environments/staging/usage"),
    Place("ada", "/account"),
]

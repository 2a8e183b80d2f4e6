"""A furnished gateway: two environments, and somebody for each role."""

from typing import Any

from harness.console import Console
from harness.gateway import PASSWORD, Gateway, Team

__all__ = ["PASSWORD", "Site"]


class Site:
    """admin; anna approves everywhere, paula in production; dora develops in staging, peter in production; ada audits."""

    def __init__(self, gateway: Gateway):
        self.gateway = gateway
        self.url = gateway.console_url
        self.team = Team(gateway)
        self.admin = self.team.admin
        self.admin.post("/environments", id="production", name="Production")
        self.people: dict[str, Console] = {"admin": self.admin, "anna": self.team.anna, "dora": self.team.dora}
        for name, role, environment in (
            ("paula", "approver", "production"),
            ("peter", "developer", "production"),
            ("ada", "auditor", None),
        ):
            self.people[name] = self.team.add_person(name, role, environment)

    def add_person(self, name: str, role: str = "developer", environment: str | None = "staging") -> Console:
        """One more, for a test that does to them what others should not feel."""
        self.people[name] = self.team.add_person(name, role, environment)
        return self.people[name]

    def policy_group(self, name: str) -> str:
        """Tables are named after their team, and so is what SNS creates."""
        rules = [
            ("csg.resource.name.prefix", "team-", "dynamodb", "CreateTable"),
            ("csg.resource.name.validation_pattern", "/^team-[a-z0-9]+$/i", "sns", None),
        ]
        policies = [
            {
                "type": kind,
                "value": value,
                "status": "enforced",
                "conditions": {"cloud": "aws", "service": service, "operation": operation},
            }
            for kind, value, service, operation in rules
        ]
        return self.admin.post("/policy-groups", name=name, policies=policies)["id"]

    def role(self, name: str) -> str:
        """A role with a long name, assumed with the real key; AWS was not asked about it."""
        role = {"role_arn": f"arn:aws:iam::210987654321:role/teams/{'payments-and-billing/' * 3}gateway-read-only"}
        role |= {"source_credential": self.team.credential, "external_id": "0b7a5c1e-5f0e-4f53-9d4e-2f6d0f7a9b1c"}
        made = self.admin.post(
            "/credentials", name=name, cloud="aws", kind="role", environments=[self.team.environment], **role
        )
        return made["id"]

    def session(self, name: str) -> str:
        """The token of the session that somebody has over the API: the same as that of a browser."""
        token = self.people[name].token
        assert token
        return token

    def decide(self, request: str, step: str = "approve", **details: Any) -> dict:
        """What anna does with a request, over the REST API."""
        if step == "approve":
            details.setdefault("credential", self.team.credential)
        return self.people["anna"].post(f"/access-requests/{request}/{step}", **details)

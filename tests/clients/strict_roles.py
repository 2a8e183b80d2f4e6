"""Who may assume which of moto's roles, which moto does not look at, and how long the session lasts. A role that was not made
is assumed by anybody, as in moto.

As the IAM user guide has it, "AWS JSON policy elements: Principal" and "How to use an external ID": a role is assumed by whom
its trust policy names, with the external id that it demands.
"""

import json
from datetime import timedelta
from urllib.parse import parse_qs

from moto.core.utils import utcnow
from moto.iam.models import iam_backends
from moto.sts.models import STSBackend, sts_backends

from sigv4_verifier import Refused, Request

ACCOUNT = "123456789012"  # moto's own, that of every key which is no session's


def secret_of_session(key: str) -> tuple[str, str] | None:
    """Secret and token of a role's key that has not ended."""
    role = session(key)
    if role is None:
        return None
    if role.expiration <= utcnow():
        raise Refused("ExpiredToken " + key)
    return role.secret_access_key, role.session_token


def session(key: str):
    for account in list(sts_backends.values()):
        for partition in list(account.values()):
            for role in list(partition.assumed_roles):
                if role.access_key_id == key:
                    return role
    return None


def check_trust(request: Request, key: str) -> dict:
    """For the verdict: which role is assumed, as whom, by whom."""
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    if form.get("Action") != "AssumeRole":
        return {}
    by = session(key)
    caller = by.role_arn if by else f"arn:aws:iam::{ACCOUNT}:root"
    role = role_by_arn(form["RoleArn"])
    statements = json.loads(role.assume_role_policy_document)["Statement"] if role else []
    if role and not any(allows(statement, caller, form.get("ExternalId")) for statement in statements):
        words = f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {form['RoleArn']}"
        raise Refused("AccessDenied " + words)
    return {"assumes": form["RoleArn"], "session": form["RoleSessionName"], "by": caller}


def allows(statement: dict, caller: str, external_id: str | None) -> bool:
    wanted = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId")
    named = statement["Principal"]["AWS"]
    return caller in ([named] if isinstance(named, str) else named) and wanted in (None, external_id)


def role_by_arn(arn: str):
    account = arn.split(":")[4]
    for partition in list(iam_backends[account].values()):
        for role in list(partition.roles.values()):
            if role.arn == arn:
                return role
    return None


def let_sessions_last(seconds: int) -> None:
    """Shorter than AWS gives them, so that a test sees their end."""
    assume = STSBackend.assume_role

    def assume_briefly(self, *given, **named):
        role = assume(self, *given, **named)
        role.expiration = utcnow() + timedelta(seconds=seconds)
        return role

    STSBackend.assume_role = assume_briefly

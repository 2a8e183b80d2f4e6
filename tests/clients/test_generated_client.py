"""A client that a generator made of the served OpenAPI document does the whole work, and nothing else talks to the API.

The generator is openapi-python-client; with --fail-on-warning it leaves out nothing of the document silently.
"""

import importlib
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.clients import Way
from harness.cloud import REAL_KEY, Key
from harness.gateway import PASSWORD, Gateway
from harness.process import wait_until

PACKAGE = "generated_gateway_client"


class Api:
    """The generated package, and one person's client of it: `api.create_user(body=…)`."""

    def __init__(self, package: ModuleType, url: str, token: str | None = None):
        self.package, self.url = package, url
        made = package.AuthenticatedClient(base_url=url, token=token) if token else package.Client(base_url=url)
        self.client = made

    def model(self, name: str) -> Any:
        return getattr(importlib.import_module(f"{PACKAGE}.models"), name)

    def answer(self, tag: str, operation: str, *arguments: Any, **parameters: Any) -> Any:
        """What the generated function gives: the status, and the body as one of the generated classes."""
        function = importlib.import_module(f"{PACKAGE}.api.{tag}.{operation}")
        return function.sync_detailed(*arguments, client=self.client, **parameters)

    def do(self, status: HTTPStatus, tag: str, operation: str, *arguments: Any, **parameters: Any) -> Any:
        answer = self.answer(tag, operation, *arguments, **parameters)
        assert answer.status_code == status, answer
        # Without a body there is nothing to be understood; anything else has to be.
        assert answer.parsed is not None or not answer.content, answer
        return answer.parsed

    def refused(self, status: HTTPStatus, tag: str, operation: str, *arguments: Any, **parameters: Any) -> Any:
        problem = self.do(status, tag, operation, *arguments, **parameters)
        assert isinstance(problem, self.model("Problem")) and problem.status == status and problem.detail
        return problem

    def sign_in(self, name: str) -> "Api":
        session = self.do(
            HTTPStatus.CREATED,
            "sessions",
            "create_session",
            body=self.model("SignIn")(username=name, password=PASSWORD),
        )
        assert session.user.username == name
        return Api(self.package, self.url, session.token)


@pytest.fixture(scope="module")
def generated(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    folder = tmp_path_factory.mktemp("generated")
    # Its own formatters are not needed, and what is not there to be run would be a warning.
    (folder / "config.yaml").write_text("post_hooks: []\n")
    command = [
        *(Path(sys.executable).with_name("openapi-python-client"), "generate", "--fail-on-warning", "--meta", "none"),
        *("--url", f"{gateway.console_url}/api/openapi.json", "--output-path", folder / PACKAGE),
        *("--config", folder / "config.yaml"),
    ]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(PACKAGE)
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def nobody(generated: ModuleType, gateway: Gateway) -> Api:
    return Api(generated, gateway.console_url)


@pytest.fixture(scope="module")
def admin(nobody: Api) -> Api:
    return nobody.sign_in("admin")


def test_every_operation_of_the_document_is_generated(generated: ModuleType, gateway: Gateway):
    document = gateway.sign_in("admin").document()
    operations = {
        operation["operationId"]: operation["tags"][0].lower().replace(" ", "_")
        for item in document["paths"].values()
        for operation in item.values()
        if "operationId" in operation
    }
    for operation, tag in operations.items():
        assert importlib.import_module(f"{PACKAGE}.api.{tag}.{operation}").sync_detailed


def test_the_whole_way(nobody: Api, admin: Api, gateway: Gateway):
    made, done = HTTPStatus.CREATED, HTTPStatus.OK
    model = admin.model

    # Furnishing it.
    environment = admin.do(
        made, "environments", "create_environment", body=model("NewEnvironment")(id="generated", name="Generated")
    )
    credential = admin.do(
        made,
        "credentials",
        "create_credential",
        body=model("NewStaticCredential")(
            name="generated account",
            cloud="aws",
            kind=model("NewStaticCredentialKind")("static"),
            access_key_id=REAL_KEY.id,
            secret_access_key=REAL_KEY.secret,
            environments=[environment.id],
        ),
    )
    assert (credential.environments, credential.role_arn) == (["generated"], None)
    role = admin.do(
        made,
        "credentials",
        "create_credential",
        body=model("NewRoleCredential")(
            name="generated role",
            cloud="aws",
            kind=model("NewRoleCredentialKind")("role"),
            role_arn="arn:aws:iam::123456789012:role/generated",
            source_credential=credential.id,
            external_id="generated",
        ),
    )
    assert (role.kind, role.access_key_id) == (model("CredentialKind").ROLE, None)
    assert (role.external_id, role.session_duration) == ("generated", "1h")
    # Null takes away, what is left out stays.
    change = model("CredentialChange")(external_id=None)
    changed = admin.do(done, "credentials", "change_credential", role.id, body=change)
    assert (changed.external_id, changed.source_credential) == (None, credential.id)
    for name, role in (("gerda", "developer"), ("gustav", "approver")):
        held = model("RoleAssignment")(role=model("Role")(role), environment=environment.id)
        person = admin.do(
            made, "people", "create_user", body=model("NewUser")(username=name, password=PASSWORD, roles=[held])
        )
        assert person.roles == [held] and not person.disabled
    gerda, gustav = nobody.sign_in("gerda"), nobody.sign_in("gustav")

    # A token does as well as a session.
    token = gerda.do(made, "api_tokens", "create_token", body=model("NewToken")(name="generated", duration="1d"))
    gerda = Api(gerda.package, gerda.url, token.token)

    # Asked for, approved, the secret read, once.
    conditions = model("PolicyConditions")(cloud="aws", service="dynamodb", operation="CreateTable")
    rule = model("Policy")(
        type_=model("PolicyType")("csg.resource.name.prefix"),
        status=model("PolicyStatus")("enforced"),
        conditions=conditions,
        value="generated-",
    )
    group = admin.do(
        made,
        "policy_groups",
        "create_policy_group",
        body=model("NewPolicyGroup")(name="generated names", policies=[rule]),
    )
    request = gerda.do(
        made,
        "access_requests",
        "create_access_request",
        environment.id,
        body=model("NewAccessRequest")(
            cloud="aws",
            services=["dynamodb"],
            justification="a generated client needs it",
            duration="30d",
            policy_group=group.id,
        ),
    )
    status = model("Status")
    assert (request.status, request.decided_by, request.expires_at) == (status.PENDING, None, None)
    approval = model("Approval")(credential=credential.id, comment="from a generated client")
    approved = gustav.do(done, "access_requests", "approve_access_request", request.id, body=approval)
    assert (approved.status, approved.decided_by) == (status.APPROVED, "gustav")
    # What was asked for is attached where nothing is said of it.
    assert approved.requested_policy_group == approved.policy_group == group.id
    assert gerda.do(done, "policy_groups", "show_policy_group", group.id).policies == [rule]
    assert (approved.expires_at - approved.decided_at).days == 30
    secret = gerda.do(done, "access_requests", "read_secret", request.id)
    gone = gerda.refused(HTTPStatus.GONE, "access_requests", "read_secret", request.id)
    assert gone.title and gone.type_

    # Used.
    call(gateway, secret)

    def usage() -> Any:
        return gerda.do(done, "access_requests", "show_usage", request.id)

    wait_until(lambda: usage().calls == 1, 20, "the call to be counted")
    counted = usage()
    assert [(use.service, use.operation, use.calls) for use in counted.by_operation] == [("dynamodb", "ListTables", 1)]
    assert counted.last_used_at and len(counted.by_day) == 1

    # Rotated: the old key goes on for an hour, the new one works at once.
    overlap = model("Rotation")(overlap="1h")
    rotated = gerda.do(done, "access_requests", "rotate_access_request", request.id, body=overlap)
    assert rotated.secret_available and len(rotated.keys) == 2
    renewed = gerda.do(done, "access_requests", "read_secret", request.id)
    for key in (secret, renewed):
        call(gateway, key)

    # Revoked.
    ended = gustav.do(
        done, "access_requests", "revoke_access_request", request.id, body=model("Comment")(comment="enough")
    )
    assert ended.status == status.REVOKED
    conflict = gustav.refused(
        HTTPStatus.CONFLICT, "access_requests", "approve_access_request", request.id, body=approval
    )
    assert "revoked" in conflict.detail


def call(gateway: Gateway, secret: Any) -> None:
    key = Key(secret.access_key_id, secret.secret_access_key)
    assert "TableNames" in Way(gateway.proxy_url, gateway.ca, key).boto3("dynamodb").list_tables()


def test_lists_go_on_where_their_cursor_says(admin: Api):
    def entries(limit: int) -> list[Any]:
        found, cursor = [], {}
        while True:
            page = admin.do(HTTPStatus.OK, "audit", "list_audit", limit=limit, **cursor)
            assert len(page.items) <= limit
            found += page.items
            if page.next_cursor is None:
                return found
            cursor = {"cursor": page.next_cursor}

    admin.sign_in("admin")
    all_at_once, one_by_one = entries(1000), entries(1)
    # What the calls of this test did meanwhile, nobody did: reading is not written down.
    assert [entry.to_dict() for entry in one_by_one] == [entry.to_dict() for entry in all_at_once]
    assert {type(entry).__name__ for entry in all_at_once} <= {"AuditCall", "AuditEvent"}
    assert any(entry.action == "session.create" for entry in all_at_once if type(entry).__name__ == "AuditEvent")


def test_refusals_are_problems(nobody: Api, admin: Api):
    body = admin.model("NewUser")(username="hugo", password="short", roles=[])
    problem = admin.refused(HTTPStatus.UNPROCESSABLE_ENTITY, "people", "create_user", body=body)
    assert [error.field for error in problem.errors] == ["password"]
    admin.refused(HTTPStatus.NOT_FOUND, "access_requests", "show_access_request", "nothing")
    nobody.refused(HTTPStatus.UNAUTHORIZED, "sessions", "show_me")


def test_all_that_can_be_read_is_understood(admin: Api):
    """Every class that answers are made of is filled from a real one."""
    for tag, operation, *arguments in (
        ("api_tokens", "list_tokens"),
        ("access_requests", "list_access_requests"),
        ("certificate_authority", "show_ca"),
        ("clouds", "list_clouds"),
        ("credentials", "list_credentials"),
        ("environments", "list_environments"),
        ("people", "list_users"),
        ("policy_groups", "list_policy_groups"),
        ("people", "show_user", "admin"),
        ("sessions", "list_sessions"),
        ("sessions", "show_me"),
        ("sessions", "show_second_factor"),
        ("settings", "show_settings"),
        ("system", "show_system"),
    ):
        assert admin.do(HTTPStatus.OK, tag, operation, *arguments) is not None

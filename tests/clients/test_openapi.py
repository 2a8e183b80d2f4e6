"""Schemathesis reads the OpenAPI document and tries everything it allows, and much that it does not.

It must not lose its own access meanwhile: signed in as an administrator, it would end its session, disable itself or
give itself no roles, and from then on be told 401 whatever it asks. So what takes things away is pointed at things that
are there to be taken, and each operation has to have worked at least once.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.console import ApiError, Console
from harness.gateway import Gateway, Team

LIMIT_SECONDS = 60
# What is sent may be refused for what a schema can't say: names of things that do not exist, cursors that no list
# returned; 424 where a cloud would have to be asked.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "410", "422", "424", "429"]

[[operations]]
include-operation-id = "delete_session"
enabled = false
"""
# What generated data can't bring about, and why.
NEVER = {
    "begin_second_factor": "takes the caller's password",
    "change_my_password": "takes the caller's password",
    "confirm_second_factor": "takes a code of an authenticator app",
    "create_session": "takes somebody's password",
    "delete_session": "would end the run: it is done by hand below",
    "disable_second_factor": "takes the caller's password and a code",
    "reset_second_factor": "nobody has a second factor",
    "test_credential": "asks the cloud, and there is none",
}


@pytest.fixture(scope="module")
def furnished(make_gateway: Callable) -> Team:
    """A gateway of its own: what is tried here takes things away."""
    return Team(make_gateway({}))


def targets(team: Team) -> Iterator[tuple[str, dict[str, str]]]:
    """What each operation is pointed at: something that it can be done to, and that nothing else stands on."""
    admin = team.admin

    def request(*steps: str, who: Console = admin) -> str:
        asked = team.ask("dynamodb", who=who)
        if "approve" in steps:
            team.approve(asked)
        if "reveal" in steps:
            team.reveal(asked, who=admin)
        return asked["id"]

    for operation, steps in (
        ("deny_access_request", ()),
        ("withdraw_access_request", ()),
        ("read_secret", ("approve",)),
        ("revoke_access_request", ("approve", "reveal")),
        ("rotate_access_request", ("approve", "reveal")),
        ("archive_access_request", ("approve", "reveal")),
        ("show_access_request", ()),
        ("show_usage", ("approve", "reveal")),
    ):
        yield operation, {"id": request(*steps)}
    # Nobody approves their own.
    yield "approve_access_request", {"id": request(who=team.dora)}
    admin.post("/environments", id="spare", name="Spare")
    yield "delete_environment", {"id": "spare"}
    for operation in ("show_environment", "change_environment"):
        yield operation, {"id": team.environment}
    for operation in ("create_access_request", "list_environment_access_requests"):
        yield operation, {"id": team.environment}
    key = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
    spare = admin.post("/credentials", name="spare", cloud="aws", kind="static", environments=[], **key)
    yield "delete_credential", {"id": spare["id"]}
    for operation in ("show_credential", "change_credential", "test_credential"):
        yield operation, {"id": team.credential}
    yield "delete_policy_group", {"id": admin.post("/policy-groups", name="spare", policies=[])["id"]}
    kept = admin.post("/policy-groups", name="kept", policies=[])["id"]
    for operation in ("show_policy_group", "replace_policy_group"):
        yield operation, {"id": kept}
    for operation in ("show_user", "change_user", "reset_second_factor"):
        yield operation, {"id": "dora"}
    peter = team.add_person("peter", "developer")
    yield "list_user_tokens", {"id": "peter"}
    yield "delete_user_token", {"id": "peter", "token": peter.post("/tokens", name="spare")["id"]}
    yield "delete_token", {"id": admin.post("/tokens", name="spare")["id"]}
    team.gateway.sign_in("admin")
    yield "end_session", {"id": next(known["id"] for known in admin.items("/sessions") if not known["current"])}


def document(team: Team) -> dict:
    """The document, with what a schema can't say: a credential that there is, and a name that nobody has."""
    document = team.admin.document()
    schemas = document["components"]["schemas"]
    schemas["Approval"]["properties"]["credential"] = {"type": "string", "enum": [team.credential]}
    # What it is asked for or approved with must not be what is taken away meanwhile.
    schemas["Approval"]["properties"]["policy_group"] = {"type": "null"}
    schemas["NewAccessRequest"]["properties"]["policy_group"] = {"type": "null"}
    schemas["UserName"]["examples"] = ["erika"]
    return document


def pinned(operation: str, parameters: dict[str, str]) -> str:
    values = ", ".join(f'"path.{name}" = {json.dumps(value)}' for name, value in parameters.items())
    return f'\n[[operations]]\ninclude-operation-id = "{operation}"\nparameters = {{ {values} }}\n'


def succeeded(events: Path) -> dict[tuple[str, str], bool]:
    """Which operations, as method and path, have worked at least once."""
    worked: dict[tuple[str, str], bool] = defaultdict(bool)
    for line in events.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder") or {}
        for name, interaction in recorder.get("interactions", {}).items():
            case = recorder["cases"][name]["value"]
            response = interaction.get("response") or {}
            worked[case["method"], case["path"]] |= 200 <= response.get("status_code", 0) < 300
    return worked


def test_schemathesis_finds_nothing_and_everything_works_once(furnished: Team, tmp_path: Path) -> None:
    gateway: Gateway = furnished.gateway
    described = document(furnished)
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    configuration = CONFIGURATION + "".join(pinned(*target) for target in targets(furnished))
    (tmp_path / "schemathesis.toml").write_text(configuration)
    events = tmp_path / "events.ndjson"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", "openapi.json"),
        *("--url", gateway.console_url, "--header", f"Authorization: Bearer {furnished.admin.token}"),
        *("--generation-deterministic", "--max-examples", "10", "--max-time", str(LIMIT_SECONDS)),
        *("--request-timeout", "20", "--continue-on-failure", "--no-color", "--report-ndjson-path", str(events)),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_SECONDS + 60, check=False)
    assert run.returncode == 0, run.stdout[-12000:] + run.stderr[-2000:]
    assert "API Operations" in run.stdout, run.stdout

    assert furnished.admin.get("/me")["username"] == "admin", "the access that it was run with was lost"
    worked = succeeded(events)
    operations = {
        operation["operationId"]: (method.upper(), path)
        for path, item in described["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict) and "operationId" in operation
    }
    assert {name for name, place in operations.items() if not worked[place]} == set(NEVER)


def test_signing_out_ends_the_session(furnished: Team) -> None:
    leaving = furnished.gateway.sign_in("admin")
    assert leaving.raw("DELETE", "/sessions/current") == b""
    with pytest.raises(ApiError) as refused:
        leaving.get("/me")
    assert refused.value.status == 401

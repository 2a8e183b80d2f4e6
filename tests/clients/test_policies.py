"""Policy groups, with a real client and moto: what is named wrongly is refused, and a change holds from the next call on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.clients import Way, refusal
from harness.cloud import StrictMoto
from harness.console import ApiError
from harness.gateway import Team
from harness.process import wait_until

PREFIX, PATTERN = "csg.resource.name.prefix", "csg.resource.name.validation_pattern"


def rule(
    kind: str, value: str, service: str | None = "dynamodb", operation: str | None = "CreateTable", status: str = "enforced"
) -> dict[str, Any]:  # fmt: skip
    conditions = {"cloud": "aws", "service": service, "operation": operation}
    return {"type": kind, "value": value, "status": status, "conditions": conditions}


def table(name: str) -> dict[str, Any]:
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }


class Bound:
    """A client whose access has a policy group."""

    def __init__(self, team: Team, name: str):
        self.team, self.name = team, name
        self.group = team.admin.post("/policy-groups", name=name, policies=[])["id"]
        self.key = team.grant("dynamodb", "sns", "lambda", policy_group=self.group)
        self.way = Way(team.gateway.proxy_url, team.gateway.ca, self.key)

    def demand(self, *rules: dict) -> None:
        self.team.admin.put(f"/policy-groups/{self.group}", name=self.name, policies=list(rules))

    def client(self, service: str) -> Any:
        return self.way.boto3(service)


@pytest.fixture(scope="module")
def team(make_gateway: Callable, cloud: StrictMoto) -> Team:
    return Team(make_gateway({"*.amazonaws.com": cloud.address}))


@pytest.fixture
def bound(team: Team, request: pytest.FixtureRequest) -> Iterator[Bound]:
    bound = Bound(team, request.node.name)
    yield bound
    team.anna.post(f"/access-requests/{bound.key.request}/revoke")
    team.admin.raw("DELETE", f"/policy-groups/{bound.group}")


def refused(call: Callable, kind: str, operation: str, **parameters: Any) -> None:
    got = refusal(call, **parameters)
    message = f"Action '{operation}' violates policy '{kind}'"
    assert (got.status, got.code, got.message, got.retries) == (403, "AccessDeniedException", message, 0)


def test_a_table_is_named_as_the_prefix_demands(bound: Bound, cloud: StrictMoto):
    bound.demand(rule(PREFIX, "orders-"))
    dynamodb = bound.client("dynamodb")
    seen = len(cloud.verdicts())
    for name in ("customers", "Orders-1", "my-orders-1", "order"):
        refused(dynamodb.create_table, PREFIX, "CreateTable", **table(name))
    assert len(cloud.verdicts()) == seen, "what is refused does not leave"
    made = dynamodb.create_table(**table("orders-1"))
    assert made["TableDescription"]["TableName"] == "orders-1"
    # It is about what calls create, and about nothing else.
    dynamodb.delete_table(TableName="orders-1")
    assert "TableNames" in dynamodb.list_tables()
    # SDKs raise their own typed error, that handlers of access errors catch.
    with pytest.raises(dynamodb.exceptions.ClientError) as raised:
        dynamodb.create_table(**table("customers"))
    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_pattern_is_searched_for(bound: Bound):
    bound.demand(rule(PATTERN, "/^Bill-[0-9]{2}$/i"))
    dynamodb = bound.client("dynamodb")
    for name in ("bill-1", "bill-100", "a-bill-10"):
        refused(dynamodb.create_table, PATTERN, "CreateTable", **table(name))
    dynamodb.create_table(**table("BILL-10"))
    bound.demand(rule(PATTERN, "/ill/"))
    dynamodb.create_table(**table("bills-of-all"))
    refused(dynamodb.create_table, PATTERN, "CreateTable", **table("BILLS"))


def test_all_rules_that_concern_a_call_are_kept(bound: Bound):
    bound.demand(rule(PREFIX, "both-"), rule(PATTERN, "/-[0-9]+$/"), rule(PREFIX, "topic-", "sns", "CreateTopic"))
    dynamodb, sns = bound.client("dynamodb"), bound.client("sns")
    refused(dynamodb.create_table, PATTERN, "CreateTable", **table("both-x"))
    refused(dynamodb.create_table, PREFIX, "CreateTable", **table("neither-1"))
    dynamodb.create_table(**table("both-1"))
    got = refusal(sns.create_topic, Name="both-1")
    assert (got.status, got.message) == (403, f"Action 'CreateTopic' violates policy '{PREFIX}'")
    assert sns.create_topic(Name="topic-1")["TopicArn"].endswith(":topic-1")


@pytest.mark.parametrize("service", ["dynamodb", None], ids=["service", "any"])
def test_a_rule_without_an_operation_concerns_all_that_create(service: str | None, bound: Bound):
    name = f"wide-{service}-"
    bound.demand(rule(PREFIX, name, service, None))
    dynamodb, sns = bound.client("dynamodb"), bound.client("sns")
    refused(dynamodb.create_table, PREFIX, "CreateTable", **table("narrow"))
    dynamodb.create_table(**table(f"{name}1"))
    assert f"{name}1" in dynamodb.list_tables()["TableNames"]
    refused(dynamodb.create_backup, PREFIX, "CreateBackup", TableName=f"{name}1", BackupName="narrow")
    if service:
        sns.create_topic(Name="narrow")
    else:
        assert refusal(sns.create_topic, Name="narrow").message.startswith("Action 'CreateTopic' violates policy")


def test_a_change_holds_from_the_next_call_on(bound: Bound):
    """For the same client on the same connection."""
    dynamodb = bound.client("dynamodb")
    dynamodb.create_table(**table("free-1"))
    bound.demand(rule(PREFIX, "first-"))
    refused(dynamodb.create_table, PREFIX, "CreateTable", **table("free-2"))
    bound.demand(rule(PREFIX, "second-"))
    refused(dynamodb.create_table, PREFIX, "CreateTable", **table("first-1"))
    dynamodb.create_table(**table("second-1"))
    # Kept for later, a rule is none.
    bound.demand(rule(PREFIX, "second-", status="disabled"))
    dynamodb.create_table(**table("free-3"))
    bound.demand(rule(PREFIX, "second-"))
    refused(dynamodb.create_table, PREFIX, "CreateTable", **table("free-4"))


def test_access_of_others_is_not_bound(bound: Bound, team: Team):
    bound.demand(rule(PREFIX, "bound-"))
    free = bound.way.with_key(team.grant("dynamodb")).boto3("dynamodb")
    free.create_table(**table("unbound"))
    refused(bound.client("dynamodb").create_table, PREFIX, "CreateTable", **table("unbound-2"))


def test_what_is_asked_for_holds_unless_the_approver_says_otherwise(team: Team, cloud: StrictMoto):
    """Dora looks for the group and asks for it, anna says yes without a word of it, and the calls keep its rules."""
    made = team.admin.post("/policy-groups", name="asked for", policies=[rule(PREFIX, "asked-")])["id"]
    [known] = [group for group in team.dora.items("/policy-groups") if group["name"] == "asked for"]
    assert (known["id"], known["policies"][0]["value"], known["in_use"]) == (made, "asked-", None)
    asked = [team.ask("dynamodb", policy_group=made) for _ in range(3)]
    assert {request["requested_policy_group"] for request in asked} == {made}

    def client(request: dict) -> Any:
        return Way(team.gateway.proxy_url, team.gateway.ca, team.reveal(request)).boto3("dynamodb")

    assert team.approve(asked[0])["policy_group"] == made
    dynamodb = client(asked[0])
    seen = len(cloud.verdicts())
    refused(dynamodb.create_table, PREFIX, "CreateTable", **table("not-asked-for"))
    assert len(cloud.verdicts()) == seen, "what is refused does not leave"
    dynamodb.create_table(**table("asked-1"))
    # Said so, there are none.
    assert team.approve(asked[1], policy_group=None)["policy_group"] is None
    client(asked[1]).create_table(**table("without-rules"))

    # A group that goes away while it is waited for lets nobody have more: the yes has to say what holds instead.
    team.anna.post(f"/access-requests/{asked[0]['id']}/revoke")
    team.admin.raw("DELETE", f"/policy-groups/{made}")
    with pytest.raises(ApiError, match="must be given, as the one that was asked for is no longer there") as raised:
        team.approve(asked[2])
    assert raised.value.status == 422
    other = team.admin.post("/policy-groups", name="instead", policies=[rule(PREFIX, "instead-")])["id"]
    team.approve(asked[2], policy_group=other)
    dynamodb = client(asked[2])
    refused(dynamodb.create_table, PREFIX, "CreateTable", **table("asked-2"))
    dynamodb.create_table(**table("instead-1"))
    told = [event["detail"] for event in team.admin.events(f"request={asked[2]['id']}")]
    says = f"policy group {other} (instead), where {made} (deleted since) was asked for"
    assert any(says in (detail or "") for detail in told), told


def test_a_restart_and_a_new_key_change_nothing(bound: Bound, team: Team):
    bound.demand(rule(PREFIX, "kept-"))
    team.dora.post(f"/access-requests/{bound.key.request}/rotate", overlap="1h")
    renewed = bound.way.with_key(team.reveal({"id": bound.key.request}))
    for way in (bound.way, renewed):
        refused(way.boto3("dynamodb").create_table, PREFIX, "CreateTable", **table("lost"))
    team.gateway.stop()
    team.gateway.start()
    for number, way in enumerate((bound.way, renewed)):
        refused(way.boto3("dynamodb").create_table, PREFIX, "CreateTable", **table("lost"))
        way.boto3("dynamodb").create_table(**table(f"kept-{number}"))


def test_what_was_refused_is_in_the_audit_log(bound: Bound, team: Team):
    bound.demand(rule(PREFIX, "told-"))
    refused(bound.client("dynamodb").create_table, PREFIX, "CreateTable", **table("untold"))

    def told() -> list[dict]:
        return team.admin.calls(f"request={bound.key.request}&operation=CreateTable")

    wait_until(told, 20, "the call to be told of")
    assert [(call["outcome"], call["status"]) for call in told()] == [("refused", 403)]

"""Several accounts by one key: the gateway assumes roles, one after another where it must, and renews their sessions in time.

moto keeps accounts apart; who may assume what, its strict front looks at (`strict_roles.py`).
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.certificates import CloudCertificates
from harness.clients import Way, refusal
from harness.cloud import REAL_KEY, StrictMoto, Tunnel
from harness.console import ApiError
from harness.gateway import Gateway, Team

OWN, FIRST, SECOND = "123456789012", "111111111111", "222222222222"
ROOT = f"arn:aws:iam::{OWN}:root"
TABLE: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
UNUSABLE = "the cloud credential behind this access request can't be used; tell your administrator"


@pytest.fixture(scope="module")
def team(make_gateway: Callable, cloud: StrictMoto) -> Team:
    return Team(make_gateway({"*.amazonaws.com": cloud.address}))


def make_role(straight: Way, account: str, name: str, by: str, external_id: str | None = None) -> str:
    """As the account's administrator does it; tells the role's ARN."""
    iam = straight.boto3("iam")

    def in_account(request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = account

    iam.meta.events.register("before-send", in_account)
    condition = {"StringEquals": {"sts:ExternalId": external_id}} if external_id else {}
    statement = {"Effect": "Allow", "Principal": {"AWS": by}, "Action": "sts:AssumeRole", "Condition": condition}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    assert arn == f"arn:aws:iam::{account}:role/{name}"
    return arn


def add(team: Team, arn: str, source: str | None = None, **details: Any) -> dict:
    environments = [team.environment]
    role = {"kind": "role", "role_arn": arn, "source_credential": source or team.credential}
    return team.admin.post("/credentials", name=arn, cloud="aws", environments=environments, **role, **details)


def way_by(team: Team, credential: dict, *services: str) -> Way:
    request = team.ask(*services)
    team.anna.post(f"/access-requests/{request['id']}/approve", credential=credential["id"])
    return Way(team.gateway.proxy_url, team.gateway.ca, team.reveal(request))


def assumed(cloud: StrictMoto, since: int) -> list[tuple[str, str, str]]:
    """Which role, in whose session, by whom."""
    seen = cloud.verdicts()[since:]
    assert all("refused" not in verdict for verdict in seen), seen
    return [(verdict["assumes"], verdict["session"], verdict["by"]) for verdict in seen if "assumes" in verdict]


def test_several_accounts_by_one_key(team: Team, straight: Way, cloud: StrictMoto):
    arns = {account: make_role(straight, account, "gateway", ROOT) for account in (FIRST, SECOND)}
    since = len(cloud.verdicts())
    for account, arn in arns.items():
        way = way_by(team, add(team, arn), "dynamodb", "sts")
        dynamodb = way.boto3("dynamodb")
        dynamodb.create_table(TableName=f"of-{account}", **TABLE)
        assert dynamodb.list_tables()["TableNames"] == [f"of-{account}"]
        # CloudTrail would name her, too.
        told = way.boto3("sts").get_caller_identity()
        assert (told["Account"], told["Arn"]) == (account, f"arn:aws:sts::{account}:assumed-role/gateway/dora")
    # Each was assumed once, for all that was called; nothing else was signed with the long-lived key.
    assert assumed(cloud, since) == [(arn, "dora", ROOT) for arn in arns.values()]
    keys = [verdict["key"] for verdict in cloud.verdicts()[since:] if "assumes" not in verdict]
    assert len(keys) == 6 and REAL_KEY.id not in keys and len(set(keys)) == 2


def test_a_role_by_a_role(team: Team, straight: Way, cloud: StrictMoto):
    hub = make_role(straight, FIRST, "hub", ROOT)
    spoke = make_role(straight, SECOND, "spoke", hub)
    chain = add(team, spoke, add(team, hub)["id"])
    since = len(cloud.verdicts())
    told = way_by(team, chain, "sts").boto3("sts").get_caller_identity()
    assert told["Arn"] == f"arn:aws:sts::{SECOND}:assumed-role/spoke/dora"
    assert assumed(cloud, since) == [(hub, "dora", ROOT), (spoke, "dora", hub)]


def test_with_an_external_id(team: Team, straight: Way, cloud: StrictMoto):
    arn = make_role(straight, FIRST, "partner", ROOT, external_id="csg:4711/a+b=c")
    credential = add(team, arn, external_id="csg:4711/a+b=c")
    assert way_by(team, credential, "sqs").boto3("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    # Without it, AWS says no: to the administrator at once, to the developer in words that tell nothing of the account.
    with pytest.raises(ApiError) as refused:
        add(team, arn, check=True)
    assert refused.value.status == 424
    assert f"User: {ROOT} is not authorized to perform: sts:AssumeRole" in refused.value.problem["detail"]
    got = refusal(way_by(team, add(team, arn), "sqs").boto3("sqs", retries={"total_max_attempts": 1}).list_queues)
    assert (got.status, got.message) == (503, f"The gateway cannot take calls now: {UNUSABLE}")
    assert f'role={arn} session="dora"' in team.gateway.running().text()


def test_who_tests_it_learns_whose_it_is(team: Team, straight: Way):
    arn = make_role(straight, SECOND, "tested", ROOT)
    credential = add(team, arn)
    assert credential["checked"] is None
    told = team.admin.post(f"/credentials/{credential['id']}/test")
    assert (told["account"], told["arn"]) == (SECOND, f"arn:aws:sts::{SECOND}:assumed-role/tested/admin")


def test_access_ends_at_once_though_the_session_goes_on(team: Team, straight: Way):
    credential = add(team, make_role(straight, FIRST, "ends", ROOT))
    way = way_by(team, credential, "sqs")
    way.boto3("sqs").list_queues()
    team.anna.post(f"/access-requests/{way.key.request}/revoke", comment="enough")
    assert refusal(way.boto3("sqs").list_queues).message == "Client is not Active"


def test_another_process_takes_over(make_gateway: Callable, straight: Way, cloud: StrictMoto):
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}))
    way = way_by(team, add(team, make_role(straight, FIRST, "handed-over", ROOT)), "sqs")
    sqs = way.boto3("sqs")
    sqs.list_queues()
    since = len(cloud.verdicts())
    before = team.gateway.upgrade()
    # The connection that there is belongs to the process before, the next one to the new one.
    for _ in range(3):
        sqs.list_queues()
    way.boto3("sqs").list_queues()
    assert before.child.wait(30) == 0
    assert assumed(cloud, since) == [(f"arn:aws:iam::{FIRST}:role/handed-over", "dora", ROOT)]


@pytest.fixture
def hasty(tmp_path: Path, certificates: CloudCertificates):
    """Its sessions last 63 seconds, of which the gateway uses the first three."""
    moto = StrictMoto(tmp_path, certificates, "--session-seconds", "63")
    yield moto
    moto.stop()


def test_sessions_are_renewed_and_no_call_notices(
    hasty: StrictMoto, make_gateway: Callable[..., Gateway], certificates: CloudCertificates
):
    tunnel = Tunnel(hasty.address)
    try:
        hub = make_role(Way(tunnel.proxy_url, certificates.ca, REAL_KEY), FIRST, "hub", ROOT)
        spoke = make_role(Way(tunnel.proxy_url, certificates.ca, REAL_KEY), SECOND, "spoke", hub)
    finally:
        tunnel.stop()
    team = Team(make_gateway({"*.amazonaws.com": hasty.address}))
    sqs = way_by(team, add(team, spoke, add(team, hub)["id"]), "sqs").boto3("sqs", retries={"total_max_attempts": 1})
    since, ends = len(hasty.verdicts()), time.monotonic() + 60
    while len(assumed(hasty, since)) < 8:
        assert time.monotonic() < ends, "the sessions are not renewed"
        sqs.list_queues()
    tries = [arn for arn, _, _ in assumed(hasty, since)]
    assert tries.count(hub) in range(3, 6) and tries.count(spoke) in range(3, 6)
    keys = [verdict["key"] for verdict in hasty.verdicts()[since:] if "assumes" not in verdict]
    assert len(dict.fromkeys(keys)) >= 3 and REAL_KEY.id not in keys
    # Never one that had been replaced.
    assert [key for at, key in enumerate(keys) if at == 0 or keys[at - 1] != key] == list(dict.fromkeys(keys))

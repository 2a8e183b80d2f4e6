"""Every call leaves one record, allowed or refused, and what is reported of an access request adds them up."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from harness.calls import OPERATIONS, call, lister, refused
from harness.clients import Way, refusal
from harness.cloud import REAL_KEY, Key
from harness.console import ApiError
from harness.gateway import NINE_SERVICES, Gateway, Team
from harness.process import wait_until
from harness.wire import Connection

LIMIT_SECONDS = 10


def records(team: Team, count: int, query: str) -> list[dict]:
    """The records that match, once there are as many as expected; newest first."""
    found = wait_until(
        lambda: (items := team.admin.calls(query)) and len(items) >= count and items,
        LIMIT_SECONDS,
        f"{count} records of {query}",
    )
    assert len(found) == count, [(record["operation"], record["outcome"]) for record in found]
    return found


@pytest.mark.parametrize("service", NINE_SERVICES)
def test_an_allowed_call(service: str, team: Team, way: Way):
    key = team.grant(service)
    before = datetime.now(UTC) - timedelta(seconds=1)
    answer = call(way.with_key(key), service)
    [record] = records(team, 1, f"request={key.request}")
    assert before <= datetime.fromisoformat(record["at"]) <= datetime.now(UTC)
    assert record["request"] == key.request
    assert record["user"] == "dora"
    assert record["environment"] == team.environment
    assert record["access_key_id"] == key.id
    assert record["service"] == service
    assert record["operation"] == OPERATIONS[service]
    assert record["region"] == "us-east-1"
    assert record["outcome"] == "allowed"
    assert record["status"] == 200
    assert record["bytes_out"] > 0
    assert 0 < record["duration_us"] < 60_000_000
    assert record["id"]
    assert record["client"] == "127.0.0.1"
    metadata = answer["ResponseMetadata"]
    headers = metadata["HTTPHeaders"]
    given = headers.get("x-amzn-requestid") or headers.get("x-amz-request-id")
    assert record["cloud_request_id"] == given, headers


def test_bytes_are_those_of_the_bodies(team: Team, way: Way):
    key = team.grant("glacier")
    client = way.with_key(key).boto3("glacier")
    client.create_vault(accountId="-", vaultName="weighed")
    client.upload_archive(accountId="-", vaultName="weighed", body=b"x" * 123_456)
    upload = records(team, 2, f"request={key.request}")[0]
    assert (upload["operation"], upload["bytes_in"], upload["status"]) == ("UploadArchive", 123_456, 201)


def test_an_error_of_the_cloud_is_an_allowed_call(team: Team, way: Way):
    key = team.grant("dynamodb")
    refusal(way.with_key(key).boto3("dynamodb").describe_table, TableName="nothing")
    [record] = records(team, 1, f"request={key.request}")
    assert (record["outcome"], record["status"]) == ("allowed", 400)


def test_a_call_that_was_not_granted(team: Team, way: Way):
    key = team.grant("sns")
    got = refused(way.with_key(key), "dynamodb")
    [record] = records(team, 1, f"request={key.request}")
    assert record["outcome"] == "refused"
    assert (record["status"], record["error"]) == (403, "AccessDeniedException")
    assert (record["service"], record["operation"]) == ("dynamodb", "ListTables")
    assert record["id"] == got.request_id, "the id that the client is told finds the record"
    assert record["user"] == "dora"
    assert record.get("cloud_request_id") is None


def test_a_wrong_signature_is_held_against_nobody(team: Team, way: Way):
    key = team.grant("sns")
    got = refused(way.with_key(Key(key.id, "x" * 40)), "sns")
    found = wait_until(
        lambda: [r for r in team.admin.calls("outcome=refused") if r["id"] == got.request_id],
        LIMIT_SECONDS,
        "its record",
    )
    [record] = found
    assert record["access_key_id"] == key.id
    assert record.get("request") is None, "whoever knows the key's name has not proven to be its owner"
    assert record.get("user") is None
    assert (record["status"], record["error"]) == (403, "SignatureDoesNotMatch")


def test_an_unknown_key(team: Team, way: Way):
    got = refused(way.with_key(Key("AKIAUNKNOWNUNKNOWN99", "x" * 40)), "lambda")
    [record] = wait_until(
        lambda: [r for r in team.admin.calls("outcome=refused") if r["id"] == got.request_id],
        LIMIT_SECONDS,
        "its record",
    )
    assert (record["access_key_id"], record["error"]) == ("AKIAUNKNOWNUNKNOWN99", "UnrecognizedClientException")


def test_a_refused_tunnel(team: Team, gateway: Gateway):
    with Connection(gateway.address) as connection:
        connection.connect("audited.example.com:443")
    [record] = wait_until(
        lambda: [r for r in team.admin.calls("outcome=refused") if r["host"].startswith("audited.example.com")],
        LIMIT_SECONDS,
        "its record",
    )
    assert record["status"] == 403


def test_what_is_asked_for_is_what_is_shown(team: Team, way: Way):
    key = team.grant("sns", "ses")
    own = way.with_key(key)
    for _ in range(3):
        call(own, "sns")
    call(own, "ses")
    refused(own, "ecs")
    query = f"request={key.request}"
    assert len(records(team, 5, query)) == 5
    assert len(records(team, 3, f"{query}&service=sns")) == 3
    assert len(records(team, 1, f"{query}&operation=ListIdentities")) == 1
    assert len(records(team, 1, f"{query}&outcome=refused")) == 1
    assert len(records(team, 4, f"{query}&outcome=allowed")) == 4
    assert len(records(team, 5, f"{query}&user=dora")) == 5
    assert team.admin.calls(f"{query}&user=nobody") == []
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert team.admin.calls(f"{query}&from={tomorrow}") == []
    assert len(team.admin.calls(f"{query}&to={tomorrow}")) == 5
    paged = team.admin.calls(f"{query}&limit=2")
    assert [record["id"] for record in paged] == [record["id"] for record in records(team, 5, query)]
    assert [record["at"] for record in paged] == sorted((record["at"] for record in paged), reverse=True)


def test_export(team: Team, way: Way):
    key = team.grant("sns")
    call(way.with_key(key), "sns")
    records(team, 1, f"request={key.request}")
    lines = team.admin.raw("GET", f"/audit?request={key.request}", headers={"Accept": "application/x-ndjson"})
    entries = [json.loads(line) for line in lines.splitlines()]
    assert [entry["operation"] for entry in entries if entry["kind"] == "call"] == ["ListTopics"]
    assert len([entry for entry in entries if entry["kind"] == "event"]) == 3, "asked, approved, read"


def test_what_people_did(team: Team):
    """Each step of an access request is one event: who, what, when."""
    key = team.grant("sns")
    team.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
    events = team.admin.events(f"request={key.request}")
    assert [event["actor"] for event in events] == ["anna", "dora", "anna", "dora"]
    assert len({event["action"] for event in events}) == 4
    assert {event["environment"] for event in events} == {team.environment}
    assert [event["at"] for event in events] == sorted((event["at"] for event in events), reverse=True)
    assert REAL_KEY.secret not in str(events)
    assert key.secret not in str(events)


def test_usage_grows(team: Team, way: Way):
    key = team.grant("sns", "dynamodb")
    own = way.with_key(key)
    path = f"/access-requests/{key.request}/usage"
    assert team.dora.get(path)["calls"] == 0
    call(own, "sns")
    call(own, "sns")
    call(own, "dynamodb")
    refused(own, "ecs")
    usage = wait_until(lambda: (u := team.dora.get(path))["calls"] >= 4 and u, LIMIT_SECONDS, "four calls")
    assert (usage["calls"], usage["errors"]) == (4, 1)
    told = json.dumps(usage)
    for word in ("sns", "ListTopics", "dynamodb", "ListTables"):
        assert word in told
    assert team.dora.get(f"/access-requests/{key.request}")["last_used_at"]


def test_a_burst_loses_none(team: Team, way: Way):
    key = team.grant("dynamodb")
    make = lister(way.with_key(key), "dynamodb")
    for _ in range(100):
        make()
    assert len({record["id"] for record in records(team, 100, f"request={key.request}")}) == 100


def test_no_secret_is_ever_written_down(team: Team, way: Way, gateway: Gateway):
    key = team.grant("sns")
    call(way.with_key(key), "sns")
    records(team, 1, f"request={key.request}")
    secrets = (REAL_KEY.secret.encode(), key.secret.encode())
    for file in [
        gateway.folder / "csg.log",
        *(path for path in (gateway.folder / "data").rglob("*") if path.is_file()),
    ]:
        content = file.read_bytes()
        assert not any(secret in content for secret in secrets), f"a secret in clear in {file.name}"


def test_only_who_may_reads_it(team: Team):
    with pytest.raises(ApiError) as refused_read:
        team.dora.get("/audit")
    assert refused_read.value.status == 403

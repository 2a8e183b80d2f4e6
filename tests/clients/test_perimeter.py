"""The account perimeter, with a real client and moto: other accounts are refused, and S3 is told whose a bucket is."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.clients import Way, refusal
from harness.cloud import StrictMoto
from harness.gateway import Team

OWN, OTHER = "123456789012", "210987654321"
REFUSED = f"Account '{OTHER}' is not allowed by this access request"
S3 = {
    "s3": {"addressing_style": "path", "payload_signing_enabled": True},
    "request_checksum_calculation": "when_required",
}
AT_VPC_ENDPOINT = {"endpoint_url": "https://accesspoint.vpce-0a1b2c3d-4e5f6a7b.s3.us-east-1.vpce.amazonaws.com"}


@pytest.fixture(scope="module")
def team_within(make_gateway: Callable, cloud: StrictMoto) -> Team:
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}))
    team.admin.patch(f"/environments/{team.environment}", accounts=[OWN])
    return team


@pytest.fixture(scope="module")
def within(team_within: Team) -> Way:
    key = team_within.grant("lambda", "glacier", "dynamodb", "s3", "s3control", "codeartifact")
    return Way(team_within.gateway.proxy_url, team_within.gateway.ca, key)


@pytest.mark.parametrize(
    ("service", "method", "parameters", "settings", "code"),
    [
        ("lambda", "get_function", {"FunctionName": f"arn:aws:lambda:us-east-1:{OTHER}:function:f"}, {}, "AccessDeniedException"),
        ("lambda", "get_function", {"FunctionName": f"{OTHER}:function:f"}, {}, "AccessDeniedException"),
        ("lambda", "list_event_source_mappings", {"EventSourceArn": f"arn:aws:sqs:us-east-1:{OTHER}:q"}, {}, "AccessDeniedException"),
        ("lambda", "list_event_source_mappings", {"FunctionName": f"{OTHER}:function:f"}, {}, "AccessDeniedException"),
        ("codeartifact", "describe_domain", {"domain": "papers", "domainOwner": OTHER}, {}, "AccessDeniedException"),
        ("s3", "copy_object", {"Bucket": "b", "Key": "k", "CopySource": f"arn:aws:s3:us-east-1:{OTHER}:accesspoint/p/object/k"}, S3, "AccessDenied"),
        ("s3", "copy_object", {"Bucket": "b", "Key": "k", "CopySource": "b/k", "ExpectedSourceBucketOwner": OTHER}, S3, "AccessDenied"),
        ("glacier", "list_vaults", {"accountId": OTHER}, {}, "AccessDeniedException"),
        ("s3control", "list_regional_buckets", {"AccountId": OTHER}, {}, "AccessDenied"),
        ("s3", "list_objects_v2", {"Bucket": "b", "ExpectedBucketOwner": OTHER}, S3, "AccessDenied"),
        ("s3", "list_objects_v2", {"Bucket": f"arn:aws:s3:us-east-1:{OTHER}:accesspoint/p"}, AT_VPC_ENDPOINT, "AccessDenied"),
    ],
)  # fmt: skip
def test_another_account(
    service: str, method: str, parameters: dict, settings: dict[str, Any], code: str, within: Way, cloud: StrictMoto
):
    seen = len(cloud.verdicts())
    got = refusal(getattr(within.boto3(service, **settings), method), **parameters)
    assert (got.status, got.code, got.message, got.retries) == (403, code, REFUSED, 0)
    assert len(cloud.verdicts()) == seen


def test_buckets_have_to_be_its_own(within: Way, cloud: StrictMoto):
    client = within.boto3("s3", **S3)
    client.create_bucket(Bucket="papers")
    client.put_object(Bucket="papers", Key="a", Body=b"one")
    client.copy_object(Bucket="papers", Key="b", CopySource={"Bucket": "papers", "Key": "a"})
    assert client.get_object(Bucket="papers", Key="b", ExpectedBucketOwner=OWN)["Body"].read() == b"one"
    bucket, source = "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"
    told = []
    for verdict in cloud.verdicts()[-4:]:
        assert "refused" not in verdict, verdict
        told.append([name for name in (bucket, source) if name in verdict["signed_headers"]])
    assert told == [[], [bucket], [bucket, source], [bucket]]

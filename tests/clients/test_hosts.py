"""The many names of a service's hosts, as clients come by them: by account, by bucket, by access point, from before.

The cloud is the recording one; the call has to arrive at the very host that the client meant, under the right name.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest

from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.cloud import Key
from harness.gateway import Team
from harness.process import wait_until
from harness.recording import RecordingCloud
from test_paths import sent_and_arrived

ACCOUNT = "123456789012"
VPCE = "vpce-0a1b2c3d-4e5f6a7b"


@dataclass
class Form:
    service: str
    operation: str  # AWS's name
    host: str
    region: str = "us-east-1"
    given: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    endpoint: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    signs: tuple[str, str] | None = None  # service and region, if they are others


def s3(bucket: str, host: str, region: str = "us-east-1", operation: str = "GetObject", **more: Any) -> Form:
    given = {"Bucket": bucket, "Key": "a b"} if operation == "GetObject" else {"Bucket": bucket}
    return Form("s3", operation, host, region, given, **more)


FORMS = {
    "DynamoDB, by account": Form(
        "dynamodb", "ListTables", f"{ACCOUNT}.ddb.us-east-1.amazonaws.com",
        config={"account_id_endpoint_mode": "required"}, variables={"AWS_ACCOUNT_ID": ACCOUNT},
    ),
    "SQS, legacy": Form("sqs", "ListQueues", "queue.amazonaws.com", endpoint="https://queue.amazonaws.com"),
    "SQS, legacy, by region": Form(
        "sqs", "ListQueues", "us-west-2.queue.amazonaws.com", "us-west-2",
        endpoint="https://us-west-2.queue.amazonaws.com",
    ),
    "STS, global": Form("sts", "GetCallerIdentity", "sts.amazonaws.com", endpoint="https://sts.amazonaws.com"),
    "IAM, of another region": Form("iam", "ListUsers", "iam.amazonaws.com", "eu-west-1", signs=("iam", "us-east-1")),
    "S3, virtual": s3("papers", "papers.s3.amazonaws.com"),
    "S3, virtual, by region": s3("papers", "papers.s3.eu-west-1.amazonaws.com", "eu-west-1"),
    "S3, path": s3("papers", "s3.eu-west-1.amazonaws.com", "eu-west-1", config={"s3": {"addressing_style": "path"}}),
    "S3, dotted": s3("my.papers", "s3.eu-west-1.amazonaws.com", "eu-west-1"),
    "S3, a bucket that sounds like a service": s3("dynamodb", "dynamodb.s3.eu-west-1.amazonaws.com", "eu-west-1"),
    "S3, dual stack": s3(
        "papers", "papers.s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1", config={"use_dualstack_endpoint": True}
    ),
    "S3, FIPS": s3("papers", "papers.s3-fips.us-west-2.amazonaws.com", "us-west-2", config={"use_fips_endpoint": True}),
    "S3, accelerated": s3(
        "papers", "papers.s3-accelerate.amazonaws.com", config={"s3": {"use_accelerate_endpoint": True}}
    ),
    "S3, legacy, by region": s3(
        "papers", "s3-us-west-2.amazonaws.com", "us-west-2", endpoint="https://s3-us-west-2.amazonaws.com"
    ),
    "S3, an access point": s3(
        f"arn:aws:s3:us-west-2:{ACCOUNT}:accesspoint/reports", f"reports-{ACCOUNT}.s3-accesspoint.us-west-2.amazonaws.com",
        "us-west-2",
    ),
    "S3, an access point by its alias": s3(
        "reports-abcdefghijklmnopqrstuvwxyz0123456-s3alias",
        "reports-abcdefghijklmnopqrstuvwxyz0123456-s3alias.s3.us-west-2.amazonaws.com", "us-west-2",
    ),
    "S3, Object Lambda": s3(
        f"arn:aws:s3-object-lambda:us-west-2:{ACCOUNT}:accesspoint/thumbs",
        f"thumbs-{ACCOUNT}.s3-object-lambda.us-west-2.amazonaws.com", "us-west-2",
        signs=("s3-object-lambda", "us-west-2"),
    ),
    "S3, at a VPC endpoint": s3(
        "papers", f"bucket.{VPCE}.s3.us-west-2.vpce.amazonaws.com", "us-west-2",
        endpoint=f"https://bucket.{VPCE}.s3.us-west-2.vpce.amazonaws.com",
    ),
    "S3, virtual, at a VPC endpoint": s3(
        "papers", f"papers.bucket.{VPCE}.s3.us-west-2.vpce.amazonaws.com", "us-west-2",
        endpoint=f"https://bucket.{VPCE}.s3.us-west-2.vpce.amazonaws.com", config={"s3": {"addressing_style": "virtual"}},
    ),
    "S3, an access point at a VPC endpoint": s3(
        f"arn:aws:s3:us-west-2:{ACCOUNT}:accesspoint/reports",
        f"reports-{ACCOUNT}.accesspoint.{VPCE}.s3.us-west-2.vpce.amazonaws.com", "us-west-2",
        endpoint=f"https://accesspoint.{VPCE}.s3.us-west-2.vpce.amazonaws.com",
    ),
    "S3 Control, at a VPC endpoint": Form(
        "s3control", "ListAccessPoints", f"{ACCOUNT}.control.{VPCE}.s3.us-west-2.vpce.amazonaws.com", "us-west-2",
        {"AccountId": ACCOUNT}, endpoint=f"https://control.{VPCE}.s3.us-west-2.vpce.amazonaws.com",
        signs=("s3", "us-west-2"),
    ),
    "ECR, at a VPC endpoint": Form(
        "ecr", "DescribeRepositories", f"{VPCE}-us-west-2a.api.ecr.us-west-2.vpce.amazonaws.com", "us-west-2",
        endpoint=f"https://{VPCE}-us-west-2a.api.ecr.us-west-2.vpce.amazonaws.com",
    ),
    "KMS, FIPS, at a VPC endpoint": Form(
        "kms", "ListKeys", f"{VPCE}.kms-fips.us-east-1.vpce.amazonaws.com",
        endpoint=f"https://{VPCE}.kms-fips.us-east-1.vpce.amazonaws.com",
    ),
    "S3, GovCloud, legacy": s3(
        "papers", "s3-us-gov-west-1.amazonaws.com", "us-gov-west-1", endpoint="https://s3-us-gov-west-1.amazonaws.com"
    ),
    "S3, China": s3("papers", "papers.s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    "S3 Control": Form(
        "s3control", "ListAccessPoints", f"{ACCOUNT}.s3-control.us-west-2.amazonaws.com", "us-west-2",
        {"AccountId": ACCOUNT}, signs=("s3", "us-west-2"),
    ),
    "a prefix of the operation": Form(
        "servicediscovery", "DiscoverInstances", "data-servicediscovery.us-east-1.amazonaws.com",
        given={"NamespaceName": "n", "ServiceName": "s"},
    ),
    "Kinesis, by account": Form(
        "kinesis", "DescribeStreamSummary", f"{ACCOUNT}.control-kinesis.us-east-1.amazonaws.com",
        given={"StreamARN": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/clicks"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def recording(certificates: CloudCertificates) -> Iterator[RecordingCloud]:
    cloud = RecordingCloud(certificates)
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def team(make_gateway: Callable, recording: RecordingCloud) -> Team:
    return Team(make_gateway({f"*.{suffix}": recording.address for suffix in ("amazonaws.com", "amazonaws.com.cn")}))


@pytest.fixture(scope="module")
def key(team: Team) -> Key:
    return team.grant(*{form.service for form in FORMS.values()})


@pytest.fixture(scope="module")
def way(team: Team, key: Key) -> Way:
    return Way(team.gateway.proxy_url, team.gateway.ca, key)


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_hosts(name: str, way: Way, recording: RecordingCloud, team: Team, key: Key):
    it = FORMS[name]
    with mock.patch.object(Way, "environment", lambda self, plain=Way.environment: plain(self) | it.variables):
        client = way.boto3(it.service, it.region, it.endpoint, retries={"total_max_attempts": 1}, **it.config)
    spelled = next(spelled for spelled, aws in client.meta.method_to_api_mapping.items() if aws == it.operation)
    url, arrival = sent_and_arrived(client, recording, spelled, it.given)
    assert (arrival.wrong, arrival.host) == (None, it.host)
    assert url == f"https://{arrival.host}{arrival.target}"
    service, region = it.signs or (it.service, it.region)
    assert (arrival.service, arrival.region) == (service, region)
    [record] = wait_until(
        lambda: [one for one in team.admin.calls(f"request={key.request}") if one["host"] == it.host][:1],
        10,
        "its record",
    )
    assert (record["service"], record["operation"], record["region"]) == (it.service, it.operation, region)


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_curl(way: Way, recording: RecordingCloud):
    """`curl --aws-sigv4`, over HTTP/2 if it may."""
    done = subprocess.run(
        [
            "curl", "--silent", "--show-error", "--fail", "--aws-sigv4", "aws:amz:us-east-1:sqs",
            "--user", f"{way.key.id}:{way.key.secret}", "--cacert", way.ca, "--data", "Action=ListQueues&Version=2012-11-05",
            "https://sqs.us-east-1.amazonaws.com/",
        ],
        env=way.environment(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ListQueuesResponse" in done.stdout
    assert recording.arrivals[-1].wrong is None

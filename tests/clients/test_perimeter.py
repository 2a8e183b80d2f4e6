"""The account perimeter, with a real client and moto: other accounts are refused, and S3 is told whose a bucket is."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3

from harness.certificates import CloudCertificates
from harness.chunks import HOST, SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, upload
from harness.clients import Way, refusal
from harness.cloud import StrictMoto
from harness.gateway import Team
from harness.recording import Arrival, RecordingCloud
from harness.wire import tunnel

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


# --- S3, in every form that it is spoken to ---------------------------------------------------------------------------

BUCKET_OWNER, SOURCE_OWNER = "x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"
SOURCE = {"Bucket": "somebodys", "Key": "a b"}
PART = {"UploadId": "u", "PartNumber": 1}
# A call of boto3's, and how an owner is given to it.
CALLS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "put": ("put_object", {"Body": b"x"}, {"ExpectedBucketOwner": OTHER}),
    "part": ("upload_part", {"Body": b"x", **PART}, {"ExpectedBucketOwner": OTHER}),
    "get": ("get_object", {}, {"ExpectedBucketOwner": OTHER}),
    "copy": ("copy_object", {"CopySource": SOURCE}, {"ExpectedSourceBucketOwner": OTHER}),
    "copied part": ("upload_part_copy", {"CopySource": SOURCE, **PART}, {"ExpectedSourceBucketOwner": OTHER}),
}
COPIES = {"copy", "copied part"}


@pytest.fixture(scope="module")
def recording(certificates: CloudCertificates) -> Iterator[RecordingCloud]:
    cloud = RecordingCloud(certificates)
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def s3_way(make_gateway: Callable, recording: RecordingCloud) -> Way:
    team = Team(make_gateway({"*.amazonaws.com": recording.address}))
    team.admin.patch(f"/environments/{team.environment}", accounts=[OWN])
    return Way(team.gateway.proxy_url, team.gateway.ca, team.grant("s3"))


def check_owners(arrival: Arrival, copies: bool) -> None:
    """Told, and signed under the real key, which the recording cloud looks at."""
    assert arrival.wrong is None
    owners = [arrival.headers.get(name) for name in (BUCKET_OWNER, SOURCE_OWNER)]
    assert owners == [OWN, OWN if copies else None]
    assert "expected-bucket-owner" not in arrival.target


@pytest.mark.parametrize("name", CALLS)
def test_boto3_as_it_is(name: str, s3_way: Way, recording: RecordingCloud):
    """Uploads with a checksum behind them, and copies: the source is asked about, too."""
    operation, given, owner = CALLS[name]
    client = s3_way.boto3("s3", retries={"total_max_attempts": 1})
    seen = len(recording.arrivals)
    getattr(client, operation)(Bucket="papers", Key="k", **given)
    [arrival] = recording.arrivals[seen:]
    check_owners(arrival, name in COPIES)
    assert (arrival.payload == UNSIGNED_TRAILER) == ("Body" in given)
    got = refusal(getattr(client, operation), Bucket="papers", Key="k", **given, **owner)
    assert (got.status, got.code, got.message, got.retries) == (403, "AccessDenied", REFUSED, 0)
    assert len(recording.arrivals) == seen + 1


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("version", [None, "s3v4"], ids=["sigv2", "sigv4"])
def test_presigned(version: str | None, name: str, s3_way: Way, recording: RecordingCloud):
    """SigV2 has in the query what is a header, and S3 reads it there."""
    operation, given, owner = CALLS[name]
    given = {key: value for key, value in given.items() if key != "Body"}
    client = s3_way.boto3("s3", signature_version=version)
    method = "GET" if name == "get" else "PUT"
    headers = {"x-amz-copy-source": "somebodys/a%20b"} if name in COPIES and version else {}
    told = {SOURCE_OWNER if name in COPIES else BUCKET_OWNER: OTHER} if version else {}
    seen = len(recording.arrivals)

    def ask(sent: dict[str, str], **more: str) -> urllib3.BaseHTTPResponse:
        url = client.generate_presigned_url(operation, {"Bucket": "papers", "Key": "k", **given, **more})
        with urllib3.ProxyManager(s3_way.proxy_url, ca_certs=str(s3_way.ca), retries=False) as http:
            return http.request(method, url, headers=sent, body=None if method == "GET" or name in COPIES else b"x")

    assert ask(headers).status == 200
    [arrival] = recording.arrivals[seen:]
    check_owners(arrival, name in COPIES)
    refused = ask(headers | told, **owner)
    assert (refused.status, REFUSED in refused.data.decode()) == (403, True)
    assert len(recording.arrivals) == seen + 1


@pytest.mark.parametrize("owner", [None, OTHER])
@pytest.mark.parametrize("payload", ["hash", SIGNED, SIGNED_TRAILER])
def test_signed_chunks(payload: str, owner: str | None, s3_way: Way, recording: RecordingCloud):
    host, _, port = s3_way.proxy_url.removeprefix("http://").partition(":")
    made = upload(s3_way.key, "/papers/k", payload, [b"one", b"two"], more={BUCKET_OWNER: owner} if owner else None)
    seen = len(recording.arrivals)
    with tunnel((host, int(port)), s3_way.ca, HOST) as connection:
        answer = connection.request(made.bytes())
    if owner:
        assert (answer.status, REFUSED in answer.body.decode(), recording.arrivals[seen:]) == (403, True, [])
    else:
        [arrival] = recording.arrivals[seen:]
        assert (answer.status, arrival.length) == (200, 6)
        check_owners(arrival, copies=False)

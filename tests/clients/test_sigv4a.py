"""SigV4A from boto3, verified here, and made anew for the cloud under the real key's own key pair."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from harness.asymmetric import AUTHORIZATION
from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.cloud import Key
from harness.crt import CRT, call_with_crt
from harness.gateway import Team
from harness.process import wait_until
from harness.recording import RecordingCloud

pytestmark = pytest.mark.skipif(not CRT.is_dir(), reason="there is no awscrt")
ACCOUNT = "123456789012"
MULTI_REGION = f"arn:aws:s3::{ACCOUNT}:accesspoint/mfzwi23gnjvgw.mrap"
MAIL = {"Simple": {"Subject": {"Data": "ü"}, "Body": {"Text": {"Data": "x"}}}}


@dataclass
class Call:
    service: str
    method: str
    name: str
    given: dict
    host: str


CALLS = {
    "CloudFront KeyValueStore": Call(
        "cloudfront-keyvaluestore", "describe_key_value_store", "DescribeKeyValueStore",
        {"KvsARN": f"arn:aws:cloudfront::{ACCOUNT}:key-value-store/0a1b2c3d"},
        f"{ACCOUNT}.cloudfront-kvs.global.api.aws",
    ),
    "EventBridge, a global endpoint": Call(
        "events", "put_events", "PutEvents",
        {"EndpointId": "abcde.veo", "Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]},
        "abcde.veo.endpoint.events.amazonaws.com",
    ),
    "SES, a global endpoint": Call(
        "sesv2", "send_email", "SendEmail", {"EndpointId": "abcde.456", "Content": MAIL},
        "abcde.456.endpoints.email.amazonaws.com",
    ),
    "S3, up": Call(
        "s3", "put_object", "PutObject", {"Bucket": MULTI_REGION, "Key": "a b%2F/ü", "Body": {"base64": "eA=="}},
        "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com",
    ),
    "S3, down": Call(
        "s3", "get_object", "GetObject", {"Bucket": MULTI_REGION, "Key": "a//b"},
        "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def recording(certificates: CloudCertificates) -> Iterator[RecordingCloud]:
    cloud = RecordingCloud(certificates)
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def team(make_gateway: Callable, recording: RecordingCloud) -> Team:
    return Team(make_gateway({f"*.{suffix}": recording.address for suffix in ("amazonaws.com", "api.aws")}))


@pytest.fixture(scope="module")
def key(team: Team) -> Key:
    return team.grant(*{call.service for call in CALLS.values()})


@pytest.fixture(scope="module")
def way(team: Team, key: Key) -> Way:
    return Way(team.gateway.proxy_url, team.gateway.ca, key)


@pytest.mark.parametrize("name", CALLS)
def test_sigv4a(name: str, way: Way, recording: RecordingCloud, team: Team, key: Key):
    call = CALLS[name]
    seen = len(recording.arrivals)
    url = call_with_crt(way, call.service, call.method, call.given)
    [arrival] = recording.arrivals[seen:]
    assert (arrival.wrong, arrival.whole, arrival.host) == (None, True, call.host)
    assert f"https://{arrival.host}{arrival.target}" == url
    assert AUTHORIZATION.fullmatch(arrival.headers["authorization"])
    assert arrival.headers["x-amz-region-set"] == "*"
    query = f"request={key.request}&operation={call.name}"
    [record] = wait_until(lambda: team.admin.calls(query), 10, "its record")
    assert (record["service"], record["outcome"]) == (call.service, "allowed")


def test_another_secret_is_refused(way: Way, recording: RecordingCloud, key: Key):
    call = CALLS["EventBridge, a global endpoint"]
    seen = len(recording.arrivals)
    with pytest.raises(AssertionError, match="InvalidSignatureException"):
        call_with_crt(way.with_key(Key(key.id, "x" * 40)), call.service, call.method, call.given)
    assert recording.arrivals[seen:] == []

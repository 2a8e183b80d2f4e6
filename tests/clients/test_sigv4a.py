"""SigV4A from boto3, and in chunks that no client at hand signs, verified here, and made anew for the cloud under the real key's own key pair."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from harness.asymmetric import ALGORITHM, AUTHORIZATION, sign
from harness.certificates import CloudCertificates
from harness.chunks import NOTHING, Chunk, Upload, flip
from harness.clients import Way
from harness.cloud import Key
from harness.crt import CRT, call_with_crt, sign_with_crt
from harness.gateway import Team
from harness.process import wait_until
from harness.recording import RecordingCloud
from harness.wire import tunnel

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


# --- Chunks -----------------------------------------------------------------------------------------------------------

PAYLOAD = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
DATA = [bytes([n]) * (1 << 16) for n in range(3)] + [b"the end"]


def in_chunks(key: Key, trailer: bool) -> Upload:
    """Head signed by AWS's own signer; its bindings for Python leave the chunks to us, as aws-c-auth's tests have them."""
    host = CALLS["S3, up"].host
    whole = b"".join(DATA)
    headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(whole))}
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    payload = PAYLOAD + "-TRAILER" * trailer
    made = Upload("/a%20b%252F/%C3%BC", sign_with_crt(key, "PUT", host, "/a%20b%252F/%C3%BC", headers, payload))
    date = made.headers["x-amz-date"]
    previous = made.headers["authorization"].rpartition("=")[2]

    def follows(kind: str, *hashes: str) -> str:
        return sign(key, "\n".join([f"{ALGORITHM}-{kind}", date, f"{date[:8]}/s3/aws4_request", previous, *hashes]))

    for data in [*DATA, b""]:
        previous = follows("PAYLOAD", NOTHING, hashlib.sha256(data).hexdigest())
        made.chunks.append(Chunk(data, previous.ljust(144, "*")))
    if trailer:
        told = base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode()
        text = f"x-amz-checksum-crc32:{told}\n".encode()
        signed = follows("TRAILER", hashlib.sha256(text).hexdigest())
        made.trailers = {"x-amz-checksum-crc32": told, "x-amz-trailer-signature": signed.ljust(144, "*")}
    return made


def nothing(_: Upload) -> None:
    pass


def a_bit(it: Upload) -> None:
    it.chunks[1].data = flip(it.chunks[1].data, 7)


def swapped(it: Upload) -> None:
    it.chunks[0], it.chunks[1] = it.chunks[1], it.chunks[0]


def another_checksum(it: Upload) -> None:
    it.trailers["x-amz-checksum-crc32"] = "AAAAAA=="


@pytest.mark.parametrize("change", [nothing, a_bit, swapped, another_checksum])
@pytest.mark.parametrize("trailer", [False, True], ids=["chunks", "chunks and a trailer"])
def test_chunks(trailer: bool, change: Callable, team: Team, key: Key, recording: RecordingCloud):
    if change is another_checksum and not trailer:
        pytest.skip("there is none")
    made = in_chunks(key, trailer)
    change(made)
    seen = len(recording.arrivals)
    with tunnel(team.gateway.address, team.gateway.ca, made.headers["host"]) as connection:
        answer = connection.request(made.bytes())
    arrivals = recording.arrivals[seen:]
    if change is nothing:
        assert answer.status == 200, answer
        [arrival] = arrivals
        assert (answer.status, arrival.wrong, arrival.whole) == (200, None, True), answer
        assert arrival.sha256 == hashlib.sha256(b"".join(DATA)).hexdigest()
        assert arrival.payload == PAYLOAD + "-TRAILER" * trailer
        assert AUTHORIZATION.fullmatch(arrival.headers["authorization"])
    else:
        assert (answer.status, [it for it in arrivals if it.whole]) == (403, []), answer

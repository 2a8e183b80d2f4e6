"""Presigned S3 URLs as boto3 makes them, of both versions, used by a client that has no key; and SigV4A.

What arrives is judged by the strict verifier, which knows the real key alone. SigV4A, which moto does not know, is made
and checked here with another library, by the algorithm that AWS's SDKs publish.
"""

import hashlib
import hmac
import itertools
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
import urllib3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from harness.clients import Way
from harness.cloud import REAL_KEY, Exchange, Key, StrictMoto
from harness.gateway import Team
from harness.load import records
from harness.process import wait_until
from harness.wire import Response, raw_request, tunnel

BUCKET, DOTTED = "presigned", "pre.signed.papers"
# Where boto3 presigns with SigV2 by default, and a region of after March 2019, whose buckets the global host does not serve.
OLD_REGIONS = [
    "us-east-1", "us-west-1", "us-west-2", "eu-west-1", "ap-northeast-1", "ap-southeast-1", "ap-southeast-2", "sa-east-1",
]  # fmt: skip
YOUNG = "ap-southeast-3"
# The form of the host, where the bucket lies, where boto3 is asked. Elsewhere than in us-east-1, boto3 puts the region into the
# host where the bucket stands in the path.
SIGV2 = [
    *itertools.product(("virtual", "accelerate"), OLD_REGIONS, ["us-east-1"]),
    *((form, region, region) for form in ("virtual", "accelerate") for region in OLD_REGIONS[1:]),
    *itertools.product(("virtual", "path", "dotted", "accelerate"), ("eu-central-1", YOUNG), ["us-east-1"]),
    *itertools.product(("path", "dotted"), ("us-east-1", "eu-west-1"), ["us-east-1"]),
    ("virtual", "us-east-1", "eu-west-1"),
]
VERSIONS = {"sigv2": None, "sigv4": "s3v4"}
# The bucket, and the host that it is found at. boto3's own default, in us-east-1, is SigV2 with the bucket in the host; one
# with dots it always has in the path.
STYLES = {
    "path": (BUCKET, "s3.amazonaws.com"),
    "virtual": (BUCKET, f"{BUCKET}.s3.amazonaws.com"),
    "dotted": (DOTTED, "s3.amazonaws.com"),
}
NAMES = [
    "plain",
    "a b+c",
    "%2F@",
    "größe/ü",
    "%",
    "100% %zz",
    "//",
    "a//b",
    "/leading",
    "..",
    "a/../b",
    "./a/.",
    "a=b&c=d?e#f;g",
    "k" * 1024,
    "ü" * 512,
]


@pytest.fixture(scope="module")
def s3_key(team: Team) -> Key:
    return team.grant("s3")


@pytest.fixture(scope="module", autouse=True)
def bucket(straight: Way) -> None:
    client = straight.boto3("s3", s3={"addressing_style": "path"})
    for name in (BUCKET, DOTTED):
        client.create_bucket(Bucket=name)
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


@pytest.fixture(params=itertools.product(VERSIONS, STYLES), ids="-".join)
def presign(request: pytest.FixtureRequest, team: Team, s3_key: Key) -> Callable[..., str]:
    way = Way(team.gateway.proxy_url, team.gateway.ca, s3_key)
    version, style = VERSIONS[request.param[0]], request.param[1]
    bucket, host = STYLES[style]
    config = {"s3": {"addressing_style": "path" if style == "path" else "auto"}, "signature_version": version}
    client = way.boto3("s3", **({} if version is None and style == "virtual" else config))

    def make(operation: str, expires: int = 60, **parameters: Any) -> str:
        url = client.generate_presigned_url(operation, {"Bucket": bucket, **parameters}, ExpiresIn=expires)
        assert ("X-Amz-Algorithm=AWS4" in url) == (version is not None), url
        assert ("AWSAccessKeyId=" in url) == (version is None), url
        assert urlsplit(url).hostname == host, url
        return url

    make.bucket, make.style = bucket, style  # type: ignore[attr-defined]
    return make


Fetch = Callable[..., Response]


@pytest.fixture
def fetch(team: Team) -> Fetch:
    """Asks for a URL as it stands there, dots and slashes and all, which many a client would set right before it asks."""

    def ask(method: str, url: str, body: bytes = b"") -> Response:
        host, target = url.removeprefix("https://").split("/", 1)
        with tunnel(team.gateway.address, team.gateway.ca, host) as connection:
            return connection.request(raw_request({"Host": host, "Connection": "close"}, method, f"/{target}", body))

    return ask


@pytest.fixture
def http(team: Team) -> Iterator[urllib3.ProxyManager]:
    """A client that knows nothing of AWS."""
    with urllib3.ProxyManager(team.gateway.proxy_url, ca_certs=str(team.gateway.ca), retries=False) as client:
        yield client


def test_put_get_head(presign: Callable[..., str], fetch: Fetch, cloud: StrictMoto, straight: Way) -> None:
    client = straight.boto3("s3", s3={"addressing_style": "path"})
    # moto's server takes "//" at the start of a path for "/".
    for name in [name for name in NAMES if presign.style != "virtual" or not name.startswith("/")]:
        seen = len(cloud.verdicts())
        body = name.encode() * 3
        put = fetch("PUT", presign("put_object", Key=name), body)
        assert put.status == 200, (name, put)
        assert client.get_object(Bucket=presign.bucket, Key=name)["Body"].read() == body, name
        got = fetch("GET", presign("get_object", Key=name))
        assert (got.status, got.body) == (200, body), name
        head = fetch("HEAD", presign("head_object", Key=name))
        assert (head.status, head.headers["content-length"]) == (200, str(len(body))), name
        verdicts = cloud.verdicts()[seen:]
        assert [verdict["method"] for verdict in verdicts] == ["PUT", "GET", "GET", "HEAD"]
        assert {verdict.get("key") for verdict in verdicts} == {REAL_KEY.id}, verdicts
        for verdict in verdicts:
            assert "Signature" not in verdict["target"], verdict


def test_parts_and_versions(presign: Callable[..., str], fetch: Fetch, straight: Way) -> None:
    """`partNumber`, `uploadId` and `versionId` are signed: a URL for one part, or version, is not one for another."""
    client = straight.boto3("s3", s3={"addressing_style": "path"})
    where = {"Bucket": presign.bucket, "Key": "in parts/%"}
    made = client.create_multipart_upload(**where)["UploadId"]
    part = presign("upload_part", Key=where["Key"], UploadId=made, PartNumber=2)
    for changed in ("partNumber=3", "partNumber=2&partNumber=3", "partNumber=20"):
        assert fetch("PUT", part.replace("partNumber=2", changed), b"x").status == 403, changed
    put = fetch("PUT", part, b"second")
    assert put.status == 200, put
    [held] = client.list_parts(**where, UploadId=made)["Parts"]
    assert (held["PartNumber"], held["Size"]) == (2, len(b"second"))
    versions = [client.put_object(**where, Body=body)["VersionId"] for body in (b"first", b"second")]
    urls = [presign("get_object", Key=where["Key"], VersionId=version) for version in versions]
    assert [fetch("GET", url).body for url in urls] == [b"first", b"second"]
    assert fetch("GET", urls[0].replace(versions[0], versions[1])).status == 403
    assert fetch("GET", urls[0].replace("versionId=", "uploadId=")).status == 403


def test_headers_and_answers_that_were_signed_along(presign: Callable[..., str], http: urllib3.ProxyManager) -> None:
    kind = {"Content-Type": "text/x-odd"}
    url = presign("put_object", Key="typed", ContentType="text/x-odd")
    assert http.request("PUT", url, body=b"typed", headers=kind).status == 200
    assert http.request("PUT", url, body=b"typed", headers={"Content-Type": "text/html"}).status == 403
    disposition = 'attachment; filename="a & b.txt"'
    got = http.request("GET", presign("get_object", Key="typed", ResponseContentDisposition=disposition))
    assert (got.status, got.headers["content-type"]) == (200, "text/x-odd")
    assert got.headers["content-disposition"] == disposition


def test_a_copy(presign: Callable[..., str], http: urllib3.ProxyManager, cloud: StrictMoto, straight: Way) -> None:
    """SigV2 has what is copied in the query, where S3 reads it as a header; SigV4 has it signed as a header."""
    straight.boto3("s3").put_object(Bucket=BUCKET, Key="from here+", Body=b"copied")
    url = presign("copy_object", Key="copy", CopySource={"Bucket": BUCKET, "Key": "from here+"})
    in_query = "AWSAccessKeyId=" in url
    assert ("x-amz-copy-source=" in url) == in_query, url
    headers = {} if in_query else {"x-amz-copy-source": f"{BUCKET}/from%20here%2B"}
    made = http.request("PUT", url, headers=headers)
    assert (made.status, b"<CopyObjectResult" in made.data) == (200, True), made.data
    verdict = cloud.verdicts()[-1]
    assert "x-amz-copy-source" in verdict["signed_headers"] and "copy-source" not in verdict["target"]
    assert straight.boto3("s3").get_object(Bucket=presign.bucket, Key="copy")["Body"].read() == b"copied"
    other = url.replace("from", "form") if in_query else url
    refused = http.request("PUT", other, headers={} if in_query else {"x-amz-copy-source": f"{BUCKET}/other"})
    assert (refused.status, b"SignatureDoesNotMatch" in refused.data) == (403, True), refused.data


def test_a_changed_url_is_refused(presign: Callable[..., str], http: urllib3.ProxyManager, cloud: StrictMoto) -> None:
    url = presign("put_object", Key="target")
    seen = len(cloud.verdicts())
    for changed in (url.replace("/target?", "/other?"), url.replace("/target?", "/target?acl&")):
        refused = http.request("PUT", changed, body=b"x")
        assert (refused.status, b"SignatureDoesNotMatch" in refused.data) == (403, True), refused.data
    assert http.request("DELETE", url).status == 403
    assert len(cloud.verdicts()) == seen, "it reached the cloud"


def test_it_ends_by_itself(presign: Callable[..., str], http: urllib3.ProxyManager) -> None:
    assert http.request("PUT", presign("put_object", Key="short"), body=b"short").status == 200
    url = presign("get_object", expires=2, Key="short")
    wait_until(lambda: http.request("GET", url).status == 403, 20, "the URL outlives its end")
    assert b"Request has expired" in http.request("GET", url).data


@pytest.mark.parametrize("signature", ["sigv2", "sigv4"])
def test_the_quarter_of_an_hour_is_for_headers(
    signature: str, team: Team, s3_key: Key, http: urllib3.ProxyManager, cloud: StrictMoto
) -> None:
    """Made 20 minutes ago, and days ago: good for as long as it says, which is a week at most."""
    way = Way(team.gateway.proxy_url, team.gateway.ca, s3_key)
    client = way.boto3("s3", s3={"addressing_style": "path"}, signature_version=VERSIONS[signature])
    for ago, expires, status in (
        (timedelta(minutes=20), timedelta(minutes=30), 200),
        (timedelta(days=6, hours=23), timedelta(days=7), 200),
        (timedelta(minutes=20), timedelta(minutes=19), 403),
        (timedelta(days=7, minutes=1), timedelta(days=7), 403),
    ):
        seen, made = len(cloud.verdicts()), datetime.now(UTC).replace(tzinfo=None) - ago
        seconds = expires // timedelta(seconds=1)
        with (
            mock.patch("botocore.auth.get_current_datetime", lambda *_, made=made, **__: made),
            mock.patch("time.time", lambda made=made: made.replace(tzinfo=UTC).timestamp()),
        ):
            url = client.generate_presigned_url("list_objects_v2", {"Bucket": BUCKET}, ExpiresIn=seconds)
        if signature == "sigv4":
            assert made.strftime("X-Amz-Date=%Y%m%dT%H%M") in url
        else:
            ends = int((made + expires).replace(tzinfo=UTC).timestamp())
            assert abs(int(re.findall(r"Expires=(\d+)", url)[0]) - ends) <= 1
        got = http.request("GET", url)
        assert got.status == status, (ago, expires, got.data)
        assert (b"Request has expired" in got.data) == (status == 403)
        assert len(cloud.verdicts()) - seen == (status == 200)


def bucket_in(straight: Way, region: str, name: str) -> str:
    client = straight.boto3("s3", region)
    # us-east-1 is no constraint.
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket=name, **where)
    return name


@pytest.mark.parametrize(("region", "status"), [("eu-west-1", 200), ("eu-central-1", 200), (YOUNG, 400)])
def test_buckets_elsewhere(
    region: str, status: int, team: Team, s3_key: Key, http: urllib3.ProxyManager, cloud: StrictMoto, straight: Way
) -> None:
    """By default, boto3 presigns them at the global host, and signs for their region. It does so too where S3 says no."""
    bucket = bucket_in(straight, region, f"of-{region}")
    client = Way(team.gateway.proxy_url, team.gateway.ca, s3_key).boto3("s3", region, signature_version="s3v4")
    for operation, method in (("put_object", "PUT"), ("get_object", "GET")):
        url = client.generate_presigned_url(operation, {"Bucket": bucket, "Key": f"of {region}"})
        assert urlsplit(url).hostname == f"{bucket}.s3.amazonaws.com" and f"%2F{region}%2Fs3%2F" in url
        got = http.request(method, url, body=region.encode() if method == "PUT" else None)
        assert got.status == status, got.data
        verdict = cloud.verdicts()[-1]
        assert (verdict["key"], verdict["scope"].split("/")[1]) == (REAL_KEY.id, region)
    assert (got.data == region.encode()) == (status == 200)
    seen = len(cloud.verdicts())
    for elsewhere in ("cn-north-1", "us-gov-west-1"):
        other = http.request("GET", url.replace(f"%2F{region}%2F", f"%2F{elsewhere}%2F"))
        assert other.status in (400, 403) and b"'us-east-1'" in other.data, other.data
    assert len(cloud.verdicts()) == seen, "regions of other partitions"
    assert bucket not in cloud.asked_where(), "the signature says it"


@pytest.mark.parametrize(("form", "lies_in", "asked_in"), SIGV2)
def test_sigv2_finds_the_bucket(
    form: str, lies_in: str, asked_in: str, team: Team, cloud: StrictMoto, straight: Way, http: urllib3.ProxyManager
) -> None:
    """boto3 as it is by default, in each region where it makes SigV2, and in another one than the bucket's."""
    key = team.grant("s3")
    bucket = bucket_in(straight, lies_in, f"{form}{'.' if form == 'dotted' else '-'}{lies_in}-{asked_in}")
    styles = {"path": {"addressing_style": "path"}, "accelerate": {"use_accelerate_endpoint": True}}
    config = {"s3": styles[form]} if form in styles else {}
    client = Way(team.gateway.proxy_url, team.gateway.ca, key).boto3("s3", asked_in, **config)
    own = {"virtual": f"{bucket}.s3", "path": "s3", "dotted": "s3", "accelerate": f"{bucket}.s3-accelerate"}[form]
    moves = lies_in != "us-east-1" and form != "accelerate"
    served_at = f"{own}.{lies_in}.amazonaws.com" if moves else f"{own}.amazonaws.com"
    seen, body = len(cloud.verdicts()), lies_in.encode() * 100_000
    got = {}
    for method, operation, named in (
        ("PUT", "put_object", {"Key": "a b/ü"}),
        ("GET", "get_object", {"Key": "a b/ü"}),
        ("HEAD", "head_object", {"Key": "a b/ü"}),
        ("GET", "list_objects_v2", {"Prefix": "a b/"}),
    ):
        url = client.generate_presigned_url(operation, {"Bucket": bucket, **named})
        assert urlsplit(url).hostname == f"{own}.amazonaws.com" and "AWSAccessKeyId=" in url
        got[operation] = http.request(method, url, body=body if method == "PUT" else None)
        assert got[operation].status == 200, (operation, got[operation].data)
    assert got["get_object"].data == body
    assert got["head_object"].headers["content-length"] == str(len(body))
    assert b"<KeyCount>1</KeyCount>" in got["list_objects_v2"].data
    arrived = [(it["host"], it["key"], it["scope"].split("/")[1]) for it in cloud.verdicts()[seen:]]
    assert arrived == [(served_at, REAL_KEY.id, lies_in)] * 4
    assert cloud.asked_where().count(bucket) == 1
    recorded = {(it["host"], it["region"], it["outcome"]) for it in records(team, key, 4)}
    assert recorded == {(served_at, lies_in, "allowed")}


def test_nobody_but_who_may_call_makes_the_gateway_ask(
    team: Team, s3_key: Key, cloud: StrictMoto, straight: Way, http: urllib3.ProxyManager
) -> None:
    bucket = bucket_in(straight, "eu-west-1", "not-asked-for")
    gateway = team.gateway

    def url(key: Key) -> str:
        client = Way(gateway.proxy_url, gateway.ca, key).boto3("s3", "eu-west-1")
        return client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})

    right = url(s3_key)
    ended = team.grant("s3")
    team.anna.post(f"/access-requests/{ended.request}/revoke", comment="enough")
    for refused in (
        url(Key("CSGAUNKNOWNUNKNOWN01", "secret")),
        url(Key(s3_key.id, "another secret")),
        right.replace("/k?", "/other?"),
        url(team.grant("sqs")),
        url(ended),
        re.sub(r"Expires=\d+", "Expires=1", right),
    ):
        assert http.request("GET", refused).status == 403, refused
    assert bucket not in cloud.asked_where()
    assert http.request("GET", right).status == 404
    assert cloud.asked_where().count(bucket) == 1


def test_who_wants_to_know_at_once_asks_once(team: Team, s3_key: Key, cloud: StrictMoto, straight: Way) -> None:
    """From as many connections as there are calls, on all the gateway's threads."""
    bucket = bucket_in(straight, "eu-west-1", "wanted-by-many")
    straight.boto3("s3", "eu-west-1").put_object(Bucket=bucket, Key="k", Body=b"x")
    client = Way(team.gateway.proxy_url, team.gateway.ca, s3_key).boto3("s3", "eu-west-1")
    url, start = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}), threading.Barrier(24)

    def get(_: int) -> tuple[int, bytes]:
        with urllib3.ProxyManager(team.gateway.proxy_url, ca_certs=str(team.gateway.ca), retries=False) as client:
            start.wait(30)
            got = client.request("GET", url)
            return got.status, got.data

    with ThreadPoolExecutor(start.parties) as pool:
        assert set(pool.map(get, range(start.parties))) == {(200, b"x")}
    assert cloud.asked_where().count(bucket) == 1


def test_a_bucket_that_is_not_there_yet(team: Team, s3_key: Key, straight: Way, http: urllib3.ProxyManager) -> None:
    """S3 says so in its own words; once it is there, it is found soon."""
    client = Way(team.gateway.proxy_url, team.gateway.ca, s3_key).boto3("s3", "eu-west-1")
    url = client.generate_presigned_url("list_objects_v2", {"Bucket": "to-be-made"})
    refused = http.request("GET", url)
    assert (refused.status, b"<Code>NoSuchBucket</Code>" in refused.data) == (404, True), refused.data
    bucket_in(straight, "eu-west-1", "to-be-made")
    wait_until(lambda: http.request("GET", url).status == 200, 30, "the bucket is not found")


def test_it_ends_with_its_access(team: Team, http: urllib3.ProxyManager) -> None:
    key = team.grant("s3")
    way = Way(team.gateway.proxy_url, team.gateway.ca, key)
    urls = [
        way.boto3("s3", s3={"addressing_style": "path"}, signature_version=version).generate_presigned_url(
            "list_objects_v2", {"Bucket": BUCKET}, ExpiresIn=3600
        )
        for version in VERSIONS.values()
    ]
    assert [http.request("GET", url).status for url in urls] == [200, 200]
    team.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
    for url in urls:
        refused = http.request("GET", url)
        assert (refused.status, b"Client is not Active" in refused.data) == (403, True), refused.data


def test_a_presigned_sts_call(team: Team, http: urllib3.ProxyManager) -> None:
    """As EKS's tokens are made: not S3, so that the empty body is signed."""
    client = Way(team.gateway.proxy_url, team.gateway.ca, team.grant("sts")).boto3("sts")
    url = client.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    got = http.request("GET", url)
    assert (got.status, b"<Account>123456789012</Account>" in got.data) == (200, True), got.data


# --- SigV4A ----------------------------------------------------------------------------------------------------------

EVENTS = "events.us-east-1.amazonaws.com"
TARGET = "AWSEvents.ListEventBuses"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def key_pair(key: Key) -> ec.EllipticCurvePrivateKey:
    """NIST SP 800-108 in counter mode, then FIPS 186-5 A.2.2."""
    for counter in range(1, 255):
        context = b"AWS4-ECDSA-P256-SHA256\x00" + key.id.encode() + bytes([counter]) + (256).to_bytes(4, "big")
        text = (1).to_bytes(4, "big") + context
        candidate = int.from_bytes(hmac.digest(b"AWS4A" + key.secret.encode(), text, "sha256"), "big")
        if candidate <= ORDER - 2:
            return ec.derive_private_key(candidate + 1, ec.SECP256R1())
    raise AssertionError("no key")


def to_sign(headers: dict[str, str], names: str, date: str, scope: str) -> bytes:
    lines = "".join(f"{name}:{headers[name]}\n" for name in names.split(";"))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(b'{}').hexdigest()}"
    return f"AWS4-ECDSA-P256-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}".encode()


def test_an_asymmetric_signature_is_made_anew_under_the_real_key(make_gateway: Callable, scripted: Callable) -> None:
    arrived: list[dict[str, str]] = []

    def answer(exchange: Exchange) -> None:
        exchange.read_body()
        arrived.append(exchange.headers)
        exchange.answer(b'{"EventBuses":[]}')

    team = Team(make_gateway({"*.amazonaws.com": scripted(answer).address}))
    key = team.grant("events")
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date[:8]}/events/aws4_request"
    names = "host;x-amz-date;x-amz-region-set;x-amz-target"
    headers = {"host": EVENTS, "x-amz-date": date, "x-amz-region-set": "*", "x-amz-target": TARGET}

    def send(secret: str) -> int:
        signed = key_pair(Key(key.id, secret)).sign(to_sign(headers, names, date, scope), ec.ECDSA(hashes.SHA256()))
        authorization = (
            f"AWS4-ECDSA-P256-SHA256 Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signed.hex()}"
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "authorization": authorization}.items())
        with tunnel(team.gateway.address, team.gateway.ca, EVENTS) as connection:
            return connection.request(f"POST / HTTP/1.1\r\n{lines}content-length: 2\r\n\r\n{{}}".encode()).status

    assert send("another secret") == 403
    assert not arrived
    assert send(key.secret) == 200
    (got,) = arrived
    fields = dict(field.strip().split("=", 1) for field in got["authorization"].split(" ", 1)[1].split(","))
    assert fields["Credential"] == f"{REAL_KEY.id}/{got['x-amz-date'][:8]}/events/aws4_request"
    text = to_sign(got, fields["SignedHeaders"], got["x-amz-date"], fields["Credential"].partition("/")[2])
    signature = bytes.fromhex(fields["Signature"])
    key_pair(REAL_KEY).public_key().verify(signature, text, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key_pair(key).public_key().verify(signature, text, ec.ECDSA(hashes.SHA256()))


def test_a_tunnel_with_the_key_as_proxy_credentials(team: Team, cloud: StrictMoto, s3_key: Key) -> None:
    """What every SDK does with HTTPS_PROXY=http://KEY:SECRET@gateway:3128; signed calls go as ever."""
    host, port = team.gateway.address
    for secret, works in ((s3_key.secret, True), ("wrong", False)):
        auth = urllib3.make_headers(proxy_basic_auth=f"{s3_key.id}:{secret}")
        with urllib3.ProxyManager(
            f"http://{host}:{port}", proxy_headers=auth, ca_certs=str(team.gateway.ca), retries=False
        ) as client:
            way = Way(team.gateway.proxy_url, team.gateway.ca, s3_key)
            url = way.boto3("s3", s3={"addressing_style": "path"}).generate_presigned_url(
                "list_objects_v2", {"Bucket": BUCKET}
            )
            if works:
                assert client.request("GET", url).status == 200
            else:
                with pytest.raises(urllib3.exceptions.ProxyError, match="407"):
                    client.request("GET", url)

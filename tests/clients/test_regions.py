"""S3 where it is asked in one region for a bucket of another: each client finds its way as it does without a gateway.

The global endpoint takes the region that a bucket is in. Where host and signature disagree, the gateway says which
region it expects, in S3's words; where S3 itself says so, or sends the client elsewhere, the client is told.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from harness.certificates import CloudCertificates
from harness.clients import Way, refusal
from harness.cloud import Exchange
from harness.gateway import Team
from harness.objects import Objects
from harness.recording import Arrival, RecordingCloud
from test_s3 import s3cmd_settings

BUCKET, HOME = "papers", "eu-central-1"
GLOBAL, REGIONAL = "s3.amazonaws.com", f"s3.{HOME}.amazonaws.com"
PATH_STYLE = {"s3": {"addressing_style": "path"}}


KEPT = Objects()


def of_home(exchange: Exchange, arrival: Arrival) -> bool:
    """As S3 answers of a bucket in Frankfurt: at the global endpoint it is served, if the signature is for Frankfurt; at
    a regional one it is served in Frankfurt alone."""
    told = f"x-amz-bucket-region: {HOME}\r\n"
    where = [label for label in arrival.host.split(".") if label.count("-") == 2]
    if where and where != [HOME]:
        moved = f"<Error><Code>PermanentRedirect</Code><Endpoint>{GLOBAL}</Endpoint><Bucket>{BUCKET}</Bucket></Error>"
        exchange.answer(b"" if arrival.method == "HEAD" else moved.encode(), "301 Moved Permanently", told)
        return True
    if arrival.region != HOME:
        wrong = f"<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message><Region>{HOME}</Region></Error>"
        exchange.answer(b"" if arrival.method == "HEAD" else wrong.encode(), "400 Bad Request", told)
        return True
    if arrival.method == "GET" and "location" in arrival.target:
        exchange.answer(f"<LocationConstraint>{HOME}</LocationConstraint>".encode())
        return True
    return KEPT.answer(exchange, arrival)


@pytest.fixture(scope="module")
def recording(certificates: CloudCertificates) -> Iterator[RecordingCloud]:
    cloud = RecordingCloud(certificates, of_home, HOME)
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def team(make_gateway: Callable, recording: RecordingCloud) -> Team:
    return Team(make_gateway({"*.amazonaws.com": recording.address}))


@pytest.fixture(scope="module")
def way(team: Team) -> Way:
    return Way(team.gateway.proxy_url, team.gateway.ca, team.grant("s3"))


@pytest.fixture
def arrived(recording: RecordingCloud) -> Iterator[Callable[[], list[tuple[str, str, str]]]]:
    """What came: method, host and the region signed for. All of it rightly signed."""
    seen = len(recording.arrivals)
    yield lambda: [(it.method, it.host, it.region) for it in recording.arrivals[seen:]]
    assert [it.wrong for it in recording.arrivals[seen:] if it.wrong] == []


def test_presigned_at_the_global_endpoint(way: Way, arrived: Callable):
    """boto3's presigned URLs are for the global endpoint, wherever the bucket is, and signed for where it is."""
    with urllib3.ProxyManager(way.proxy_url, ca_certs=str(way.ca), retries=False) as http:
        for method, operation in (("PUT", "put_object"), ("GET", "get_object"), ("HEAD", "head_object")):
            url = way.boto3("s3", HOME).generate_presigned_url(operation, {"Bucket": BUCKET, "Key": "a b"})
            assert urlsplit(url).hostname == f"{BUCKET}.{GLOBAL}"
            assert f"%2F{HOME}%2Fs3%2F" in url
            assert http.request(method, url).status == 200
    assert arrived() == [(method, f"{BUCKET}.{GLOBAL}", HOME) for method in ("PUT", "GET", "HEAD")]


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_presigned_with_sigv2_at_the_global_endpoint(style: str, way: Way, arrived: Callable):
    """It names no region, so the gateway asks for it, and has the call go there."""
    client = way.boto3("s3", s3={"addressing_style": style})
    own, regional = (GLOBAL, REGIONAL) if style == "path" else (f"{BUCKET}.{GLOBAL}", f"{BUCKET}.{REGIONAL}")
    with urllib3.ProxyManager(way.proxy_url, ca_certs=str(way.ca), retries=False) as http:
        for method, operation in (("PUT", "put_object"), ("GET", "get_object"), ("HEAD", "head_object")):
            url = client.generate_presigned_url(operation, {"Bucket": BUCKET, "Key": "a b"})
            assert urlsplit(url).hostname == own and "AWSAccessKeyId=" in url
            assert http.request(method, url).status == 200
    assert arrived() == [(method, regional, HOME) for method in ("PUT", "GET", "HEAD")]


@pytest.mark.parametrize("operation", ["list_objects_v2", "head_bucket"])
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_boto3_at_the_global_endpoint(style: str, operation: str, way: Way, arrived: Callable):
    """Signed for us-east-1 at first, for where the bucket is once S3 has told."""
    client = way.boto3("s3", s3={"addressing_style": style})
    getattr(client, operation)(Bucket=BUCKET)
    first, *_, last = arrived()
    assert (first[2], last[2]) == ("us-east-1", HOME)


def test_boto3_in_another_region(way: Way, arrived: Callable):
    """301, with the region in a header: boto3 goes there."""
    client = way.boto3("s3", "us-west-2")
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    client.head_object(Bucket=BUCKET, Key="k")
    assert arrived() == [
        ("PUT", f"{BUCKET}.s3.us-west-2.amazonaws.com", "us-west-2"),
        ("PUT", f"{BUCKET}.s3.{HOME}.amazonaws.com", HOME),
        ("HEAD", f"{BUCKET}.s3.{HOME}.amazonaws.com", HOME),
    ]


def test_a_redirect_for_the_time_being(make_gateway: Callable, certificates: CloudCertificates):
    """307, as S3 answers of a bucket that is new: passed on as it came, `Location` and all."""
    location = f"https://{BUCKET}.s3.us-west-2.amazonaws.com/k?x=%2F"

    def elsewhere(exchange: Exchange, arrival: Arrival) -> bool:
        if arrival.host == f"{BUCKET}.{GLOBAL}":
            told = f"location: {location}\r\nx-amz-bucket-region: us-west-2\r\n"
            exchange.answer(b"<Error><Code>TemporaryRedirect</Code></Error>", "307 Temporary Redirect", told)
        return arrival.host == f"{BUCKET}.{GLOBAL}"

    cloud = RecordingCloud(certificates, elsewhere)
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}))
    way = Way(team.gateway.proxy_url, team.gateway.ca, team.grant("s3"))
    way.boto3("s3").put_object(Bucket=BUCKET, Key="k", Body=b"x")
    assert [(it.host, it.region, it.wrong) for it in cloud.arrivals] == [
        (f"{BUCKET}.{GLOBAL}", "us-east-1", None),
        (f"{BUCKET}.s3.us-west-2.amazonaws.com", "us-west-2", None),
    ]
    url = way.boto3("s3").generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "k"})
    with urllib3.ProxyManager(way.proxy_url, ca_certs=str(way.ca), retries=False) as http:
        got = http.request("GET", url, redirect=False)
    assert (got.status, got.headers["location"], got.headers["x-amz-bucket-region"]) == (307, location, "us-west-2")
    cloud.stop()


# --- Host and signature disagree: the gateway's own answer ------------------------------------------------------------


def test_what_is_wrong_is_told_in_the_words_of_s3(way: Way, arrived: Callable):
    """HEAD has but a header to tell it in."""
    client = way.boto3("s3", "us-west-2", f"https://{REGIONAL}", **PATH_STYLE)
    client.meta.events.unregister("needs-retry.s3")
    with urllib3.ProxyManager(way.proxy_url, ca_certs=str(way.ca), retries=False) as http:
        signs = way.boto3("s3", "us-west-2", f"https://{REGIONAL}", signature_version="s3v4")
        url = signs.generate_presigned_url("list_buckets")
        told = http.request("GET", url)
        assert (told.status, told.headers["x-amz-bucket-region"]) == (400, HOME)
        words = f"Error parsing the X-Amz-Credential parameter; the region 'us-west-2' is wrong; expecting '{HOME}'"
        for part in ("<Code>AuthorizationQueryParametersError<", f">{words}<", f"<Region>{HOME}</Region>"):
            assert part in told.data.decode()
    got = refusal(client.list_buckets)
    words = f"The authorization header is malformed; the region 'us-west-2' is wrong; expecting '{HOME}'"
    assert (got.status, got.code, got.message) == (400, "AuthorizationHeaderMalformed", words)
    assert arrived() == []


@pytest.mark.parametrize("operation", ["list_objects_v2", "head_bucket", "get_object", "head_object"])
def test_boto3_finds_the_region(operation: str, way: Way, arrived: Callable):
    way.boto3("s3", HOME).put_object(Bucket=BUCKET, Key="k", Body=b"x")
    client = way.boto3("s3", "us-west-2", f"https://{REGIONAL}", **PATH_STYLE)
    getattr(client, operation)(Bucket=BUCKET, **({"Key": "k"} if operation.endswith("object") else {}))
    assert {(host, region) for _, host, region in arrived()[1:]} == {(REGIONAL, HOME)}


@pytest.mark.parametrize("host", [GLOBAL, REGIONAL], ids=["global", "regional"])
def test_s3cmd_finds_the_region(host: str, way: Way, tmp_path: Path, arrived: Callable):
    """It knows us-east-1 alone, until it is told."""
    options, _ = s3cmd_settings(way, tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    styles = [f"--host={host}", f"--host-bucket={host}"]
    words = ["s3cmd", *options, *styles, "put", str(tmp_path / "file"), f"s3://{BUCKET}/a b"]
    done = subprocess.run(words, env=way.environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert arrived()[-1] == ("PUT", host, HOME)


@pytest.mark.parametrize("host", [GLOBAL, REGIONAL], ids=["global", "regional"])
def test_rclone_with_an_endpoint(host: str, way: Way, tmp_path: Path, arrived: Callable):
    (tmp_path / "file").write_bytes(b"x")
    options = ["--config=/dev/null", "--ca-cert", str(way.ca), "--s3-no-check-bucket", "--s3-provider=AWS"]
    options += ["--s3-env-auth", f"--s3-region={HOME}", f"--s3-endpoint={host}"]
    words = ["rclone", *options, "copyto", str(tmp_path / "file"), f":s3:{BUCKET}/from rclone/{host}"]
    environment = {name: value for name, value in way.environment().items() if name != "AWS_CA_BUNDLE"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {(arrived_at, region) for _, arrived_at, region in arrived()} == {(f"{BUCKET}.{host}", HOME)}

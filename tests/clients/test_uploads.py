"""Uploads to S3 in the forms that clients choose: what is stored is the data, whole, and never its framing.

moto stores what it is given; the judge before it checks every chunk's signature, the trailer's and the checksum.
"""

import base64
import hashlib
import hmac
import io
import os
import subprocess
import uuid
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.clients import Way, refusal
from harness.cloud import REAL_KEY, Key, StrictMoto
from harness.gateway import Gateway, Team
from harness.wire import Response, tunnel
from sigv4_verifier import Request, sign, signing_key

S3 = "s3.us-east-1.amazonaws.com"
BUCKET = "uploads"
CHUNK = 64 << 10
PATTERN = bytes(range(251))
SIZES = [0, 1, CHUNK, 200_000, 8 << 20]
MOST_CODE = 50 << 20
# What the gateway may grow by meanwhile, in MiB.
MOST_FOR_CODE = 24


@pytest.fixture(scope="module")
def s3_way(way: Way, request: pytest.FixtureRequest) -> Way:
    """The same way with a key for S3, and a bucket."""
    if not request.config.getoption("--straight"):
        way = way.with_key(request.getfixturevalue("team").grant("s3", "dynamodb"))
    client_of(way).create_bucket(Bucket=BUCKET)
    return way


def client_of(way: Way, **config):
    return way.boto3("s3", s3={"addressing_style": "path"}, **config)


def data_of(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def payloads(cloud: StrictMoto, seen: int) -> list[str]:
    """What was said of the bodies that have arrived since, all of them rightly signed with the real key."""
    verdicts = cloud.verdicts()[seen:]
    assert verdicts
    assert all(verdict.get("key") == REAL_KEY.id for verdict in verdicts), verdicts
    return [verdict["payload"] for verdict in verdicts]


@pytest.mark.parametrize("size", SIZES)
def test_boto3_s_default(size: int, s3_way: Way, cloud: StrictMoto):
    """Unsigned chunks with a CRC-32 behind them, after `Expect: 100-continue`."""
    client, data, seen = client_of(s3_way), data_of(size), len(cloud.verdicts())
    put = client.put_object(Bucket=BUCKET, Key=f"default/{size}", Body=data)
    assert payloads(cloud, seen) == ["STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
    assert put["ChecksumCRC32"] == base64.b64encode(zlib.crc32(data).to_bytes(4)).decode()
    got = client.get_object(Bucket=BUCKET, Key=f"default/{size}")
    assert got["Body"].read() == data
    assert "aws-chunked" not in got.get("ContentEncoding", "")


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_boto3_with_a_checksum_of_its_choice(algorithm: str, s3_way: Way, cloud: StrictMoto):
    client, data, seen = client_of(s3_way), data_of(200_000), len(cloud.verdicts())
    client.put_object(Bucket=BUCKET, Key=algorithm, Body=data, ChecksumAlgorithm=algorithm)
    assert payloads(cloud, seen) == ["STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
    assert client.get_object(Bucket=BUCKET, Key=algorithm)["Body"].read() == data


def test_a_multipart_upload(s3_way: Way, cloud: StrictMoto, tmp_path: Path):
    """What `upload_file` makes of 20 MiB: three parts, side by side, each in unsigned chunks."""
    client, data, seen = client_of(s3_way), data_of(20 << 20), len(cloud.verdicts())
    (tmp_path / "file").write_bytes(data)
    client.upload_file(str(tmp_path / "file"), BUCKET, "parts")
    assert payloads(cloud, seen).count("STREAMING-UNSIGNED-PAYLOAD-TRAILER") == 3
    assert client.get_object(Bucket=BUCKET, Key="parts")["Body"].read() == data


def test_checksums_up_front_and_none_at_all(s3_way: Way, cloud: StrictMoto):
    data = data_of(100_000)
    sha256 = base64.b64encode(hashlib.sha256(data).digest()).decode()
    client = client_of(s3_way)
    client.put_object(Bucket=BUCKET, Key="up-front", Body=data, ChecksumSHA256=sha256)
    assert client.get_object(Bucket=BUCKET, Key="up-front")["Body"].read() == data
    client, seen = client_of(s3_way, request_checksum_calculation="when_required"), len(cloud.verdicts())
    client.put_object(Bucket=BUCKET, Key="none", Body=data)
    assert payloads(cloud, seen) == ["hash"]
    assert client.get_object(Bucket=BUCKET, Key="none")["Body"].read() == data


class Chunks:
    """A body in signed chunks behind a signed head, by the judge's own rules."""

    def __init__(self, key: Key, target: str, data: bytes, trailer: bool, size: int = CHUNK, expect: bool = False):
        self.date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.date[:8]}/us-east-1/s3/aws4_request"
        self.key = signing_key(key.secret, self.scope)
        headers = {
            "host": S3,
            "x-amz-date": self.date,
            "content-encoding": "aws-chunked",
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else ""),
            "x-amz-decoded-content-length": str(len(data)),
        }
        if trailer:
            headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        authorization = sign(
            Request("PUT", target, headers, b""), key.id, key.secret, self.scope, self.date, list(headers)
        )
        self.previous = authorization.rpartition("=")[2]
        self.body = b"".join(self.chunk(data[at : at + size]) for at in range(0, len(data), size)) + self.chunk(b"")
        if trailer:
            line = "x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(data).to_bytes(4)).decode()
            signature = self.sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(f"{line}\n".encode()).hexdigest())
            self.body += f"{line}\r\nx-amz-trailer-signature:{signature}\r\n".encode()
        self.body += b"\r\n"
        headers |= {"authorization": authorization, "content-length": str(len(self.body))}
        if expect:
            headers["expect"] = "100-continue"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.head = f"PUT {target} HTTP/1.1\r\n{lines}\r\n".encode()

    def chunk(self, data: bytes) -> bytes:
        empty = hashlib.sha256(b"").hexdigest()
        signature = self.sign("AWS4-HMAC-SHA256-PAYLOAD", empty, hashlib.sha256(data).hexdigest())
        return b"%x;chunk-signature=%b\r\n%b" % (len(data), signature.encode(), data + b"\r\n" if data else b"")

    def sign(self, *parts: str) -> str:
        algorithm, *rest = parts
        text = "\n".join([algorithm, self.date, self.scope, self.previous, *rest])
        self.previous = hmac.new(self.key, text.encode(), "sha256").hexdigest()
        return self.previous


def send(gateway: Gateway, request: bytes) -> Response:
    with tunnel(gateway.address, gateway.ca, S3) as connection:
        return connection.request(request)


@pytest.mark.parametrize("trailer", [False, True])
@pytest.mark.parametrize("size", [1000, CHUNK, 1 << 20])
def test_signed_chunks(size: int, trailer: bool, s3_way: Way, gateway: Gateway, cloud: StrictMoto):
    """Of any size: the cloud gets chunks of the gateway's own, signed with the real key."""
    data, target, seen = data_of(1_500_000), f"/{BUCKET}/signed-{size}-{trailer}", len(cloud.verdicts())
    made = Chunks(s3_way.key, target, data, trailer, size)
    assert send(gateway, made.head + made.body).status == 200
    assert payloads(cloud, seen)[0].startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    assert client_of(s3_way).get_object(Bucket=BUCKET, Key=target.rpartition("/")[2])["Body"].read() == data


@pytest.mark.parametrize("trailer", [False, True])
def test_a_tampered_chunk_stores_nothing(trailer: bool, s3_way: Way, gateway: Gateway):
    target = f"/{BUCKET}/tampered-{trailer}"
    made = Chunks(s3_way.key, target, data_of(1_500_000), trailer)
    for at in (100, 1_000_000, len(made.body) - 300):
        body = bytearray(made.body)
        body[at] ^= 1
        got = send(gateway, made.head + bytes(body))
        assert got.status in (400, 403)
        assert b"<Code>" in got.body
    missing = refusal(client_of(s3_way).get_object, Bucket=BUCKET, Key=target.rpartition("/")[2])
    assert (missing.status, missing.code) == (404, "NoSuchKey")


def test_an_sdk_is_told_of_a_wrong_checksum(s3_way: Way):
    """As a typed error, and it does not try again for ever."""
    client = client_of(s3_way)

    def spoil(request, **_):
        request.headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        body = request.body.read()
        request.body = body.replace(b"hello", b"HELLO")

    client.meta.events.register("before-send.s3.PutObject", spoil)
    got = refusal(client.put_object, Bucket=BUCKET, Key="spoilt", Body=b"hello world")
    assert (got.status, got.code, got.retries) == (400, "BadDigest", 0)
    missing = refusal(client_of(s3_way).get_object, Bucket=BUCKET, Key="spoilt")
    assert missing.code == "NoSuchKey"


def test_curl_waits_for_its_word(s3_way: Way, cloud: StrictMoto, tmp_path: Path):
    """curl signs the head alone, sends `Expect: 100-continue` of its own accord, and is not left waiting for its second."""
    data, seen = data_of(3 << 20), len(cloud.verdicts())
    (tmp_path / "file").write_bytes(data)
    run = subprocess.run(
        [
            "curl", "--silent", "--show-error", "--proxy", s3_way.proxy_url, "--cacert", s3_way.ca, "--aws-sigv4",
            "aws:amz:us-east-1:s3", "--user", f"{s3_way.key.id}:{s3_way.key.secret}", "--upload-file", tmp_path / "file",
            "--header", "Expect: 100-continue", "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
            "--expect100-timeout", "20", "--write-out", "%{http_code} %{time_total}", f"https://{S3}/{BUCKET}/curl",
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    status, seconds = run.stdout.split()[-2:]
    assert status == "200", run.stdout
    assert float(seconds) < 15
    assert payloads(cloud, seen) == ["UNSIGNED-PAYLOAD"]
    assert client_of(s3_way).get_object(Bucket=BUCKET, Key="curl")["Body"].read() == data


def test_a_refused_upload_costs_no_body(team: Team, gateway: Gateway):
    """A key without S3 is told so before it sends a byte of what it has."""
    key = team.grant("dynamodb")
    made = Chunks(key, f"/{BUCKET}/refused", data_of(1_000_000), trailer=False, expect=True)
    got = send(gateway, made.head)
    assert (got.status, got.headers["connection"]) == (403, "close")


def test_a_body_too_large_for_memory_goes_through_a_file(s3_way: Way, cloud: StrictMoto):
    """DynamoDB's calls declare no hash. What AWS says of an item of 17 MiB, moto says, too."""
    client, seen = s3_way.boto3("dynamodb"), len(cloud.verdicts())
    item = {"id": {"S": "1"}, "blob": {"B": bytes(13 << 20)}}
    refusal(client.put_item, TableName="nowhere", Item=item)
    assert payloads(cloud, seen) == ["hash"]


@pytest.fixture
def code() -> bytes:
    """As large a package as Lambda takes directly: in JSON it becomes 67 MiB."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("app.py", "def handler(event, context): return event\n")
        archive.writestr("model.bin", os.urandom(MOST_CODE - 1024))
    assert MOST_CODE - 1024 < package.tell() <= MOST_CODE
    return package.getvalue()


def test_lambda_s_code(way: Way, team: Team, cloud: StrictMoto, role: str, code: bytes, request, say: Callable):
    """Its calls declare no hash either, so all of it is held: in a file, which costs no memory. What is stored is what was
    sent."""
    if request.config.getoption("--straight"):
        pytest.skip("it is the gateway's memory that is watched")
    name, process, seen = f"large-{uuid.uuid4().hex[:8]}", team.gateway.running(), len(cloud.verdicts())
    sha256 = base64.b64encode(hashlib.sha256(code).digest()).decode()
    client = way.boto3("lambda", read_timeout=120, retries={"total_max_attempts": 1})
    process.forget_peak()
    before = process.status_kib("VmRSS")
    made = client.create_function(
        FunctionName=name, Runtime="python3.12", Role=role, Handler="app.handler", Code={"ZipFile": code}
    )
    assert (made["CodeSize"], made["CodeSha256"]) == (len(code), sha256)
    again = client.update_function_code(FunctionName=name, ZipFile=code)
    assert (again["CodeSize"], again["CodeSha256"]) == (len(code), sha256)
    grown = (process.status_kib("VmHWM") - before) / 1024
    say(f"Lambda's code of {len(code) / (1 << 20):.0f} MiB, twice: the gateway grew by {grown:.1f} MiB")
    assert grown < MOST_FOR_CODE
    assert payloads(cloud, seen) == ["hash", "hash"]
    client.delete_function(FunctionName=name)


def test_lambda_s_code_where_a_rule_looks_at_the_name(
    make_gateway: Callable, cloud: StrictMoto, role: str, code: bytes
):
    """The name is in the body, so that has to be in memory: over the limit for that, the client is told which one it is,
    and raising it helps."""
    for limit, passes in (("16MiB", False), ("80MiB", True)):
        team = Team(make_gateway({"*.amazonaws.com": cloud.address}, {"gateway": {"max_buffered_body": limit}}))
        rule = {
            "type": "csg.resource.name.prefix",
            "status": "enforced",
            "conditions": {"cloud": "aws", "service": "lambda", "operation": "CreateFunction"},
            "value": "large-",
        }
        group = team.admin.post("/policy-groups", name="names", policies=[rule])
        key = team.grant("lambda", policy_group=group["id"])
        client = Way(team.gateway.proxy_url, team.gateway.ca, key).boto3("lambda", read_timeout=120)
        name = f"large-{uuid.uuid4().hex[:8]}"
        function = {"FunctionName": name, "Runtime": "python3.12", "Role": role, "Handler": "app.handler"}
        if passes:
            assert client.create_function(**function, Code={"ZipFile": code})["CodeSize"] == len(code)
            wrong = refusal(client.create_function, **function | {"FunctionName": "other"}, Code={"ZipFile": code})
            assert wrong.message == "Action 'CreateFunction' violates policy 'csg.resource.name.prefix'"
        else:
            told = refusal(client.create_function, **function, Code={"ZipFile": code})
            assert (told.status, told.code, told.retries) == (413, "RequestEntityTooLarge", 0)
            assert "16777216 bytes" in told.message and "gateway.max_buffered_body" in told.message


def test_many_at_a_time(s3_way: Way, cloud: StrictMoto, gateway: Gateway, say: Callable):
    """Signed and unsigned chunks side by side; nothing is mixed up."""

    def work(number: int) -> None:
        data, target = data_of((1 << 20) + number), f"/{BUCKET}/many-{number}"
        if number % 2:
            client.put_object(Bucket=BUCKET, Key=f"many-{number}", Body=data)
        else:
            made = Chunks(s3_way.key, target, data, trailer=number % 4 == 0)
            assert send(gateway, made.head + made.body).status == 200
        assert client.get_object(Bucket=BUCKET, Key=f"many-{number}")["Body"].read() == data

    client, seen = client_of(s3_way, max_pool_connections=8), len(cloud.verdicts())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    assert len(payloads(cloud, seen)) == 32

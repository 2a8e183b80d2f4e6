"""S3: every way in which today's clients upload, every way to name a bucket, keys that are hard to sign.

The cloud is moto behind the strict verifier. What it could not hold is in `test_sizes.py`.
"""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from boto3.s3.transfer import TransferConfig

from harness.chunks import HOST, upload
from harness.clients import Way
from harness.cloud import REAL_KEY, StrictMoto
from harness.gateway import Team
from harness.paths import CLIENTS, REPOSITORY
from harness.wire import raw_request, signed_headers, tunnel

MEBIBYTE = 1 << 20
SIZES = {"nothing": 0, "1 byte": 1, "8 MiB": 8 * MEBIBYTE, "8 MiB and a bit": 8 * MEBIBYTE + 77}
TRAILER, UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
HARD_KEYS = [
    "plain",
    "with a space",
    " leading and trailing ",
    "a+b",
    "100%",
    "a%2Fb",
    "a%2fb%20c",
    "%",
    "user@example.org",
    "a//b",
    "//",
    "/leading",
    "trailing/",
    "../up",
    "a/../b",
    "a/./b",
    "...",
    "ümläut/日本語/🦀",
    "e\u0301 is not \u00e9",
    "a=b&c=d?e#f;g,h:i$j!k'l(m)n*o~p",
    'quote" and <angle> and \\back\\slash',
    "[brackets]{braces}|^`",
    "tab\there",
    "x" * 1024,
    "ü" * 512,
]


@pytest.fixture(scope="module")
def s3_way(request: pytest.FixtureRequest) -> Way:
    if request.config.getoption("--straight"):
        return request.getfixturevalue("straight")
    team: Team = request.getfixturevalue("team")
    return Way(team.gateway.proxy_url, team.gateway.ca, team.grant("s3"))


@pytest.fixture
def bucket(s3_way: Way) -> str:
    name = f"papers-{uuid.uuid4().hex[:12]}"
    s3_way.boto3("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def verdicts(cloud: StrictMoto) -> Iterator[Callable[[], list[dict]]]:
    """What the cloud has seen during this test: all of it well signed, with the real key, for S3."""
    seen = len(cloud.verdicts())
    yield lambda: cloud.verdicts()[seen:]
    for verdict in cloud.verdicts()[seen:]:
        assert "refused" not in verdict, verdict
        assert (verdict["key"], verdict["scope"].split("/")[2]) == (REAL_KEY.id, "s3")


def payloads(verdicts: list[dict], method: str = "PUT") -> set[str]:
    return {verdict["payload"] for verdict in verdicts if verdict["method"] == method}


def content(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- boto3 ----------------------------------------------------------------------------------------------------------

# (configuration of the client, parameters of the call, what the payload is declared to be)
FORMS: dict[str, tuple[dict, dict, str]] = {
    "default": ({}, {}, TRAILER),
    "no checksum": ({"request_checksum_calculation": "when_required"}, {}, "hash"),
    "signed": ({"s3": {"payload_signing_enabled": True}, "request_checksum_calculation": "when_required"}, {}, "hash"),
    "MD5": ({"request_checksum_calculation": "when_required"}, {"ContentMD5": True}, UNSIGNED),
    "SHA1": ({}, {"ChecksumAlgorithm": "SHA1"}, TRAILER),
    "SHA256": ({}, {"ChecksumAlgorithm": "SHA256"}, TRAILER),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_boto3(form: str, size: str, s3_way: Way, bucket: str, verdicts: Callable):
    config, extra, payload = FORMS[form]
    data = content(SIZES[size])
    if extra.get("ContentMD5"):
        extra = {"ContentMD5": base64.b64encode(hashlib.md5(data).digest()).decode()}
    client = s3_way.boto3("s3", **config)
    client.put_object(Bucket=bucket, Key="it", Body=io.BytesIO(data), Metadata={"colour": "sea  green"}, **extra)
    assert payload in payloads(verdicts())
    got = client.get_object(Bucket=bucket, Key="it")
    assert (sha256(got["Body"].read()), got["ContentLength"]) == (sha256(data), len(data))
    assert got["Metadata"] == {"colour": "sea  green"}
    assert client.head_object(Bucket=bucket, Key="it")["ContentLength"] == len(data)
    client.delete_object(Bucket=bucket, Key="it")
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)


def test_boto3_in_parts(s3_way: Way, bucket: str, verdicts: Callable, tmp_path: Path):
    """Three parts at once, put together again; read in ranges at once."""
    data = content(17 * MEBIBYTE)
    (tmp_path / "up").write_bytes(data)
    client = s3_way.boto3("s3")
    transfer = TransferConfig(multipart_threshold=MEBIBYTE, multipart_chunksize=6 * MEBIBYTE)
    client.upload_file(str(tmp_path / "up"), bucket, "in parts", Config=transfer)
    assert client.head_object(Bucket=bucket, Key="in parts")["ETag"].endswith('-3"')
    assert payloads(verdicts()) == {TRAILER}
    client.download_file(bucket, "in parts", str(tmp_path / "down"), Config=transfer)
    assert sha256((tmp_path / "down").read_bytes()) == sha256(data)
    got = client.get_object(Bucket=bucket, Key="in parts", Range="bytes=100-199")
    assert (got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"]) == (data[100:200], 206)


def test_an_upload_in_parts_is_given_up(s3_way: Way, bucket: str, verdicts: Callable):
    client = s3_way.boto3("s3")
    upload = client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    client.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    assert client.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"][0]["Size"] == 1
    client.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize("style", ["path", "virtual", "dotted"])
def test_hard_keys(style: str, s3_way: Way, bucket: str, verdicts: Callable):
    client = s3_way.boto3("s3", s3={"addressing_style": style if style != "dotted" else "auto"})
    if style == "dotted":
        bucket = f"with.dots.{bucket}"
        client.create_bucket(Bucket=bucket)
    # moto's server takes "//" at the start of a path for "/".
    for key in [key for key in HARD_KEYS if style != "virtual" or not key.startswith("/")]:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode(), key
        assert client.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
        listed = client.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
        assert [item["Key"] for item in listed] == [key]
        client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
        assert client.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
        client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
        assert "Contents" not in client.list_objects_v2(Bucket=bucket), key
    hosts = {verdict["host"] for verdict in verdicts()[1:]}
    assert hosts == ({f"{bucket}.s3.amazonaws.com"} if style == "virtual" else {"s3.amazonaws.com"})


SPELLINGS: dict[str, str | None] = {
    "a@b": "a@b",
    "a%40b": "a@b",
    "a+b": None,  # S3 would keep it as "a b", and signs so; moto does not
    "a%2Bb": "a+b",
    "a%2fb%2Fc": "a/b/c",
    "!*'()": "!*'()",
    "%7e~": "~~",
    "..%2Fa": "../a",
    "%61%c3%bc": "aü",
    "a=b&c;d,e:f$g": "a=b&c;d,e:f$g",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_keys_as_other_clients_spell_them(
    spelling: str, s3_way: Way, bucket: str, verdicts: Callable, cloud: StrictMoto
):
    """Encoded more than boto3 would, or less: what is signed is the key, what is sent is what came."""
    target = f"/{bucket}/{spelling}"
    host, _, port = s3_way.proxy_url.removeprefix("http://").partition(":")
    with tunnel((host, int(port)), s3_way.ca, HOST) as connection:
        answer = connection.request(upload(s3_way.key, target, "hash", [b"x"]).bytes())
    assert answer.status == 200, answer
    assert verdicts()[-1]["target"] == target
    key = SPELLINGS[spelling]
    assert key is None or s3_way.boto3("s3").head_object(Bucket=bucket, Key=key)["ContentLength"] == 1


@dataclass
class Address:
    bucket: str
    host: str
    region: str = "us-east-1"
    config: dict | None = None
    endpoint: str | None = None


ADDRESSES = {
    "legacy global": Address("b", "{bucket}.s3.amazonaws.com"),
    "regional": Address(
        "b", "{bucket}.s3.us-east-1.amazonaws.com", config={"s3": {"us_east_1_regional_endpoint": "regional"}}
    ),
    "another region": Address("b", "{bucket}.s3.eu-central-1.amazonaws.com", "eu-central-1"),
    "dotted": Address("b.with.dots", "s3.eu-west-1.amazonaws.com", "eu-west-1"),
    "path": Address("b", "s3.us-west-2.amazonaws.com", "us-west-2", {"s3": {"addressing_style": "path"}}),
    "given": Address("b", HOST, endpoint=f"https://{HOST}"),
    "dual stack": Address(
        "b", "{bucket}.s3.dualstack.us-west-2.amazonaws.com", "us-west-2", {"use_dualstack_endpoint": True}
    ),
}


@pytest.mark.parametrize("form", ADDRESSES)
def test_addresses(form: str, s3_way: Way, verdicts: Callable):
    it = ADDRESSES[form]
    name = f"{it.bucket}-{uuid.uuid4().hex[:8]}"
    client = s3_way.boto3("s3", it.region, it.endpoint, **(it.config or {}))
    where = {} if it.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": it.region}}
    client.create_bucket(Bucket=name, **where)
    client.put_object(Bucket=name, Key="a b", Body=b"there")
    assert client.get_object(Bucket=name, Key="a b")["Body"].read() == b"there"
    assert name in [found["Name"] for found in client.list_buckets()["Buckets"]]
    assert verdicts()[1]["host"] == it.host.format(bucket=name)
    assert {verdict["scope"].split("/")[1] for verdict in verdicts()} == {it.region}


@pytest.mark.parametrize("endpoint", ["s3.amazonaws.com", "s3.us-east-1.amazonaws.com"])
def test_a_dotted_bucket_as_a_host(endpoint: str, s3_way: Way, verdicts: Callable, cloud: StrictMoto, tmp_path: Path):
    """No wildcard is a certificate for it. boto3 does without; s3cmd forgives the certificate; the gateway has one for each
    host, and itself asks for the endpoint's."""
    bucket = f"with.dots.{uuid.uuid4().hex[:8]}"
    s3_way.boto3("s3").create_bucket(Bucket=bucket)
    host = f"{bucket}.{endpoint}"
    address, _, port = s3_way.proxy_url.removeprefix("http://").partition(":")
    for key in [key for key in HARD_KEYS if not key.startswith("/")]:
        target, body = "/" + quote(key, safe="/~"), key.encode()
        for method, sent in (("PUT", body), ("GET", b"")):
            headers = signed_headers(s3_way.key, "s3", host, method, target, body=sent)
            with tunnel((address, int(port)), s3_way.ca, host) as connection:
                answer = connection.request(raw_request(headers, method, target, sent))
            assert answer.status == 200, (key, answer)
        assert answer.body == body, key
    assert {verdict["host"] for verdict in verdicts()[1:]} == {host}
    options, _ = s3cmd_settings(s3_way, tmp_path)
    options += [f"--host={endpoint}", f"--host-bucket=%(bucket)s.{endpoint}"]
    words = ["s3cmd", *options, "get", f"s3://{bucket}/a+b", str(tmp_path / "down")]
    done = subprocess.run(words, env=s3_way.environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, (tmp_path / "down").read_bytes()) == (0, b"a+b"), done.stderr
    assert verdicts()[-1]["host"] == host


# --- Other clients --------------------------------------------------------------------------------------------------


@dataclass
class Program:
    """A client program: how it uploads a folder and fetches it again."""

    path: str
    arguments: Callable[[Way, Path], tuple[list[str], dict[str, str]]]
    up: list[str]
    down: list[str]
    payloads: set[str]


def aws_settings(_: Way, __: Path) -> tuple[list[str], dict[str, str]]:
    return [], {"AWS_PAGER": "", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


def rclone_settings(way: Way, folder: Path) -> tuple[list[str], dict[str, str]]:
    (folder / "rclone.conf").write_text("[cloud]\ntype = s3\nprovider = AWS\nenv_auth = true\nregion = us-east-1\n")
    options = ["--config", str(folder / "rclone.conf"), "--ca-cert", str(way.ca), "--s3-no-check-bucket"]
    # Four parts: rclone's default would begin with parts at 200 MiB.
    return [*options, "--s3-upload-cutoff=6Mi", "--s3-chunk-size=5Mi"], {"AWS_CA_BUNDLE": ""}


def s3cmd_settings(way: Way, folder: Path) -> tuple[list[str], dict[str, str]]:
    host, _, port = way.proxy_url.removeprefix("http://").partition(":")
    settings = {
        "access_key": way.key.id, "secret_key": way.key.secret, "proxy_host": host, "proxy_port": port,
        "ca_certs_file": way.ca, "use_https": True, "multipart_chunk_size_mb": 5, "progress_meter": False,
    }  # fmt: skip
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "s3cmd.conf").write_text("[default]\n" + lines)
    return ["--config", str(folder / "s3cmd.conf")], {}


PROGRAMS = {
    "aws-v1": Program(
        str(Path(sys.executable).parent / "aws"), aws_settings, ["s3", "sync", "{from}", "s3://{bucket}/a b"],
        ["s3", "sync", "s3://{bucket}/a b", "{to}"], {TRAILER},
    ),
    "aws-v2": Program(
        "/usr/bin/aws", aws_settings, ["s3", "sync", "{from}", "s3://{bucket}/a b"],
        ["s3", "sync", "s3://{bucket}/a b", "{to}"], {UNSIGNED},
    ),
    "rclone": Program(
        "rclone", rclone_settings, ["copy", "{from}", "cloud:{bucket}/a b"], ["copy", "cloud:{bucket}/a b", "{to}"],
        {UNSIGNED},
    ),
    "s3cmd": Program(
        "s3cmd", s3cmd_settings, ["sync", "{from}/", "s3://{bucket}/a b/"], ["sync", "s3://{bucket}/a b/", "{to}/"],
        {"hash"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "one byte").write_bytes(b"x")
    (folder / "100% + ü@home").write_bytes(content(1000))
    (folder / "big").write_bytes(content(16 * MEBIBYTE + 5))
    return folder


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str, s3_way: Way, bucket: str, files: Path, tmp_path: Path, verdicts: Callable):
    program = PROGRAMS[name]
    if not shutil.which(program.path):
        pytest.skip(f"{program.path} is not on this machine")
    options, variables = program.arguments(s3_way, tmp_path)
    values = {"bucket": bucket, "from": str(files), "to": str(tmp_path / "down")}
    seen = len(verdicts())
    environment = {name: value for name, value in {**s3_way.environment(), **variables}.items() if value}
    for command in (program.up, program.down):
        words = [word.format(**values) for word in command]
        done = subprocess.run(
            [program.path, *options, *words], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert payloads(verdicts()[seen:]) >= program.payloads
    for file in files.iterdir():
        assert sha256((tmp_path / "down" / file.name).read_bytes()) == sha256(file.read_bytes()), file.name


GO_LIBRARIES = Path("/usr/share/gocode")
SIGNS_CHUNKS = shutil.which("go") and (GO_LIBRARIES / "src/github.com/minio/minio-go").exists()


@pytest.fixture(scope="module")
def chunk_signer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SIGNS_CHUNKS:
        pytest.skip("minio-go is not on this machine")
    built = tmp_path_factory.mktemp("go") / "chunks"
    libraries = {
        "GO111MODULE": "off",
        "GOPATH": str(GO_LIBRARIES),
        "GOFLAGS": "",
        "GOCACHE": str(REPOSITORY / "tests/.cache/go"),
    }
    subprocess.run(["go", "build", "-o", built, CLIENTS / "go/chunks.go"], check=True, env={**os.environ, **libraries})
    return built


@pytest.mark.parametrize("trailer", [False, True], ids=["chunks", "chunks and a trailer"])
def test_signed_chunks(trailer: bool, s3_way: Way, bucket: str, files: Path, chunk_signer: Path, verdicts: Callable):
    """minio-go signs chunks of 64 KiB, each with the one before; in one piece, and in parts."""
    words = [chunk_signer, bucket, files, *(["trailer"] if trailer else [])]
    done = subprocess.run(words, env=s3_way.environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert SIGNED_CHUNKS + ("-TRAILER" if trailer else "") in payloads(verdicts())
    client = s3_way.boto3("s3")
    for file in files.iterdir():
        got = client.get_object(Bucket=bucket, Key=file.name)["Body"].read()
        assert sha256(got) == sha256(file.read_bytes()), file.name

"""S3 objects of 1 byte, 8 MiB and 1 GiB, up and down through boto3 and five other clients as they are by default, while
the gateway's memory is watched: it never holds more of one than a little.

The cloud keeps hashes, and knows of each piece where it belongs: what came twice, or in another's place, does not pass.
"""

import hashlib
import io
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import objects
from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.gateway import Team
from harness.objects import GIBIBYTE, MEBIBYTE, Content, Objects
from harness.recording import RecordingCloud
from test_s3 import PROGRAMS, SIGNED_CHUNKS, TRAILER, UNSIGNED, Program, chunk_signer

SIZES = {"one": 1, "some": 8 * MEBIBYTE, "many": GIBIBYTE}
# What the gateway may grow by while a gibibyte goes through.
MOST_FOR_GIBIBYTE = 32 * MEBIBYTE
__all__ = ["chunk_signer"]


@dataclass
class Bulk:
    team: Team
    way: Way
    cloud: RecordingCloud
    objects: Objects


@pytest.fixture(scope="module")
def bulk(make_gateway: Callable, certificates: CloudCertificates) -> Iterator[Bulk]:
    kept = Objects()
    cloud = RecordingCloud(certificates, kept.answer)
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}))
    yield Bulk(team, Way(team.gateway.proxy_url, team.gateway.ca, team.grant("s3")), cloud, kept)
    cloud.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sizes")
    for name, size in SIZES.items():
        objects.write(folder / name, size)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def watched(request: pytest.FixtureRequest, bulk: Bulk, say: Callable) -> Iterator[None]:
    """The gateway's memory, while a test runs."""
    process = bulk.team.gateway.running()
    process.forget_peak()
    before, began = process.status_kib("VmRSS"), time.monotonic()
    yield
    grown, took = process.status_kib("VmHWM") - before, time.monotonic() - began
    say(f"{request.node.name}: {took:.0f} s, and the gateway grew by {grown / 1024:.1f} MiB")
    assert grown * 1024 < MOST_FOR_GIBIBYTE


class Hashed:
    """A file of which only the hash is kept."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.digest.update(data)


def output_hashed(words: list[str | Path], environment: dict[str, str]) -> str:
    """The SHA-256 of what a program prints."""
    digest = hashlib.sha256()
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=complaints) as program,
    ):
        assert program.stdout
        while piece := program.stdout.read(MEBIBYTE):
            digest.update(piece)
        complaints.seek(0)
        assert program.wait(300) == 0, complaints.read().decode()
    return digest.hexdigest()


# --- boto3 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("how", ["in one piece", "as it likes"])
def test_boto3(how: str, name: str, bulk: Bulk, watched: None):
    client = bulk.way.boto3("s3", retries={"total_max_attempts": 1}, read_timeout=120)
    seen, size = len(bulk.cloud.arrivals), SIZES[name]
    if how == "in one piece":
        client.put_object(Bucket="bulk", Key=name, Body=io.BufferedReader(Content(size)))
    else:
        client.upload_fileobj(io.BufferedReader(Content(size)), "bulk", name)
    assert bulk.objects.holds(name, size)
    assert {it.payload for it in bulk.cloud.arrivals[seen:] if it.method == "PUT"} == {TRAILER}
    fetched = Hashed()
    if how == "in one piece":
        for piece in client.get_object(Bucket="bulk", Key=name)["Body"].iter_chunks(MEBIBYTE):
            fetched.write(piece)
    else:
        client.download_fileobj("bulk", name, fetched)
    assert fetched.digest.hexdigest() == objects.sha256(0, size)
    assert not [it.wrong for it in bulk.cloud.arrivals[seen:] if it.wrong]


# --- Other clients --------------------------------------------------------------------------------------------------


def as_it_is(program: Program, way: Way, folder: Path) -> tuple[list[str], dict[str, str]]:
    """A program with its own thresholds and sizes of parts."""
    options, variables = program.arguments(way, folder)
    options = [option for option in options if not option.startswith(("--s3-upload-cutoff", "--s3-chunk-size"))]
    settings = folder / "s3cmd.conf"
    if settings.exists():
        lines = settings.read_text().splitlines(keepends=True)
        settings.write_text("".join(line for line in lines if "multipart_chunk_size" not in line))
    return options, {name: value for name, value in {**way.environment(), **variables}.items() if value}


WORDS = {
    "aws-v1": (["s3", "cp", "{file}", "s3://bulk/{name}"], ["s3", "cp", "s3://bulk/{name}", "-"], {TRAILER}),
    "aws-v2": (["s3", "cp", "{file}", "s3://bulk/{name}"], ["s3", "cp", "s3://bulk/{name}", "-"], {UNSIGNED}),
    "rclone": (["copyto", "{file}", "cloud:bulk/{name}"], ["cat", "cloud:bulk/{name}"], {UNSIGNED, "hash"}),
    "s3cmd": (["put", "{file}", "s3://bulk/{name}"], ["get", "s3://bulk/{name}", "-"], {"hash"}),
}


@pytest.mark.parametrize("client", WORDS)
def test_programs(client: str, bulk: Bulk, files: Path, tmp_path: Path, watched: None):
    program = PROGRAMS[client]
    if not shutil.which(program.path):
        pytest.skip(f"{program.path} is not on this machine")
    options, environment = as_it_is(program, bulk.way, tmp_path)
    up, down, payloads = WORDS[client]
    seen = len(bulk.cloud.arrivals)
    bulk.objects.stored.clear()
    for name, size in SIZES.items():
        values = {"file": str(files / name), "name": name}
        sent = [program.path, *options, *(word.format(**values) for word in up)]
        done = subprocess.run(sent, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert bulk.objects.holds(name, size), name
        fetched = [program.path, *options, *(word.format(**values) for word in down)]
        assert output_hashed(fetched, environment) == objects.sha256(0, size), name
    arrivals = bulk.cloud.arrivals[seen:]
    assert [it.wrong for it in arrivals if it.wrong] == []
    kinds = {"hash" if len(it.payload) == 64 else it.payload for it in arrivals if it.method == "PUT"}
    assert kinds == payloads


def test_signed_chunks(bulk: Bulk, files: Path, chunk_signer: Path, watched: None):
    """minio-go: each chunk of 64 KiB signed with the one before."""
    seen = len(bulk.cloud.arrivals)
    bulk.objects.stored.clear()
    done = subprocess.run(
        [chunk_signer, "bulk", files], env=bulk.way.environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for name, size in SIZES.items():
        assert bulk.objects.holds(name, size), name
        fetched = output_hashed([chunk_signer, "bulk", name, "down"], bulk.way.environment())
        assert fetched == objects.sha256(0, size), name
    arrivals = bulk.cloud.arrivals[seen:]
    assert [it.wrong for it in arrivals if it.wrong] == []
    assert {it.payload for it in arrivals if it.method == "PUT"} == {SIGNED_CHUNKS}

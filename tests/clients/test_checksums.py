"""The checksums that the SDKs for JavaScript and Go put into their uploads to S3, by themselves and when told to.

moto keeps what comes; the strict verifier looks at the signature, the gateway at each checksum. What the SDKs do about it
is seen in what arrived: the algorithm's trailer behind a stream, or its header before a buffer.
"""

import os
import shutil
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.clients import Way
from harness.cloud import REAL_KEY, StrictMoto
from harness.gateway import Team
from harness.paths import CLIENTS, REPOSITORY

GO_LIBRARIES = Path("/usr/share/gocode")
TRAILER, UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD"
SIZES = 2


@pytest.fixture(scope="module")
def s3_way(team: Team) -> Way:
    return Way(team.gateway.proxy_url, team.gateway.ca, team.grant("s3"))


@pytest.fixture
def put(s3_way: Way, cloud: StrictMoto) -> Callable[..., Counter]:
    """Runs a program that uploads to a new bucket; how often it said what of its bodies and of their checksums."""

    def run(*words: str | Path) -> Counter:
        bucket = f"sums-{uuid.uuid4().hex[:12]}"
        s3_way.boto3("s3").create_bucket(Bucket=bucket)
        seen = len(cloud.verdicts())
        done = subprocess.run(
            [*words, bucket], env=s3_way.environment(), capture_output=True, text=True, timeout=300, cwd=CLIENTS / "js"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        verdicts = cloud.verdicts()[seen:]
        for verdict in verdicts:
            assert verdict.get("key") == REAL_KEY.id and "refused" not in verdict, verdict
        return Counter(declared(verdict) for verdict in verdicts if verdict["method"] == "PUT")

    return run


def declared(verdict: dict) -> tuple[str, str]:
    sums = [name.removeprefix("x-amz-checksum-") for name in verdict["headers"] if name.startswith("x-amz-checksum-")]
    return verdict["payload"], " ".join(sums) or ("behind it" if "x-amz-trailer" in verdict["headers"] else "none")


def test_javascript(put: Callable[..., Counter]):
    """Its own choice is CRC32."""
    forms = {"crc32": 2 * SIZES, "crc32c": SIZES, "crc64nvme": SIZES, "sha1": SIZES, "sha256": SIZES}
    of_buffers = {("hash", name): count for name, count in forms.items()}
    assert put("node", "store.mjs") == {**of_buffers, (TRAILER, "behind it"): 6 * SIZES}


def test_go(put: Callable[..., Counter], tmp_path: Path):
    if not shutil.which("go") or not (GO_LIBRARIES / "src/github.com/aws/aws-sdk-go-v2/service/s3").exists():
        pytest.skip("the AWS SDK for Go v2 is not on this machine")
    libraries = {
        "GO111MODULE": "off",
        "GOPATH": str(GO_LIBRARIES),
        "GOFLAGS": "",
        "GOCACHE": str(REPOSITORY / "tests/.cache/go"),
    }
    environment = {**os.environ, **libraries}
    subprocess.run(["go", "build", "-o", tmp_path / "store", CLIENTS / "go/store.go"], check=True, env=environment)
    # Debian's is older than the checksums that newer ones make by themselves. It puts each of four behind a buffer as behind a stream.
    assert put(tmp_path / "store") == {(TRAILER, "behind it"): 2 * 4 * SIZES, (UNSIGNED, "none"): SIZES}

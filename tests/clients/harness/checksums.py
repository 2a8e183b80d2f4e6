"""boto3 with AWS's library in C beside it, in a process of its own: that is where it has the checksums from that Python lacks.

As a program: BUCKET DATA-FILE ALGORITHM...; for each algorithm, one upload as it should be and one whose data is changed
behind the SDK's back. It prints what it said of the first, and what it was told of the second.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .crt import CRT

# Those that boto3 knows beyond Python's own.
BEYOND_PYTHON = ("CRC32C", "CRC64NVME", "XXHASH64", "XXHASH3", "XXHASH128")


def upload_with_checksums(way: Any, bucket: str, data: Path, *algorithms: str) -> dict[str, dict]:
    done = subprocess.run(
        [sys.executable, "-m", "harness.checksums", bucket, data, *algorithms],
        env={**way.environment(), "PYTHONPATH": f"{CRT}:{Path(__file__).resolve().parent.parent}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def main(bucket: str, path: str, *algorithms: str) -> None:
    import boto3
    from awscrt import checksums
    from botocore.config import Config
    from botocore.exceptions import ClientError

    data = Path(path).read_bytes()
    client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))

    def number(value: int, length: int) -> bytes:
        return value.to_bytes(length, "big")

    right = {
        "CRC32C": lambda: number(checksums.crc32c(data), 4),
        "CRC64NVME": lambda: number(checksums.crc64nvme(data), 8),
        "XXHASH64": lambda: checksums.XXHash.compute_xxhash64(data),
        "XXHASH3": lambda: checksums.XXHash.compute_xxhash3_64(data),
        "XXHASH128": lambda: checksums.XXHash.compute_xxhash3_128(data),
    }

    def spoil(request: Any, **_: Any) -> None:
        framed = request.body.read()
        assert data in framed
        request.body = framed.replace(data, data[:-1] + b"?")

    told = {}
    for algorithm in algorithms:
        client.put_object(Bucket=bucket, Key=f"right/{algorithm}", Body=data, ChecksumAlgorithm=algorithm)
        client.meta.events.register("before-send.s3.PutObject", spoil)
        try:
            client.put_object(Bucket=bucket, Key=f"wrong/{algorithm}", Body=data, ChecksumAlgorithm=algorithm)
            refused = "let through"
        except ClientError as error:
            refused = error.response["Error"]["Code"]
        client.meta.events.unregister("before-send.s3.PutObject", spoil)
        told[algorithm] = {"value": base64.b64encode(right[algorithm]()).decode(), "refused": refused}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])

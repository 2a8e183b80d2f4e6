"""boto3 with AWS's library in C beside it, in a process of its own: how people get it to sign SigV4A.

As a program: SERVICE METHOD PARAMETERS; it prints the URL that it called.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CRT = Path(__file__).resolve().parent.parent.parent / ".cache/crt"


def call_with_crt(way: Any, service: str, method: str, given: dict, agent: str = "-") -> str:
    """The URL that was called; bytes among the parameters are given as {"base64": …}."""
    done = subprocess.run(
        [sys.executable, __file__, service, method, json.dumps(given), agent],
        env={**way.environment(), "PYTHONPATH": str(CRT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]
    return done.stdout.strip()


def main(service: str, method: str, given: str, agent: str) -> None:
    import boto3
    from botocore.config import Config

    def note(request: Any, **_: Any) -> None:
        assert b"ECDSA" in request.headers["Authorization"]
        print(request.url)

    def plain(value: dict) -> Any:
        return base64.b64decode(value["base64"]) if "base64" in value else value

    config = Config(retries={"total_max_attempts": 1}, user_agent_extra=agent)
    client = boto3.Session().client(service, config=config)
    client.meta.events.register("before-send", note)
    answer = getattr(client, method)(**json.loads(given, object_hook=plain))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


if __name__ == "__main__":
    main(*sys.argv[1:])

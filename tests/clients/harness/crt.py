"""boto3 with AWS's library in C beside it, in a process of its own: how people get it to sign SigV4A.

As a program: SERVICE METHOD PARAMETERS; it prints the URL that it called.
"""

import base64
import json
import os
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


def sign_with_crt(key: Any, method: str, host: str, target: str, headers: dict[str, str], payload: str) -> dict:
    """The headers of a request to S3, signed with SigV4A by AWS's own signer, whose chunks the caller goes on to sign."""
    request = {"method": method, "host": host, "target": target, "headers": headers, "payload": payload}
    done = subprocess.run(
        [sys.executable, __file__, "sign", key.id, key.secret, json.dumps(request)],
        env={**os.environ, "PYTHONPATH": str(CRT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {name.lower(): value for name, value in json.loads(done.stdout)}


def sign(key: str, secret: str, given: str) -> None:
    from awscrt import auth, http

    it = json.loads(given)
    headers = http.HttpHeaders([("host", it["host"]), *it["headers"].items()])
    request = http.HttpRequest(it["method"], it["target"], headers)
    how = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=auth.AwsCredentialsProvider.new_static(key, secret),
        region="*",
        service="s3",
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value=it["payload"],
        signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
    )
    print(json.dumps(list(auth.aws_sign_request(request, how).result().headers)))


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
    if sys.argv[1] == "sign":
        sign(*sys.argv[2:])
    else:
        main(*sys.argv[1:])

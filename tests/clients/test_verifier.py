"""The judge judged: the published SigV4 vectors pass the verifier, and none does once a byte is changed."""

import json
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from harness.paths import REPOSITORY
from sigv4_verifier import Refused, Request, verify

VECTOR_COUNT = 38
# Its session token is added after signing. AWS IoT takes that; to the judge an unsigned token is anybody's.
TOKEN_AFTER_SIGNING = "post-sts-header-after"


@cache
def vectors() -> list[Path]:
    """The folder of vectors that the `aws-sigv4` crate ships with its sources."""
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--locked"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    package = next(p for p in json.loads(metadata.stdout)["packages"] if p["name"] == "aws-sigv4")
    return sorted((Path(package["manifest_path"]).parent / "aws-signing-test-suite/v4").iterdir())


def load(vector: Path, form: str) -> tuple[Request, dict]:
    text = (vector / f"{form}-signed-request.txt").read_bytes().decode()
    head, _, body = text.partition("\n\n")
    first, *lines = head.split("\n")
    method, _, rest = first.partition(" ")
    target = rest.removesuffix(" HTTP/1.1")
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith(" "):  # a folded line, which HTTP has since abolished: joined as a server would
            headers[name] += " " + line.strip()
            continue
        name, _, value = line.partition(":")
        name = name.lower()
        headers[name] = f"{headers[name]},{value.strip()}" if name in headers else value.strip()
    return Request(method, target, headers, body.encode()), json.loads((vector / "context.json").read_text())


def judge(request: Request, context: dict):
    credentials = context["credentials"]
    signed_at = datetime.fromisoformat(context["timestamp"].replace("Z", "+00:00")).astimezone(UTC)
    key = credentials["secret_access_key"], credentials.get("token")
    return verify(request, lambda _: key, signed_at, context["normalize"])


def complete() -> list[Path]:
    return [vector for vector in vectors() if (vector / "context.json").exists()]


@pytest.mark.parametrize("form", ["header", "query"])
def test_every_published_vector_passes(form):
    assert len(complete()) == VECTOR_COUNT
    for vector in complete():
        request, context = load(vector, form)
        refused = None
        try:
            judge(request, context)
        except Refused as reason:
            refused = str(reason)
        assert bool(refused) == (vector.name == TOKEN_AFTER_SIGNING), f"{vector.name}: {refused}"


@pytest.mark.parametrize("form", ["header", "query"])
def test_a_changed_request_is_refused(form):
    for vector in complete():
        for change in (change_method, change_path, change_host, change_body):
            request, context = load(vector, form)
            change(request)
            with pytest.raises(Refused):
                judge(request, context)
                pytest.fail(f"{vector.name} passed after {change.__name__}")


def change_method(request: Request) -> None:
    request.method = "DELETE"


def change_path(request: Request) -> None:
    request.target = "/x" + request.target


def change_host(request: Request) -> None:
    request.headers["host"] = "other.amazonaws.com"


def change_body(request: Request) -> None:
    request.body += b"x"

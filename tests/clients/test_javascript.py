"""The AWS SDK for JavaScript v3: create, list, read and delete on nine services.

It ignores HTTPS_PROXY, so the script gives it an agent that does not; the CA is NODE_EXTRA_CA_CERTS. The operations
are those of `js/exercise.mjs`, which prints each as it does it.
"""

import base64
import io
import json
import subprocess
import zipfile

import pytest

from harness.clients import Way
from harness.cloud import REAL_KEY, Key, StrictMoto
from harness.gateway import NINE_SERVICES, Team
from harness.paths import CLIENTS

LEAST_OPERATIONS = 4  # create, list, read, delete
# What this SDK signs beyond what it has to: none of it may be touched before it is verified, and it is signed again.
SIGNED_ALONG = {"amz-sdk-invocation-id", "amz-sdk-request", "x-amz-user-agent"}


def node(way: Way, script: str, **extra: str) -> list[str]:
    """Runs one exercise; its lines of output."""
    done = subprocess.run(
        ["node", "exercise.mjs", script],
        cwd=CLIENTS / "js",
        env={**way.environment(), **extra},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def code() -> str:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return event\n")
    return base64.b64encode(package.getvalue()).decode()


@pytest.mark.parametrize("service", NINE_SERVICES)
def test_service(service: str, way: Way, role: str, code: str, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    operations = node(way, service, TEST_ROLE=role, TEST_CODE=code)
    assert len(operations) >= LEAST_OPERATIONS
    verdicts = cloud.verdicts()[seen:]
    assert len(verdicts) == len(operations)
    for verdict in verdicts:
        assert "refused" not in verdict, verdict
        assert (verdict["key"], verdict["scope"].split("/")[2]) == (REAL_KEY.id, service)
        assert set(verdict["signed_headers"]) >= SIGNED_ALONG
        assert verdict["method"] != "POST" or "content-length" in verdict["signed_headers"]


# How each protocol words them.
IN_JSON, IN_XML = ("json 1.0", "json 1.1", "rest-json"), ("query", "rest-xml")


def assert_refused(way: Way, message: str, in_json: str, in_xml: str) -> None:
    told = [json.loads(line) for line in node(way, "refused") if line.startswith("{")]
    for one in told:
        name = in_json if one["protocol"] in IN_JSON else in_xml
        shown = (one["name"], one["message"], one["status"], one["attempts"], one["identified"])
        assert shown == (name, message, 403, 1, True), one
    assert [one["protocol"] for one in told] == [*IN_JSON, *IN_XML]


def test_a_refusal_is_a_typed_error_and_not_tried_again(team: Team, way: Way):
    only_glacier = team.grant("glacier")
    message = "Client is unknown or has no access to service"
    assert_refused(way.with_key(only_glacier), message, "AccessDeniedException", "AccessDenied")


def test_a_wrong_secret_is_a_typed_error(way: Way, key: Key):
    message = (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access"
        " Key and signing method. Consult the service documentation for details."
    )
    wrong = way.with_key(Key(key.id, "x" * 40))
    assert_refused(wrong, message, "InvalidSignatureException", "SignatureDoesNotMatch")

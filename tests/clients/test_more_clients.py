"""More clients, each with a proxy address, a CA file and a key, and nothing else: aiobotocore, s3fs, celery over SQS,
awscurl, the AWS SDK for Go v1; and calls of boto3 that are unsigned by design."""

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.clients import Way, refusal
from harness.cloud import REAL_KEY, StrictMoto
from harness.gateway import Team
from harness.paths import CLIENTS, REPOSITORY
from harness.process import Process, wait_until

MORE = REPOSITORY / "tests/.cache/more/bin"
GO_LIBRARIES = Path("/usr/share/gocode")
needs_more = pytest.mark.skipif(not (MORE / "python").exists(), reason="these clients could not be installed")


@pytest.fixture(scope="module")
def through(team: Team) -> Way:
    key = team.grant("dynamodb", "s3", "sns", "sqs", "cognito-idp", "cognito-identity")
    return Way(team.gateway.proxy_url, team.gateway.ca, key)


@pytest.fixture
def arrived(cloud: StrictMoto) -> Callable[[], list[dict]]:
    """The calls that came to the cloud since the test began, each rightly signed with the real key."""
    seen = len(cloud.verdicts())

    def check() -> list[dict]:
        verdicts = cloud.verdicts()[seen:]
        for verdict in verdicts:
            assert verdict.get("key") == REAL_KEY.id and "refused" not in verdict, verdict
        return verdicts

    return check


def services(verdicts: list[dict]) -> set[str]:
    return {verdict["scope"].split("/")[2] for verdict in verdicts}


def run(way: Way, *words: str | Path, **variables: str) -> str:
    done = subprocess.run(
        words, env={**way.environment(), **variables}, capture_output=True, text=True, timeout=120, cwd=way.ca.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_more
def test_aiobotocore(through: Way, arrived: Callable):
    run(through, MORE / "python", CLIENTS / "more/aio.py")
    verdicts = arrived()
    assert len(verdicts) >= 24 and services(verdicts) == {"dynamodb"}


@needs_more
def test_s3fs(through: Way, arrived: Callable):
    run(through, MORE / "python", CLIENTS / "more/files.py", f"s3fs-{uuid.uuid4().hex[:8]}")
    verdicts = arrived()
    assert services(verdicts) == {"s3"}
    assert len([verdict for verdict in verdicts if "partNumber" in verdict["target"]]) >= 2


@needs_more
def test_celery_over_sqs(through: Way, arrived: Callable, tmp_path: Path):
    """What is sent is boto3's; the worker asks for it with curl, and signs by itself."""
    environment = {**through.environment(), "SUMS": str(tmp_path), "PYTHONPATH": str(CLIENTS / "more")}
    sums = ["-m", "celery", "-A", "worker", "worker", "--pool", "solo", "--without-gossip", "--without-mingle"]
    worker = Process([MORE / "python", *sums], tmp_path / "worker.log", environment)
    try:
        run(through, MORE / "python", CLIENTS / "more/worker.py", "5", **environment)
        wanted = {f"{number}+{number}": str(2 * number) for number in range(5)}

        def made() -> bool:
            assert worker.child.poll() is None, worker.text()
            return {file.name: file.read_text() for file in tmp_path.glob("*+*")} == wanted

        wait_until(made, 60, f"the sums; the worker says: {worker.tail()}")
    finally:
        worker.kill()
    verdicts = arrived()
    assert services(verdicts) == {"sqs"}


@needs_more
def test_awscurl(through: Way, arrived: Callable):
    listed = run(
        through, MORE / "awscurl", "--service", "dynamodb", "--region", "us-east-1", "-X", "POST", "-d", "{}",
        "-H", "X-Amz-Target: DynamoDB_20120810.ListTables", "-H", "Content-Type: application/x-amz-json-1.0",
        "https://dynamodb.us-east-1.amazonaws.com/",
    )  # fmt: skip
    assert "TableNames" in json.loads(listed)
    buckets = run(through, MORE / "awscurl", "--service", "s3", "https://s3.us-east-1.amazonaws.com/?max-buckets=10")
    assert "<ListAllMyBucketsResult" in buckets
    assert services(arrived()) == {"dynamodb", "s3"}


@pytest.mark.skipif(
    not (shutil.which("go") and (GO_LIBRARIES / "src/github.com/aws/aws-sdk-go").exists()),
    reason="no Go, or not the first version of its AWS SDK",
)
def test_go_v1(through: Way, arrived: Callable, tmp_path: Path):
    libraries = {
        "GO111MODULE": "off",
        "GOPATH": str(GO_LIBRARIES),
        "GOFLAGS": "",
        "GOCACHE": str(REPOSITORY / "tests/.cache/go"),
    }
    build = ["go", "build", "-o", tmp_path / "v1", CLIENTS / "go/v1.go"]
    subprocess.run(build, check=True, env={**os.environ, **libraries})
    run(through, tmp_path / "v1", f"go-{uuid.uuid4().hex[:8]}")
    verdicts = arrived()
    assert services(verdicts) == {"dynamodb", "s3", "sns"}
    # It signs these, too, so that nothing on the way may change them.
    signed = {name for verdict in verdicts if verdict["method"] == "POST" for name in verdict["signed_headers"]}
    assert {"accept-encoding", "content-length"} <= signed


# --- Unsigned by design ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pools(straight: Way) -> dict[str, str]:
    """What an administrator has set up for people to sign up at."""
    admin = straight.boto3("cognito-idp")
    pool = admin.create_user_pool(PoolName="people")["UserPool"]["Id"]
    client = admin.create_user_pool_client(UserPoolId=pool, ClientName="app")["UserPoolClient"]["ClientId"]
    identities = straight.boto3("cognito-identity").create_identity_pool(
        IdentityPoolName="people", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    return {"client": client, "identities": identities}


def vouched(way: Way) -> Way:
    """The key as the proxy's credentials: the tunnel vouches for what is not signed."""
    scheme, _, rest = way.proxy_url.partition("://")
    return Way(f"{scheme}://{way.key.id}:{quote(way.key.secret, safe='')}@{rest}", way.ca, way.key)


def test_what_is_unsigned_by_design_goes_through_a_tunnel_that_vouches(
    through: Way, pools: dict[str, str], cloud: StrictMoto, team: Team
):
    seen = len(cloud.verdicts())
    people, password = vouched(through).boto3("cognito-idp"), "Correct1&horse+="
    made = people.sign_up(ClientId=pools["client"], Username="dora", Password=password)
    assert made["UserConfirmed"] is False
    found = vouched(through).boto3("cognito-identity").get_id(IdentityPoolId=pools["identities"])
    assert found["IdentityId"].startswith("us-east-1:")
    assert [(verdict.get("unsigned"), verdict.get("key")) for verdict in cloud.verdicts()[seen:]] == [(True, None)] * 2
    # Nor does the tunnel hand out what the grant does not.
    got = refusal(
        people.initiate_auth,
        ClientId=pools["client"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "dora", "PASSWORD": password},
    )
    assert (got.status, got.code, got.retries) == (403, "AccessDeniedException", 0)
    assert (
        got.message
        == "Action 'InitiateAuth' would hand out cloud credentials and is not allowed by this access request"
    )
    # What is signed goes on being signed there.
    assert "UserPools" in vouched(through).boto3("cognito-idp").list_user_pools(MaxResults=1)
    assert len(cloud.verdicts()) == seen + 3
    assert cloud.verdicts()[-1]["key"] == REAL_KEY.id
    query = f"request={through.key.request}&service=cognito-idp"

    def recorded() -> bool:
        calls = team.admin.calls(query)
        return {call["operation"]: call["outcome"] for call in calls} == {
            "SignUp": "allowed",
            "InitiateAuth": "refused",
            "ListUserPools": "allowed",
        }

    wait_until(recorded, 10, "the records")


def test_without_that_its_user_is_told_what_to_do(through: Way, pools: dict[str, str], cloud: StrictMoto):
    seen = len(cloud.verdicts())
    got = refusal(through.boto3("cognito-identity").get_id, IdentityPoolId=pools["identities"])
    assert (got.status, got.code, got.retries) == (403, "AccessDeniedException", 0)
    assert "HTTPS_PROXY=http://ACCESS_KEY_ID:SECRET_ACCESS_KEY@GATEWAY:3128" in got.message
    assert len(cloud.verdicts()) == seen

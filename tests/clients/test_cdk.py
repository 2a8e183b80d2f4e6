"""The AWS CDK's command line: bootstrap, and deploy a stack whose template and file go up as assets.

The stack is a cloud assembly as an app writes it, so that no app has to run. CDK would take on the roles of its bootstrap
for each step, which the gateway refuses; it then goes on with the key that it has, and tells so.
"""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from harness.clients import Way
from harness.cloud import REAL_KEY, StrictMoto
from harness.gateway import Team
from harness.paths import CLIENTS

CDK = CLIENTS / "js/node_modules/.bin/cdk"
ACCOUNT, REGION = "123456789012", "us-east-1"
NAME = f"hnb659fds-%s-{ACCOUNT}-{REGION}"
ASSETS = "cdk-" + NAME % "assets"
FILE = b"what the stack ships with it\n" * 1000


def role(kind: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/cdk-{NAME % kind}"


def assembly(folder: Path) -> Path:
    """A stack with a queue, and a file that it needs; as `cdk synth` leaves it."""
    folder.mkdir()
    template = json.dumps(
        {"Resources": {"Orders": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "cdk-orders"}}}}
    )
    (folder / "Orders.template.json").write_text(template)
    (folder / "file.txt").write_bytes(FILE)
    assets = {}
    for name, content in (("Orders.template.json", template.encode()), ("file.txt", FILE)):
        digest = hashlib.sha256(content).hexdigest()
        where = {
            "bucketName": ASSETS,
            "objectKey": digest,
            "region": REGION,
            "assumeRoleArn": role("file-publishing-role"),
        }
        assets[digest] = {
            "source": {"path": name, "packaging": "file"},
            "destinations": {"current": where},
            "displayName": name,
        }
    (folder / "Orders.assets.json").write_text(json.dumps({"version": "36.0.0", "files": assets, "dockerImages": {}}))
    bootstrapped = {
        "requiresBootstrapStackVersion": 6,
        "bootstrapStackVersionSsmParameter": "/cdk-bootstrap/hnb659fds/version",
    }
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": f"aws://{ACCOUNT}/{REGION}",
        "properties": {
            "templateFile": "Orders.template.json",
            "stackTemplateAssetObjectUrl": f"s3://{ASSETS}/{hashlib.sha256(template.encode()).hexdigest()}",
            "assumeRoleArn": role("deploy-role"),
            "lookupRole": {"arn": role("lookup-role")},
            **bootstrapped,
        },
        "dependencies": ["Orders.assets"],
    }
    files = {"type": "cdk:asset-manifest", "properties": {"file": "Orders.assets.json", **bootstrapped}}
    manifest = {"version": "36.0.0", "artifacts": {"Orders.assets": files, "Orders": stack}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def cdk(way: Way, home: Path, *words: str) -> str:
    done = subprocess.run(
        [CDK, "--ci", "--proxy", way.proxy_url, "--ca-bundle-path", way.ca, "--no-notices", *words],
        env={**way.environment(), "HOME": str(home), "NODE_EXTRA_CA_CERTS": "", "HTTPS_PROXY": ""},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(not CDK.exists(), reason="the npm packages are not installed")
def test_bootstrap_and_deploy(request: pytest.FixtureRequest, cloud: StrictMoto, straight: Way, tmp_path: Path):
    if request.config.getoption("--straight"):
        way = straight
    else:
        team: Team = request.getfixturevalue("team")
        key = team.grant("cloudformation", "ecr", "iam", "s3", "sqs", "ssm", "sts")
        way = Way(team.gateway.proxy_url, team.gateway.ca, key)
    seen = len(cloud.verdicts())
    cdk(way, tmp_path, "bootstrap", f"aws://{ACCOUNT}/{REGION}")
    assert straight.boto3("ssm").get_parameter(Name="/cdk-bootstrap/hnb659fds/version")["Parameter"]["Value"]
    said = cdk(
        way, tmp_path, "deploy", "--app", str(assembly(tmp_path / "cdk.out")), "--require-approval", "never", "Orders"
    )
    stored = straight.boto3("s3").get_object(Bucket=ASSETS, Key=hashlib.sha256(FILE).hexdigest())
    assert stored["Body"].read() == FILE
    assert straight.boto3("sqs").get_queue_url(QueueName="cdk-orders")
    verdicts = cloud.verdicts()[seen:-2]  # but for the looks just taken
    assert {verdict.get("key") for verdict in verdicts} == {REAL_KEY.id}
    assert not [verdict for verdict in verdicts if "refused" in verdict]
    assert {verdict["scope"].split("/")[2] for verdict in verdicts} == {"cloudformation", "s3", "ssm", "sts"}
    for kind in ("deploy-role", "file-publishing-role"):
        assert f"could not be used to assume '{role(kind)}', but are for the right account. Proceeding anyway." in said

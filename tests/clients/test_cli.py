"""The AWS command line: create, list, read and delete on nine services.

Each step is a command as a person would type it; `{name}` is what an earlier step captured with `name=path`.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.clients import Way
from harness.cloud import REAL_KEY, StrictMoto
from harness.gateway import Team

# Version 1 from the pinned Python packages, and what the machine has besides (Debian's is version 2).
PROGRAMS = {"v1": str(Path(sys.executable).with_name("aws")), "debian": "/usr/bin/aws"}


@dataclass
class Step:
    """A command, and what is to be found in its answer: a text, or the value to keep for later steps."""

    command: str
    has: str = ""
    keep: str = ""


SERVICES: dict[str, list[Step]] = {
    "apigateway": [
        Step("create-rest-api --name cli-orders", keep="id=id"),
        Step("get-rest-apis", has="cli-orders"),
        Step("get-rest-api --rest-api-id {id}", has="cli-orders"),
        Step("delete-rest-api --rest-api-id {id}"),
    ],
    "dynamodb": [
        Step(
            "create-table --table-name cli-orders --billing-mode PAY_PER_REQUEST"
            " --attribute-definitions AttributeName=id,AttributeType=S --key-schema AttributeName=id,KeyType=HASH"
        ),
        Step("list-tables", has="cli-orders"),
        Step('put-item --table-name cli-orders --item {{"id":{{"S":"ü/1"}}}}'),
        Step('get-item --table-name cli-orders --key {{"id":{{"S":"ü/1"}}}}', has="ü/1"),
        Step('delete-item --table-name cli-orders --key {{"id":{{"S":"ü/1"}}}}'),
        Step("delete-table --table-name cli-orders", has="cli-orders"),
    ],
    "ecs": [
        Step("create-cluster --cluster-name cli-web", keep="arn=cluster.clusterArn"),
        Step("list-clusters", has="{arn}"),
        Step("describe-clusters --clusters cli-web", has="ACTIVE"),
        Step("delete-cluster --cluster cli-web", has="INACTIVE"),
    ],
    "glacier": [
        Step("create-vault --account-id - --vault-name cli-papers"),
        Step("list-vaults --account-id -", has="cli-papers"),
        Step("describe-vault --account-id - --vault-name cli-papers", has="VaultARN"),
        Step("upload-archive --account-id - --vault-name cli-papers --body {archive_file}", keep="archive=archiveId"),
        Step("delete-archive --account-id - --vault-name cli-papers --archive-id {archive}"),
        Step("delete-vault --account-id - --vault-name cli-papers"),
    ],
    "lambda": [
        Step(
            "create-function --function-name cli-resize --runtime python3.12 --role {role} --handler app.handler"
            " --zip-file fileb://{zip_file}"
        ),
        Step("list-functions", has="cli-resize"),
        Step("get-function --function-name cli-resize", has="{role}"),
        Step("delete-function --function-name cli-resize"),
    ],
    "redshift": [
        Step(
            "create-cluster --cluster-identifier cli-sales --node-type ra3.large --master-username dora"
            " --master-user-password Correct1&horse+= --number-of-nodes 2"
        ),
        Step("describe-clusters", has="cli-sales"),
        Step("describe-clusters --cluster-identifier cli-sales", has="ra3.large"),
        Step("delete-cluster --cluster-identifier cli-sales --skip-final-cluster-snapshot", has="cli-sales"),
    ],
    "route53": [
        Step(
            "create-hosted-zone --name cli.example.org --caller-reference {program}",
            keep="zone=HostedZone.Id",
        ),
        Step("list-hosted-zones", has="{zone}"),
        Step("get-hosted-zone --id {zone}", has="cli.example.org."),
        Step("delete-hosted-zone --id {zone}"),
    ],
    "ses": [
        Step("verify-email-identity --email-address cli+dora@example.org"),
        Step("list-identities", has="cli+dora@example.org"),
        Step("get-identity-verification-attributes --identities cli+dora@example.org", has="Success"),
        Step("delete-identity --identity cli+dora@example.org"),
    ],
    "sns": [
        Step("create-topic --name cli-news", keep="topic=TopicArn"),
        Step("list-topics", has="{topic}"),
        Step("get-topic-attributes --topic-arn {topic}", has="{topic}"),
        Step("publish --topic-arn {topic} --message a=b&c=d%20e~*", has="MessageId"),
        Step("delete-topic --topic-arn {topic}"),
    ],
}


def aws(program: str, way: Way, service: str, command: str, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [word.format(**values) for word in command.split()]
    return subprocess.run(
        [PROGRAMS[program], "--output", "json", service, *words],
        env={**way.environment(), "AWS_PAGER": "", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("files")
    archive = folder / "archive"
    archive.write_bytes(b"paper" * 20_000)
    package = folder / "app.zip"
    with zipfile.ZipFile(package, "w") as made:
        made.writestr("app.py", "def handler(event, context): return event\n")
    return {"archive_file": str(archive), "zip_file": str(package)}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    if not shutil.which(PROGRAMS[request.param]):
        pytest.skip(f"{PROGRAMS[request.param]} is not on this machine")
    return request.param


@pytest.mark.parametrize("service", SERVICES)
def test_service(service: str, program: str, way: Way, role: str, files: dict[str, str], cloud: StrictMoto):
    seen = len(cloud.verdicts())
    values = {"role": role, "program": program, **files}
    for step in SERVICES[service]:
        done = aws(program, way, service, step.command, values)
        assert done.returncode == 0, f"{step.command}: {done.stderr}"
        assert step.has.format(**values) in done.stdout
        if step.keep:
            name, _, path = step.keep.partition("=")
            value = json.loads(done.stdout)
            for part in path.split("."):
                value = value[part]
            values[name] = value
    verdicts = cloud.verdicts()[seen:]
    assert len(verdicts) >= len(SERVICES[service])
    for verdict in verdicts:
        assert "refused" not in verdict, verdict
        assert (verdict["key"], verdict["scope"].split("/")[2]) == (REAL_KEY.id, service)


def test_a_refusal_is_told_in_one_line(program: str, team: Team, way: Way):
    only_sns = team.grant("sns")
    done = aws(program, way.with_key(only_sns), "dynamodb", "list-tables", {})
    assert done.returncode != 0
    assert (
        "An error occurred (AccessDeniedException) when calling the ListTables operation:"
        " Client is unknown or has no access to service" in done.stderr
    )

"""Schemathesis reads the OpenAPI document and tries everything it allows, and much that it does not."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.gateway import Gateway, Team

LIMIT_SECONDS = 90
# Signing out would end the run. What is sent to the rest may be refused all the same, for what a schema can't say:
# names of things that do not exist, cursors that no list returned; 424 where a cloud would have to be asked.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "410", "422", "424", "429"]

[[operations]]
include-operation-id = "delete_session"
enabled = false

[[operations]]
include-path-regex = "access-requests/.id.$"
parameters = {{ "path.id" = "{request}" }}

[[operations]]
include-path-regex = "access-requests/.id./"
parameters = {{ "path.id" = "{request}" }}

[[operations]]
include-path-regex = "environments/.id."
include-method = ["GET", "POST"]
parameters = {{ "path.id" = "{environment}" }}
"""


@pytest.fixture(scope="module")
def furnished(make_gateway: Callable) -> Team:
    """A gateway of its own: what is tried here may well take things away."""
    return Team(make_gateway({}))


def test_schemathesis_finds_nothing(furnished: Team, tmp_path: Path) -> None:
    gateway: Gateway = furnished.gateway
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(furnished.admin.document()))
    request = furnished.ask("dynamodb")["id"]
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.format(request=request, environment=furnished.environment))
    token = furnished.admin.post("/tokens", name="schemathesis")["token"]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
        *("run", str(document), "--url", gateway.console_url, "--header", f"Authorization: Bearer {token}"),
        *("--generation-deterministic", "--max-examples", "20", "--max-time", str(LIMIT_SECONDS)),
        *("--request-timeout", "20", "--continue-on-failure", "--no-color"),
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_SECONDS + 60, check=False)
    assert run.returncode == 0, run.stdout[-12000:] + run.stderr[-2000:]
    assert "API Operations" in run.stdout, run.stdout

"""The `csg` command itself, as a person at a shell uses it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.clients import Way
from harness.gateway import Gateway, Team
from harness.paths import CSG


def csg(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CSG), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_demo_once(tmp_path: Path):
    """The whole main job with nothing else needed; the status says whether every step did what it should."""
    done = csg("demo", "--once", HOME=str(tmp_path), TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("an approver, says yes", "takes the access back", "Client is not Active"):
        assert word in done.stdout, done.stdout
    assert list(tmp_path.iterdir()) == [], "what it made must be gone afterwards"


def test_the_binary_is_static():
    kind = subprocess.run(["ldd", CSG], capture_output=True, text=True, check=False)
    assert "statically linked" in kind.stdout + kind.stderr or "not a dynamic" in kind.stdout + kind.stderr


def test_version():
    done = csg("version", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["version"]


def test_ca_export_is_what_the_port_gives(gateway: Gateway):
    done = csg("ca", "export", "--config", gateway.configuration)
    assert done.stdout.encode() == gateway.ca.read_bytes()


def test_init_does_not_touch_what_is_there(gateway: Gateway):
    before = gateway.get("/cert/pem")
    done = csg(
        "init", "--config", gateway.configuration, "--admin", "mallory", CSG_ADMIN_PASSWORD="a long password it is"
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert gateway.get("/cert/pem") == before


def test_a_misspelt_key_is_told_with_its_nearest(tmp_path: Path):
    file = tmp_path / "csg.toml"
    file.write_text('[gateway]\nlissten = ["127.0.0.1:0"]\n')
    done = csg("serve", "--config", file)
    assert done.returncode != 0
    assert "gateway.listen" in done.stderr
    assert f"{file}:2" in done.stderr


def test_wrong_usage_is_status_2():
    done = csg("serve", "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_env_makes_a_client_work(shell: str, team: Team, gateway: Gateway, tmp_path: Path):
    """What `csg env` prints is all that the AWS command line needs, in the shell that it is evaluated in."""
    request = team.ask("sns")
    team.approve(request)
    ca = tmp_path / "a folder" / "ca.pem"
    aws = Path(sys.executable).with_name("aws")
    script = f"""
        set -e
        eval "$('{CSG}' env {request["id"]} --secret --ca-file '{ca}')"
        '{aws}' sns create-topic --name from-a-shell --region us-east-1 --output json
    """
    bare = Way(gateway.proxy_url, gateway.ca, team.grant("ecs")).environment()
    environment = {name: value for name, value in bare.items() if "AWS" not in name and "CA" not in name}
    del environment["HTTPS_PROXY"]
    environment |= {
        "CSG_URL": gateway.console_url,
        "CSG_TOKEN": team.dora.token or "",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run([shell, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["TopicArn"].endswith(":from-a-shell")

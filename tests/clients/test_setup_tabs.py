"""The set-up that a request's page offers, run as it stands there: its text is taken from the page, the secret put
where it says so, and what it sets up has to reach the cloud.

Only what installs is left out: the machine has it already, in the versions that are pinned, and which is checked. What
can't be run where Maven, Terraform's registry and Docker's are out of reach:

- Java: not the SDK, but the very command of the tab, which starts a program that uses proxy and trust store as the SDK
  does. A gateway's refusal of its unsigned call shows that both are right.
- Terraform: not the provider. Terraform itself reads the file, if it is there, and keeps its state in S3, for which it has the
  same settings and the same library.
- Docker: not the container. What docker is told is written down and done without it: its variables, its mount, its
  command, and nothing else.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.clients import without_presets
from harness.cloud import REAL_KEY, Key, StrictMoto
from harness.gateway import NINE_SERVICES, Team
from harness.pages import blocks
from harness.paths import CLIENTS, REPOSITORY
from harness.visitor import Texts, visitor

INSTALLS = re.compile(r"(pip|npm) install |go (mod|get) |cargo (add|fetch)")
CACHE = REPOSITORY / "tests/.cache"
OWN_BIN = str(Path(sys.executable).parent)
REGION = "eu-west-1"
GO_LIBRARIES = Path("/usr/share/gocode")


@dataclass
class SetUp:
    """The set-up of one request."""

    texts: dict[str, str]
    key: Key
    home: Path

    @property
    def test_it(self) -> str:
        return self.texts["A command to test it"]

    def file(self, client: str) -> str:
        return self.texts[f"A file for {client}"]

    def installs(self, client: str) -> list[str]:
        return [line for line in self._lines(client) if INSTALLS.match(line)]

    def commands(self, client: str) -> str:
        """What is typed, with the secret in its place."""
        lines = self._lines(client)
        code = "\n".join(line for line in lines if not INSTALLS.match(line)) + "\n"
        return code.replace("YOUR_SECRET", self.key.secret)

    def _lines(self, client: str) -> list[str]:
        return self.texts[f"Set-up for {client}"].splitlines()

    def run(self, script: str, bin_folder: str = OWN_BIN, **extra: str) -> subprocess.CompletedProcess[str]:
        """In a shell of somebody who has nothing set up, or something else."""
        done = self.try_to(script, bin_folder, **extra)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done

    def try_to(self, script: str, bin_folder: str = OWN_BIN, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=self.home,
            env={
                **without_presets(os.environ),
                "HOME": str(self.home),
                "PATH": f"{bin_folder}:{os.environ['PATH']}",
                "AWS_SESSION_TOKEN": "of another day",
                "AWS_CA_BUNDLE": "/of/another/place.pem",
                "AWS_EC2_METADATA_DISABLED": "true",
                **extra,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=800,  # a build on a busy machine
        )


@pytest.fixture(scope="module")
def read_page(team: Team) -> Callable[[str], str]:
    return visitor(team.gateway.console_url, "dora")


@pytest.fixture(scope="module")
def granted(team: Team, read_page: Callable[[str], str]) -> Callable[[str], tuple[dict[str, str], Key]]:
    """The texts of a request for a service, and its key; asked for once."""
    known: dict[str, tuple[dict[str, str], Key]] = {}

    def grant(service: str) -> tuple[dict[str, str], Key]:
        if service not in known:
            key = team.grant(service)
            page = read_page(f"/access-requests/{key.request}")
            assert key.id in page and key.secret not in page
            known[service] = (Texts(page).texts, key)
        return known[service]

    return grant


@pytest.fixture
def set_up(granted: Callable, tmp_path: Path) -> Callable[[str], SetUp]:
    return lambda service: SetUp(*granted(service), tmp_path)


@pytest.fixture
def reaches(cloud: StrictMoto) -> Callable[[str], None]:
    """Shows that one call has come to the cloud since the test began, rightly signed with the real key."""
    seen = len(cloud.verdicts())

    def check(service: str) -> None:
        [verdict] = cloud.verdicts()[seen:]
        assert "refused" not in verdict, verdict
        _, region, of, _ = verdict["scope"].split("/", 3)
        assert (verdict["key"], of) == (REAL_KEY.id, service)
        assert region == ("us-east-1" if service == "route53" else REGION)

    return check


@pytest.mark.parametrize("service", [*NINE_SERVICES, "s3"])
def test_environment_and_the_command_to_test_it(service: str, set_up: Callable, reaches: Callable):
    it = set_up(service)
    it.run(it.commands("Environment") + it.test_it)
    reaches(service)


def test_the_test_would_notice_a_wrong_secret(set_up: Callable):
    it = set_up("sns")
    wrong = it.commands("Environment").replace(it.key.secret, "x" * 40)
    done = it.try_to(wrong + it.test_it)
    assert done.returncode != 0 and "SignatureDoesNotMatch" in done.stderr, done.stderr


@pytest.mark.parametrize("program", [f"{OWN_BIN}/aws", "/usr/bin/aws"], ids=["own", "debian"])
def test_aws_cli(program: str, set_up: Callable, reaches: Callable):
    if not Path(program).exists():
        pytest.skip(f"no {program}")
    it = set_up("dynamodb")
    # Whoever tried the other tab before has its key in the environment.
    it.run(
        f"export AWS_ACCESS_KEY_ID=other AWS_SECRET_ACCESS_KEY=other\n{it.commands('AWS CLI')}{it.test_it}",
        bin_folder=str(Path(program).parent),
    )
    reaches("dynamodb")


@pytest.mark.parametrize("service", [*NINE_SERVICES, "s3"])
def test_boto3(service: str, set_up: Callable, reaches: Callable):
    it = set_up(service)
    assert it.installs("boto3") == ["pip install boto3"]
    (it.home / "main.py").write_text(it.file("boto3"))
    it.run(it.commands("boto3") + "python3 main.py")
    reaches(service)


@pytest.mark.parametrize("service", NINE_SERVICES)
def test_javascript(service: str, set_up: Callable, reaches: Callable):
    it = set_up(service)
    pinned = json.loads((CLIENTS / "js/package.json").read_text())["dependencies"]
    [install] = it.installs("JavaScript")
    assert set(install.split()[2:]) <= pinned.keys(), install
    (it.home / "node_modules").symlink_to(CLIENTS / "js/node_modules")
    (it.home / "main.mjs").write_text(it.file("JavaScript"))
    it.run(it.commands("JavaScript") + "node main.mjs")
    reaches(service)


@pytest.mark.skipif(
    not (shutil.which("go") and (GO_LIBRARIES / "src/github.com/aws/aws-sdk-go-v2").exists()),
    reason="no Go, or not its AWS SDK",
)
def test_go(set_up: Callable, reaches: Callable):
    it = set_up("dynamodb")
    assert len(it.installs("Go")) == 2
    (it.home / "main.go").write_text(it.file("Go"))
    # Debian's libraries are those of the time before modules.
    libraries = {"GO111MODULE": "off", "GOPATH": str(GO_LIBRARIES), "GOFLAGS": "", "GOCACHE": str(CACHE / "go")}
    it.run(it.commands("Go") + "go run main.go", **libraries)
    reaches("dynamodb")
    assert it.run('gofmt -l "$HOME/main.go"').stdout == ""


def test_rust(set_up: Callable, reaches: Callable):
    it = set_up("dynamodb")
    project = CACHE / "setup-rust"
    (project / "src").mkdir(parents=True, exist_ok=True)
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy(CLIENTS / "rust" / name, project)
    manifest = (project / "Cargo.toml").read_text()
    *adds, fetch = it.installs("Rust")
    assert fetch == "cargo fetch"
    for crates, _, features in (add.removeprefix("cargo add ").partition(" --features ") for add in adds):
        for crate in crates.split():
            [needed] = re.findall(rf"^{crate} = .*", manifest, re.MULTILINE)
            assert all(f'"{feature}"' in needed for feature in features.split(",") if feature), needed
    (project / "src/main.rs").write_text(it.file("Rust"))
    # As `cargo fetch` leaves it, and built, before the proxy is set.
    home = Path.home()
    own = {
        "CARGO_HOME": os.environ.get("CARGO_HOME", str(home / ".cargo")),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(home / ".rustup")),
        "CARGO_TARGET_DIR": str(project / "target"),
    }
    it.run(f"cd {project}\ncargo build --locked --quiet", **own)
    it.run(f"{it.commands('Rust')}cd {project}\ncargo run --locked --offline --quiet", **own)
    reaches("dynamodb")


JAVA = """
import java.io.InputStream;
import java.net.*;

public class App {
    public static void main(String[] arguments) throws Exception {
        URI proxy = URI.create(System.getenv("HTTP_PROXY"));
        InetSocketAddress at = new InetSocketAddress(proxy.getHost(), proxy.getPort());
        URL url = new URL("https://dynamodb." + System.getenv("AWS_REGION") + ".amazonaws.com/");
        HttpURLConnection call = (HttpURLConnection) url.openConnection(new Proxy(Proxy.Type.HTTP, at));
        System.out.println(call.getResponseCode() + " " + new String(call.getErrorStream().readAllBytes()));
    }
}
"""


@pytest.mark.skipif(not shutil.which("rclone"), reason="no rclone")
def test_rclone(set_up: Callable, reaches: Callable):
    it = set_up("s3")
    it.run(it.commands("rclone"))
    reaches("s3")
    # Why it takes that variable away: rclone gives up where it is set, even to the right file.
    also_set = it.commands("rclone").replace("unset AWS_CA_BUNDLE", 'export AWS_CA_BUNDLE="$HOME/.csg/ca.pem"')
    done = it.try_to(also_set)
    assert done.returncode != 0 and "unable to load custom CA bundle" in done.stderr, done.stderr


@pytest.mark.skipif(not shutil.which("s3cmd"), reason="no s3cmd")
def test_s3cmd(set_up: Callable, reaches: Callable):
    it = set_up("s3")
    it.run(it.commands("s3cmd"))
    reaches("s3")
    assert (it.home / ".csg/s3cmd.conf").stat().st_mode & 0o077 == 0, "the secret is in it"


@pytest.mark.skipif(not shutil.which("javac"), reason="no Java")
def test_java(set_up: Callable):
    it = set_up("dynamodb")
    (it.home / "App.java").write_text(JAVA)
    it.run("javac App.java && jar --create --file app.jar --main-class App App.class")
    told = it.run(it.commands("Java")).stdout
    assert told.startswith("403 ") and "MissingAuthenticationToken" in told, told
    mistrusted = it.try_to(it.commands("Java").replace("-Djavax.net.ssl.trustStore=", "-Dnothing="))
    assert "SSLHandshakeException" in mistrusted.stderr
    listed = it.run('keytool -list -keystore "$HOME/.csg/ca.p12" -storepass changeit').stdout
    assert listed.count("trustedCertEntry") == 1, listed


def test_terraform(set_up: Callable):
    it = set_up("dynamodb")
    told = it.run(it.commands("Terraform") + 'echo "$TF_VAR_csg_secret"').stdout
    assert told.strip() == it.key.secret
    assert (it.home / ".csg/ca.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")
    provider = it.file("Terraform")
    assert f'"{it.key.id}"' in provider and "var.csg_secret" in provider and 'pathexpand("~/.csg/ca.pem")' in provider
    if shutil.which("terraform"):
        (it.home / "csg.tf").write_text(provider)
        assert it.run("terraform fmt -check -diff csg.tf").stdout == ""


@pytest.mark.skipif(not shutil.which("terraform"), reason="no Terraform")
def test_terraform_with_its_state_in_s3(set_up: Callable, cloud: StrictMoto, team: Team):
    """What is built into Terraform itself calls S3, as the page for administrators has it; beside the other tab's variables."""
    it = set_up("s3")
    [state] = [block.text for block in blocks(REPOSITORY / "docs/clients.md") if block.place == "state"]
    bucket = "terraform-state"
    for name, value in (("BUCKET", bucket), ("http://gateway.example.com:3128", team.gateway.proxy_url)):
        assert name in state
        state = state.replace(name, value)
    (it.home / "state.tf").write_text(state + 'resource "terraform_data" "it" {\n  input = "kept"\n}\n')
    plain = {"TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    assert it.run("terraform fmt -check -diff state.tf", **plain).stdout == ""
    seen = len(cloud.verdicts())
    make = f"aws s3api create-bucket --bucket {bucket} --create-bucket-configuration LocationConstraint={REGION}\n"
    keys = it.commands("Environment")
    it.run(keys + make + "terraform init -input=false\nterraform apply -input=false -auto-approve", **plain)
    state = it.run(f"{keys}aws s3 cp s3://{bucket}/terraform.tfstate -").stdout
    assert '"kept"' in state
    # Its proxy and CA are those of the file: it needs no variable for them.
    told = it.run(keys + "unset HTTPS_PROXY AWS_CA_BUNDLE\nterraform state list", **plain)
    assert told.stdout == "terraform_data.it\n"
    verdicts = cloud.verdicts()[seen:]
    assert {verdict.get("key") for verdict in verdicts} == {REAL_KEY.id}, verdicts
    by_terraform = [verdict for verdict in verdicts if "tfstate" in verdict["target"]]
    assert {"GET", "PUT", "DELETE"} <= {verdict["method"] for verdict in by_terraform}


def test_docker(set_up: Callable, reaches: Callable):
    it = set_up("dynamodb")
    bin_folder = it.home / "bin"
    bin_folder.mkdir()
    stand_in = bin_folder / "docker"
    stand_in.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    stand_in.chmod(0o755)
    told = it.run(it.commands("Docker"), bin_folder=str(bin_folder)).stdout.splitlines()
    assert told[:6] == ["run", "--rm", "--network", "host", "--env-file", "csg.env"]
    [_, mount, image, *command] = told[6:]
    source, target, mode = mount.split(":")
    assert (image, target, mode) == ("amazon/aws-cli", "/csg/ca.pem", "ro")
    assert (it.home / "csg.env").stat().st_mode & 0o077 == 0, "the secret is in it"
    # Each line of such a file is a variable, quotes and all.
    variables = dict(line.split("=", 1) for line in (it.home / "csg.env").read_text().splitlines())
    variables["AWS_CA_BUNDLE"] = variables["AWS_CA_BUNDLE"].replace(target, source)
    subprocess.run([f"{OWN_BIN}/aws", *command], env={**variables, "PATH": os.environ["PATH"]}, check=True, timeout=60)
    reaches("dynamodb")

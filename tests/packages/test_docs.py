"""The pages for administrators, and the README: each command in them is run, on machines of their own under a real systemd
or on the reader's own, in the order of the page; what a page says that it prints is what it prints."""

import json
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.certificates import CloudCertificates
from harness.clients import without_presets
from harness.cloud import REAL_KEY
from harness.gateway import Gateway, Team
from harness.machine import Machine
from harness.pages import PAGES, Block, anchors, blocks, in_sentences, links, prints
from harness.paths import CLIENTS, CSG, REPOSITORY
from harness.process import Process, wait_until
from harness.visitor import Texts, visitor
from release import Release

DOCS = REPOSITORY / "docs"
NAME = "gateway.example.com"
PASSWORD = "a long password"
RELEASE = "/srv/release"
# Hosts of the cloud that the pages call; to the machine they are names of its own.
CLOUD_HOSTS = ("dynamodb.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com", "sts.amazonaws.com")
# What is typed where a secret is asked for.
ANSWERS = ((r"csg (login|user add) ", PASSWORD), (r"csg credential add ", REAL_KEY.secret))
# What is not run by any suite, and why.
ELSEWHERE = {"./tests/run": "what runs this"}
# Pages whose commands belong on a machine on which the first hour is over, in this order: a backup that is put back ends
# sessions, and the last one moves the ports.
_AFTERWARDS = (
    "clients",
    "people",
    "credentials",
    "policies",
    "configuration",
    "troubleshooting",
    "upgrade",
    "backup",
    "networks",
)
AFTERWARDS = tuple(DOCS / f"{name}.md" for name in _AFTERWARDS)
# Who runs what on which page: the tests below, and those of the suite `kernel`.
_INSTALL, _FIRST_HOUR, _README = DOCS / "install.md", DOCS / "first-hour.md", REPOSITORY / "README.md"
PAGES_OF = {
    "apparmor": (DOCS / "hardening.md",),
    "bare": (DOCS / "configuration.md",),
    "demo": (_README,),
    "drop-in": (DOCS / "hardening.md",),
    "file": (DOCS / "clients.md",),
    "gateway": (_INSTALL, _FIRST_HOUR, *AFTERWARDS),
    "own": (_INSTALL,),
    "person": (_FIRST_HOUR, *AFTERWARDS),
    "rpm": (_INSTALL,),
    "script": (_README, _INSTALL),
    "state": (DOCS / "clients.md",),  # the suite `setup_tabs`
    "selinux": (DOCS / "hardening.md",),
    "tab": (DOCS / "clients.md",),
}
PLACES = ("elsewhere", *PAGES_OF)


class Site:
    """A machine for a gateway, with the release, and a cloud; and a person's own machine in the same network."""

    def __init__(self, folder: Path, certificates: CloudCertificates, release: Release):
        self.machine, self.folder = Machine(folder), folder
        self.home = folder / "home"
        self.home.mkdir()
        self.hosts = folder / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost {NAME} {' '.join(CLOUD_HOSTS)}\n")
        self.machine.write("/etc/hosts", self.hosts.read_text())
        self.machine.run("systemctl", "start", "systemd-journald.service")
        # What keeps services of the machine that runs the tests from being started, and what takes long on a large one.
        self.machine.run("rm", "-f", "/usr/sbin/policy-rc.d", "/var/lib/man-db/auto-update")
        self._copy(release.folder, RELEASE)
        self.machine.write("/run/cloud.pem", certificates.ca.read_text())
        settings = "Environment=CSG_UPSTREAM__CA_FILE=/run/cloud.pem\n"
        self.machine.write("/etc/systemd/system/csg.service.d/test.conf", f"[Service]\n{settings}")
        # A password, and a certificate of the company: what a reader has.
        self.machine.write(f"{RELEASE}/password.txt", PASSWORD)
        self.machine.write(f"{RELEASE}/console.pem", certificates.chain.read_text())
        self.machine.write(f"{RELEASE}/console.key", certificates.key.read_text())
        self.certificates = certificates
        self.cloud: Process | None = None

    def _copy(self, source: Path, inside: str) -> None:
        self.machine.run("mkdir", "-p", inside)
        with subprocess.Popen(["tar", "-C", source, "-c", "."], stdout=subprocess.PIPE) as tar:
            command = self.machine.command("tar", "-C", inside, "-x", "--no-same-owner")
            subprocess.run(command, stdin=tar.stdout, check=True)

    def in_network(self, *command: str | Path) -> list[str | Path]:
        return ["nsenter", "--target", str(self.machine.init), "--net", *command]

    def start_cloud(self) -> None:
        made = self.certificates
        self.cloud = Process(
            self.in_network(
                sys.executable, CLIENTS / "strict_moto.py", "--port", "443", "--cert", made.chain, "--key", made.key,
                "--static", f"{REAL_KEY.id}:{REAL_KEY.secret}", "--log", self.folder / "verdicts.jsonl",
            ),
            self.folder / "cloud.log",
            {**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "false"},
        )  # fmt: skip
        said = ["curl", "-s", "-o", "/dev/null", "--cacert", "/run/cloud.pem", "https://sts.amazonaws.com/"]
        wait_until(lambda: self.machine.attempt(*said).returncode == 0, 60, "the cloud")

    def run(self, block: Block) -> str:
        """Runs a block where it belongs, and gives what it said."""
        script = block.text.replace("AKIA…", REAL_KEY.id)
        for command, answer in ANSWERS:
            script = re.sub(rf"^{command}.*$", rf"\g<0> <<<'{answer}'", script, flags=re.MULTILINE)
        # One shell a page.
        done = getattr(self, f"_{block.place}")(script, f"shell-{block.page.stem}")
        assert done.returncode == 0, f"{block.where}: {done.returncode}\n{done.stdout}"
        if block.expected is not None:
            assert prints(done.stdout, block.expected), f"{block.where} says\n{done.stdout}"
        return done.stdout

    def _gateway(self, script: str, shell: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        kept = f"/run/{shell}" if user == "root" else f"/home/{user}/.{shell}"
        become = [] if user == "root" else ["runuser", "-u", user, "--", "env", f"HOME=/home/{user}"]
        command = self.machine.command(*become, "bash", "-c", in_shell(script, RELEASE, kept))
        return run(command, {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"})

    _bare = _script = _gateway

    def _own(self, script: str, shell: str) -> subprocess.CompletedProcess[str]:
        self.machine.run("useradd", "--create-home", "own", check=False)
        return self._gateway(script, shell, "own")

    def _rpm(self, script: str, shell: str) -> subprocess.CompletedProcess[str]:
        # What the package needs is there under Debian's names.
        self.machine.write("/usr/local/bin/rpm", '#!/bin/sh\nexec /usr/bin/rpm --nodeps "$@"\n')
        self.machine.run("chmod", "755", "/usr/local/bin/rpm")
        return self._gateway(script, shell)

    def _person(self, script: str, shell: str) -> subprocess.CompletedProcess[str]:
        bin_folder = self.home / "bin"
        bin_folder.mkdir(exist_ok=True)
        if not (bin_folder / "csg").exists():
            (bin_folder / "csg").symlink_to(CSG)
        # In the network of the machine, with its names, and nothing else of it.
        inner = f"mount --bind '{self.hosts}' /etc/hosts\n{in_shell(script, self.home, self.home / shell)}"
        command = self.in_network("unshare", "--mount", "bash", "-c", inner)
        path = f"{bin_folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return run(command, {**without_presets(os.environ), "HOME": str(self.home), "PATH": path})

    def stop(self) -> None:
        if self.cloud:
            self.cloud.kill()
        self.machine.stop()


def in_shell(script: str, folder: str | Path, kept: str | Path) -> str:
    """The next commands of a shell that goes on from block to block: its variables are kept."""
    return f"cd '{folder}'\nset -a\n[ ! -e '{kept}' ] || . '{kept}'\nset -eu\n{script}\nexport -p >'{kept}'\n"


def run(command: list, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={
            "LC_ALL": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CURL_CA_BUNDLE": "/run/cloud.pem",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def make_site(
    tmp_path_factory: pytest.TempPathFactory, certificates: CloudCertificates, release: Release
) -> Iterator[Callable[[], Site]]:
    if os.getuid() != 0:
        pytest.skip("only root may make a machine of its own")
    made: list[Site] = []

    def make() -> Site:
        made.append(Site(tmp_path_factory.mktemp("site"), certificates, release))
        return made[-1]

    yield make
    for site in made:
        site.stop()


@pytest.fixture(scope="module")
def running(make_site: Callable[[], Site]) -> Site:
    """Where the first hour is over: as its page says, which is run here."""
    site = make_site()
    site.start_cloud()
    for block in of(DOCS / "install.md", "gateway"):
        if "Remove" not in block.heading:
            site.run(block)
    for block in of(DOCS / "first-hour.md", "gateway", "person"):
        said = site.run(block)
        if link := re.search(r"http://(\S+)/setup\?token=(\S+)", said):
            follow_link(site, *link.groups())
    return site


def follow_link(site: Site, console: str, token: str) -> None:
    """As a browser would."""
    form = urllib.parse.urlencode({"token": token, "username": "admin", "password": PASSWORD})
    said = site.machine.run(
        "curl", "-sS", "-H", f"Origin: http://{console}", "-d", form, "-w", "%{http_code}", f"http://{console}/setup"
    )
    assert said == "303", said


def of(page: Path, *places: str) -> list[Block]:
    found = [block for block in blocks(page) if block.place.split(" ")[0] in places]
    assert found, f"{page.name} has nothing for {places}"
    return found


def test_every_block_is_run():
    for page in PAGES:
        for block in blocks(page):
            place, *_ = block.place.split(" ")
            assert block.kind == "toml" or place in PLACES, f"{block.where}: nobody runs this"
            assert place != "elsewhere" or block.text.startswith(tuple(ELSEWHERE)), f"{block.where}: where is it run?"
            assert place not in PAGES_OF or page in PAGES_OF[place], f"{block.where}: nobody runs this on that page"


def test_the_network_is_narrowed_as_the_page_of_hardening_says(make_site: Callable[[], Site]):
    machine = make_site().machine
    [drop_in] = of(DOCS / "hardening.md", "drop-in")
    units = Path("/etc/systemd/system")
    machine.write(str(units / "csg.service"), (REPOSITORY / "systemd/csg.service").read_text())
    machine.run("mkdir", "-p", str(units / "csg.service.d"))
    machine.write(str(units / "csg.service.d/network.conf"), drop_in.text)
    machine.run("systemctl", "daemon-reload")
    shown = machine.run("systemctl", "show", "csg.service", "-p", "IPAddressDeny", "-p", "IPAddressAllow")
    said = dict(line.split("=") for line in shown.splitlines())
    assert set(said["IPAddressDeny"].split()) == {"0.0.0.0/0", "::/0"}, said
    assert set(said["IPAddressAllow"].split()) == {"10.0.0.0/8", "127.0.0.0/8", "::1/128"}, said


def test_installed_and_removed(make_site: Callable[[], Site]):
    site = make_site()
    for block in of(DOCS / "install.md", "gateway"):
        site.run(block)
    for gone in ("/usr/bin/csg", "/var/lib/csg", "/etc/csg"):
        assert site.machine.attempt("test", "-e", gone).returncode == 1, gone


def test_installed_by_script_and_away_again(make_site: Callable[[], Site]):
    site = make_site()
    [readme] = of(REPOSITORY / "README.md", "script")
    first, last = of(DOCS / "install.md", "script")
    assert readme.text.strip() in first.text
    said = site.run(first)
    assert re.search(r"^Set-up link, good for an hour and once: http://\S+/setup\?token=\S+$", said, re.MULTILINE), said
    assert site.machine.run("curl", "-sS", "http://127.0.0.1:3128/healthz") == "ok"
    site.run(last)
    assert site.machine.attempt("test", "-e", "/var/lib/csg").returncode == 1
    [own] = of(DOCS / "install.md", "own")
    assert "admin can sign in once" in site.run(own)


def test_installed_as_rpm(make_site: Callable[[], Site]):
    site = make_site()
    [block] = of(DOCS / "install.md", "rpm")
    site.run(block)
    assert site.machine.run("curl", "-sS", "http://127.0.0.1:3128/healthz") == "ok"
    assert site.machine.run("systemctl", "is-enabled", "csg.service") == "enabled"


def test_first_hour(running: Site):
    """What came to the cloud: the test of the key, and one call before access ended."""
    seen = [json.loads(line) for line in (running.folder / "verdicts.jsonl").read_text().splitlines()]
    calls = [(verdict["scope"].split("/")[2], verdict["key"]) for verdict in seen if verdict["method"] == "POST"]
    assert calls == [("sts", REAL_KEY.id), ("dynamodb", REAL_KEY.id)], seen
    audit = running.run(of(DOCS / "first-hour.md", "person")[-1])
    for words in ("allowed", "refused", "ListTables", "revoke"):
        assert words in audit, audit


# Commands of other programs that sentences name, and what of each is run on the machine: with names for what stands for one,
# and with an editor that needs nobody.
_EDIT = "SYSTEMD_EDITOR='sed -i 1i[Service]' script -qec 'systemctl edit csg.service' /dev/null"
IN_PASSING = {
    "chmod 640": "chmod 640 /etc/csg/csg.toml",
    "chown root:csg": "chown root:csg /etc/csg/csg.toml",
    "curl -v": "curl -v http://127.0.0.1:3128/healthz",
    "curl http://GATEWAY:3128/cert/pem": f"curl -f http://{NAME}:3128/cert/pem",
    "curl http://GATEWAY:3128/healthz": f"curl -f http://{NAME}:3128/healthz",
    "curl http://gateway.example.com:3128/cert/pem": f"curl -f http://{NAME}:3128/cert/pem",
    "getent hosts HOST": f"getent hosts {NAME}",
    # A machine that knows its full name, as the installer of a system sees to.
    "hostname --fqdn": 'echo "127.0.1.1 $(hostname).example.com $(hostname)" >> /etc/hosts && hostname --fqdn',
    "ip address": "ip address",
    "journalctl -u csg": "journalctl -u csg",
    "journalctl -u csg CSG_REQUEST=…": "journalctl -u csg CSG_REQUEST=1",
    "journalctl -x": "journalctl -x",
    "ss -ltnp": "ss -ltnp | grep -q :3128",
    "systemctl edit csg": _EDIT,
    "systemctl edit csg.service": _EDIT,
    "systemctl reload csg": "systemctl reload csg",
    "systemctl reload csg.service": "systemctl reload csg.service",
    "systemctl restart csg.service": "systemctl restart csg.service",
    "systemctl stop csg.service csg.socket": "systemctl stop csg.service csg.socket && systemctl start csg.socket csg.service",
    "./install.sh --help": f"{RELEASE}/install.sh --help",
}
# What builds takes long, and is run by the suites `release` and `setup_tabs`.
BUILDS = {"cargo build --release", "cargo build --release --locked", "cargo run"}
# As the reader of a page has them: not in the small Debian.
OF_READERS = ("ip", "ss")


def test_what_sentences_name_in_passing(running: Site):
    """csg's own commands: the suite `release`."""
    programs = {command.split()[0] for command in IN_PASSING.keys() | BUILDS}
    named = {text for page in PAGES for text in in_sentences(page) if " " in text and text.split()[0] in programs}
    # No program that they are the only ones to name, and none that is named no more.
    assert named == IN_PASSING.keys() | BUILDS
    for text in sorted(named - BUILDS):
        command = ["sh", "-c", IN_PASSING[text]]
        where = running.in_network(*command) if text.split()[0] in OF_READERS else running.machine.command(*command)
        done = subprocess.run(where, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{text}: {done.stdout}{done.stderr}"
    healthy = ["curl", "-s", "-o", "/dev/null", "-f", "http://127.0.0.1:3128/healthz"]
    wait_until(lambda: running.machine.attempt(*healthy).returncode == 0, 30, "the gateway")


@pytest.mark.parametrize("page", AFTERWARDS, ids=lambda page: page.stem)
def test_page(page: Path, running: Site):
    for block in of(page, "gateway", "person"):
        running.run(block)


def test_the_master_key_as_a_credential(make_site: Callable[[], Site]):
    site = make_site()
    [block] = of(DOCS / "configuration.md", "bare")
    site.run(block)
    site.machine.run("sh", "-c", f"cd {RELEASE} && dpkg -i *.deb")
    assert site.machine.run("curl", "-sS", "http://127.0.0.1:3128/healthz") == "ok"
    assert site.machine.attempt("test", "-e", "/var/lib/csg/master.key").returncode == 1


CONFIGURATIONS = [block for page in PAGES for block in blocks(page) if block.kind == "toml"]


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=lambda block: block.where)
def test_configuration(block: Block, tmp_path: Path):
    configuration = tmp_path / "csg.toml"
    configuration.write_text(f'data_dir = "{tmp_path / "data"}"\n{block.text}')
    command = [CSG, "ca", "show", "--config", configuration]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # The configuration is read, and only then is the data missed.
    assert "is not initialised" in done.stderr, done.stderr


def test_demo(tmp_path: Path):
    [block] = of(REPOSITORY / "README.md", "demo")
    # As built already, and with an end.
    script = block.text.replace("cargo run --release --", f"'{CSG}'").replace("demo\n", "demo --once\n")
    done = run(["bash", "-euc", script], {**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def set_up(make_gateway: Callable[..., Gateway]) -> dict[str, str]:
    """The set-up of a request's page, with the names of the pages."""
    gateway = make_gateway({})
    key = Team(gateway).grant("dynamodb", "s3")
    page = visitor(gateway.console_url, "dora")(f"/access-requests/{key.request}")
    # Only a gateway on loopback needs the network of the machine.
    names = (
        (f"127.0.0.1:{gateway.port}", f"{NAME}:3128"),
        (f"= 127.0.0.1\nproxy_port = {gateway.port}", f"= {NAME}\nproxy_port = 3128"),
        (key.id, "ACCESS_KEY_ID"),
        ("--network host ", ""),
    )
    found = Texts(page).texts
    for old, new in names:
        found = {label: text.replace(old, new) for label, text in found.items()}
    return {label: text.strip() for label, text in found.items()}


def test_clients_are_set_up_as_the_console_says(set_up: dict[str, str]):
    page = DOCS / "clients.md"
    names = {"tab": "Set-up for {}", "file": "A file for {}"}
    shown = {}
    for block in of(page, "tab", "file"):
        what, client = block.place.split(" ", 1)
        assert block.heading == client, block.where
        shown[names[what].format(client)] = block.text.strip()
    asked = {label: text for label, text in set_up.items() if label.startswith(("Set-up for", "A file for"))}
    assert shown == asked


@pytest.mark.parametrize("page", (*PAGES, REPOSITORY / "ARCHITECTURE.md"), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for line, target in links(page):
        file, _, anchor = target.partition("#")
        to = (page.parent / file).resolve() if file else page
        assert to.exists(), f"{page.name}:{line}: {target}"
        if anchor:
            assert anchor in anchors(to), f"{page.name}:{line}: {target}"


def test_a_broken_page_would_be_noticed(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# A: title\n<!-- run: x -->\n```sh\none …\n```\n```text\nat … UTC\n```\n[a](b.md#c) `[d](e)`\n")
    [block] = blocks(page)
    assert (block.place, block.text, block.expected, block.heading) == ("x", "one …\n", "at … UTC\n", "A: title")
    assert prints("at 12:00 UTC\n", "at … UTC\n") and not prints("at 12:00", "at … UTC\n")
    assert (links(page), anchors(page)) == ([(9, "b.md#c")], {"a-title"})
    page.write_text("<!-- run: x -->\nno block\n")
    with pytest.raises(AssertionError, match="no block"):
        blocks(page)

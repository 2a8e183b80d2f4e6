"""The packages on a machine that runs: Debian's systemd as the first process, the service as the package brings it.

One machine for all, and what one test leaves is where the next one begins.
"""

import http.client
import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted import BootedMachine
from harness.certificates import CloudCertificates
from harness.clients import Way, refusal
from harness.cloud import REAL_KEY, Key, StrictMoto
from harness.gateway import PASSWORD, Gateway, Team
from harness.paths import REPOSITORY
from harness.process import wait_until
from release import NAME, Release, units
from traffic import Traffic

READY = "7ebab4c213334cf2a2286d453ee01e63"
LOG = "/var/log/csg/cloud-service-gateway.log"
PORTS = 3128, 3129


class Site:
    """The service of an older package, as somebody has set it up, and a client with a key for one service."""

    def __init__(self, machine: BootedMachine, release: Release, certificates: CloudCertificates, folder: Path):
        self.machine, self.release, self.folder = machine, release, folder
        with machine.network():
            self.cloud = StrictMoto(folder, certificates)
        older = release.older_deb(folder, (REPOSITORY / "packaging/csg.toml").read_text())
        machine.run("dpkg", "-i", machine.copy_in(older, "/root/older.deb"))
        self.link = self._set_up_link()

        self.gateway = Gateway(folder / "gateway", certificates.ca, {})
        self.gateway.port, self.gateway.console_port = PORTS
        machine.copy_in(certificates.ca, "/etc/csg/cloud.pem")
        self._configure('\n#ca_file = ""\n', '\nca_file = "/etc/csg/cloud.pem"\n')
        override = "\n[upstream.override]\n"
        self._configure(override, f'{override}"*.amazonaws.com" = "{self.cloud.address}"\n')
        with machine.network():
            self._make_administrator()
            machine.run("systemctl", "restart", "csg.service")
            self.gateway.ca.write_bytes(self.gateway.get("/cert/pem"))
            self.team = Team(self.gateway)
            self.key: Key = self.team.grant("dynamodb")
        self.way = Way(self.gateway.proxy_url, self.gateway.ca, self.key)

    def _configure(self, before: str, after: str) -> None:
        path = self.machine.path("/etc/csg/csg.toml")
        text = path.read_text()
        assert text.count(before) == 1
        path.write_text(text.replace(before, after))

    def _set_up_link(self) -> urllib.parse.SplitResult:
        def told() -> list[str]:
            said = self.machine.run("journalctl", "--unit=csg.service", "--output=cat", "--no-pager")
            return re.findall(r"http://127\.0\.0\.1:3129/setup\?token=\S+", said)

        [link] = wait_until(told, 30, "the set-up link in the journal")
        return urllib.parse.urlsplit(link)

    def _make_administrator(self) -> None:
        form = {"token": self.link.query.removeprefix("token="), "username": "admin", "password": PASSWORD}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection = http.client.HTTPConnection(self.link.netloc, timeout=30)
        connection.request("POST", "/setup", urllib.parse.urlencode(form), headers)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("location")) == (303, "/welcome"), answer.read()

    def main_process(self) -> str:
        return self.machine.show("csg.service", "MainPID")["MainPID"]

    def works(self) -> bool:
        with self.machine.network():
            return self.way.boto3("dynamodb").list_tables()["TableNames"] == []

    def refuse(self) -> None:
        """A call that the key is not for."""
        with self.machine.network():
            refused = refusal(self.way.boto3("sns").list_topics)
        assert refused.status == 403

    def stop(self) -> None:
        self.cloud.stop()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedMachine]:
    if os.geteuid() != 0:
        pytest.skip("only root may make a machine of its own")
    machine = BootedMachine(tmp_path_factory.mktemp("booted") / "root")
    try:
        machine.boot()
        yield machine
    finally:
        machine.remove()


@pytest.fixture(scope="module")
def site(
    machine: BootedMachine,
    release: Release,
    certificates: CloudCertificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    site = Site(machine, release, certificates, tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


# A backup is made by hand, or every night by whom wants that.
ENABLED = {
    "csg-backup.service": "static",
    "csg-backup.timer": "disabled",
    "csg.service": "enabled",
    "csg.socket": "enabled",
}


def enabled(machine: BootedMachine) -> dict[str, str]:
    return {unit: machine.attempt("systemctl", "is-enabled", unit).stdout.strip() for unit in units()}


def test_installed_it_is_enabled_and_runs(machine: BootedMachine, site: Site):
    assert enabled(machine) == ENABLED
    for unit in ("csg.socket", "csg.service"):
        assert machine.run("systemctl", "is-active", unit).strip() == "active", unit
    status = machine.run("systemctl", "status", "--no-pager", "csg.service")
    assert "The console is at http://127.0.0.1:3129" in status
    assert site.works()
    # Nothing else on the machine has come to harm.
    assert machine.run("systemctl", "is-system-running").strip() == "running"


def test_the_journal_has_fields(machine: BootedMachine, site: Site):
    site.refuse()
    about = f"CSG_REQUEST={site.key.request}"
    [entry] = wait_until(lambda: machine.journal(about, "CSG_SERVICE=sns"), 30, "the refusal in the journal")
    for name, value in {
        "_SYSTEMD_UNIT": "csg.service",
        "_TRANSPORT": "journal",
        "SYSLOG_IDENTIFIER": "csg",
        "PRIORITY": "6",
        "CSG_USER": "dora",
        "CSG_OPERATION": "ListTopics",
        "CSG_CODE": "AccessDenied",
    }.items():
        assert entry.get(name) == value, name
    # Who looks at the journal without asking for fields sees them, too.
    assert entry["MESSAGE"].startswith("a call ended at the gateway") and 'operation="ListTopics"' in entry["MESSAGE"]

    ready = machine.journal(f"MESSAGE_ID={READY}")
    assert ready[-1]["CSG_URL"] == "http://127.0.0.1:3129"
    explained = machine.run("journalctl", "--catalog", "--no-pager", f"MESSAGE_ID={READY}")
    assert "The gateway is ready" in explained and "It is at http://127.0.0.1:3129." in explained


def test_no_secret_is_in_the_journal_or_the_file(machine: BootedMachine, site: Site):
    journal = machine.run("journalctl", "--output=export", "--all", "--no-pager", "--unit=csg.service")
    for where, text in (("the journal", journal), ("the file", machine.path(LOG).read_text())):
        assert "a call ended at the gateway" in text, where
        for secret in (site.key.secret, REAL_KEY.secret, PASSWORD):
            assert secret not in text, where
    token = site.link.query.removeprefix("token=")
    assert token in journal and token not in machine.path(LOG).read_text()


def test_the_log_file(machine: BootedMachine, site: Site):
    assert machine.mode("/var/log/csg") == ("750", "csg", "csg")
    assert machine.mode(LOG) == ("640", "csg", "csg")
    # As logrotate does it; nobody needs to be told.
    machine.path(LOG).rename(machine.path(LOG + ".aside"))
    site.refuse()
    wait_until(lambda: machine.path(LOG).exists() and "ListTopics" in machine.path(LOG).read_text(), 30, "a new file")
    assert machine.mode(LOG) == ("640", "csg", "csg")


def test_a_log_file_that_cant_be_written_stops_nothing(machine: BootedMachine, site: Site):
    before = site.main_process()
    machine.run("sh", "-c", f"rm {LOG} && mkdir {LOG}")
    site.refuse()
    words = f"the log file {LOG} can't be written: lines are lost until it can"
    wait_until(lambda: words in machine.run("journalctl", "-p", "err", "-o", "cat", "-u", "csg.service"), 30, words)
    assert site.works()
    machine.run("rmdir", LOG)
    site.refuse()
    wait_until(
        lambda: machine.path(LOG).is_file() and "lines were lost" in machine.path(LOG).read_text(), 30, "the file"
    )
    assert site.main_process() == before


def test_upgraded_under_traffic(machine: BootedMachine, site: Site, say):
    configuration, before = machine.path("/etc/csg/csg.toml").read_text(), site.main_process()
    newer = machine.copy_in(site.release.deb, "/root/newer.deb")
    with Traffic(site.way, machine.network, anew=True) as traffic:
        # Without the option, dpkg asks whoever sits there.
        machine.run("dpkg", "--force-confold", "-i", newer)
        traffic.wait_for_more()
    assert traffic.failures == []
    say(f"service: {traffic.calls} calls during an upgrade, none failed")
    assert site.main_process() != before, "the old version still runs"
    assert machine.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", NAME) == "0.1.0-1 installed"
    assert machine.path("/etc/csg/csg.toml").read_text() == configuration
    with machine.network():
        operations = [call["operation"] for call in site.team.admin.calls()]
    assert operations.count("ListTables") >= traffic.calls


def test_it_comes_up_with_the_machine(machine: BootedMachine, site: Site):
    machine.cut_power()
    site.stop()
    machine.boot()
    assert machine.run("systemctl", "is-active", "csg.service").strip() == "active"
    with machine.network():
        # The cloud was on that machine, too; without it the gateway answers all the same.
        refused = refusal(site.way.boto3("dynamodb", retries={"total_max_attempts": 1}).list_tables)
        assert refused.status == 502, refused
        site.team.admin.get("/me")


def test_removed_it_is_stopped_and_its_data_stays(machine: BootedMachine, site: Site):
    kept = machine.run("find", "/etc/csg", "/var/lib/csg", "-type", "f").split()
    assert len(kept) >= 4
    machine.run("dpkg", "--remove", NAME)
    for unit in units():
        # Masked: its file is gone, and nothing may start it.
        assert machine.attempt("systemctl", "is-active", unit).stdout.strip() == "inactive", unit
    assert listening(machine) == set()
    assert sorted(machine.run("find", "/etc/csg", "/var/lib/csg", "-type", "f").split()) == sorted(kept)

    machine.run("dpkg", "-i", "/root/newer.deb")
    assert machine.run("systemctl", "is-active", "csg.service", "csg.socket").split() == ["active", "active"]
    with machine.network():
        assert site.team.admin.get("/me")["username"] == "admin", "the session of before"


def test_purged_nothing_is_left(machine: BootedMachine, site: Site):
    machine.run("dpkg", "--purge", NAME)
    assert listening(machine) == set()
    listed = "systemctl", "list-units", "--all", "--plain", "--no-legend", "csg*"
    wait_until(lambda: machine.run(*listed) == "", 30, "systemd to forget the units")
    assert machine.attempt("systemctl", "list-unit-files", "--no-legend", "csg*").stdout == ""
    places = "/etc", "/usr", "/var", "/run", "-xdev"
    assert machine.run("find", *places, "(", "-name", "*csg*", "-o", "-nouser", ")") == ""
    assert "csg" not in machine.path("/etc/passwd").read_text()
    assert machine.run("systemctl", "is-system-running").strip() == "running"


def test_the_rpm_with_rpms_own_scripts(machine: BootedMachine, release: Release, tmp_path: Path):
    """On a Debian, whose names of packages are others; systemd and the scripts are the same."""
    older = machine.copy_in(release.older_rpm(tmp_path), "/root/older.rpm")
    newer = machine.copy_in(release.rpm, "/root/newer.rpm")
    machine.run("rpm", "--install", "--nodeps", older)
    # The presets say what is enabled; Debian's enable all. Nothing is started, as ever with rpm.
    assert enabled(machine) == ENABLED
    assert listening(machine) == set()
    machine.run("systemctl", "start", "csg.socket", "csg.service")
    assert listening(machine) == set(PORTS)
    before = machine.show("csg.service", "MainPID")

    machine.run("rpm", "--upgrade", "--nodeps", newer)
    assert machine.run("systemctl", "is-active", "csg.service").strip() == "active"
    assert machine.show("csg.service", "MainPID") != before, "the old version still runs"

    machine.run("rpm", "--erase", NAME)
    assert listening(machine) == set()
    assert machine.attempt("systemctl", "list-unit-files", "--no-legend", "csg*").stdout == ""
    assert machine.path("/var/lib/csg/csg.redb").exists(), "data stays"


def test_the_apparmor_profile_is_well_formed(machine: BootedMachine):
    profile = machine.copy_in(REPOSITORY / "packaging/apparmor/usr.bin.csg", "/root/usr.bin.csg")
    checked = ["apparmor_parser", "--skip-kernel-load", "--skip-cache"]
    machine.run(*checked, profile)
    broken = machine.path(profile).read_text().replace("network inet stream,", "network inet steam,")
    machine.path(profile).write_text(broken)
    assert machine.attempt(*checked, profile).returncode != 0, "it would take anything"


def listening(machine: BootedMachine) -> set[int]:
    """Those of our ports that somebody listens on."""
    lines = Path(f"/proc/{machine.init}/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return {port for port in PORTS for each in fields if each[3] == "0A" and int(each[1].split(":")[1], 16) == port}

"""The Debian package: what is in it, and its life on a machine with data and traffic."""

import filecmp
from collections.abc import Callable
from pathlib import Path

from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.cloud import StrictMoto
from harness.gateway import PASSWORD, Gateway, Team
from harness.paths import CSG, REPOSITORY
from harness.process import wait_until
from machine import Machine, difference
from release import NAME, Release, run, units
from traffic import Traffic

OLDER_CONFIGURATION = "# An older version's.\n"


def test_content(release: Release, tmp_path: Path):
    run("dpkg-deb", "--raw-extract", release.deb, tmp_path)
    assert filecmp.cmp(tmp_path / "usr/bin/csg", CSG, shallow=False), "not the executable that was tested"
    assert (tmp_path / "DEBIAN/conffiles").read_text().split() == ["/etc/csg/csg.toml"]
    assert filecmp.cmp(tmp_path / "etc/csg/csg.toml", REPOSITORY / "packaging/csg.toml", shallow=False)
    for path in (
        "usr/share/man/man1/csg.1.gz",
        "usr/share/man/man1/csg-request-approve.1.gz",
        "usr/share/bash-completion/completions/csg",
        "usr/share/zsh/vendor-completions/_csg",
        "usr/share/fish/vendor_completions.d/csg.fish",
        f"usr/share/doc/{NAME}/copyright",
        f"usr/share/doc/{NAME}/docs/troubleshooting.md",
        *(f"usr/lib/systemd/system/{unit}" for unit in units()),
        "usr/lib/sysusers.d/csg.conf",
        "usr/lib/tmpfiles.d/csg.conf",
        "usr/lib/systemd/catalog/csg.catalog",
        "usr/share/apparmor/extra-profiles/usr.bin.csg",
    ):
        assert (tmp_path / path).stat().st_size > 0, path
    depends = run("dpkg-deb", "--field", release.deb, "Depends").strip()
    assert depends == "passwd", "an appliance needs nothing else"


def test_lintian_finds_nothing(release: Release):
    said = run("lintian", "--fail-on", "error,warning", "--tag-display-limit", "0", "--allow-root", release.deb)
    assert said == "", said


def test_installed_upgraded_removed_and_purged(
    make_machine: Callable, release: Release, cloud: StrictMoto, certificates: CloudCertificates, tmp_path: Path
):
    machine = make_machine("debian")
    before = machine.files()
    older = machine.copy_in(release.older_deb(tmp_path, OLDER_CONFIGURATION), "/tmp/older.deb")
    newer = machine.copy_in(release.deb, "/tmp/newer.deb")

    machine.run("dpkg", "-i", older)
    is_laid_out(machine)
    passwd = next(line for line in machine.path("/etc/passwd").read_text().splitlines() if line.startswith("csg:"))
    assert passwd.split(":")[5:] == ["/var/lib/csg", "/usr/sbin/nologin"]
    service = Service(machine, certificates, cloud, tmp_path)
    team = service.begin()
    way = Way(service.gateway.proxy_url, service.gateway.ca, team.grant("dynamodb"))

    with Traffic(way) as traffic:
        # Without the option, dpkg asks whoever sits there.
        machine.run("dpkg", "--force-confold", "-i", newer)
        assert machine.run("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", NAME) == "0.1.0-1 installed"
        traffic.wait_for_more()
    assert traffic.failures == []
    # What the administrator wrote stays; so do rights and data.
    assert machine.path("/etc/csg/csg.toml").read_text() == service.configuration
    is_laid_out(machine)
    service.restart()
    assert way.boto3("dynamodb").list_tables()["TableNames"] == []
    assert any(call["operation"] == "ListTables" for call in team.admin.calls())
    service.stop()

    state = machine.files()
    machine.run("dpkg", "--remove", NAME)
    left = machine.files()
    assert not machine.path("/usr/bin/csg").exists()
    kept = [name for name in state if name.startswith(("/etc/csg", "/var/lib/csg", "/etc/passwd"))]
    assert len(kept) > 4
    assert [(name, state[name]) for name in kept] == [(name, left.get(name)) for name in kept]

    machine.run("dpkg", "-i", newer)
    service.restart()
    assert way.boto3("dynamodb").list_tables()["TableNames"] == [], "the data of before works again"
    service.stop()

    machine.run("dpkg", "--purge", NAME)
    assert difference(before, machine.files()) == {}


def test_a_configuration_that_nobody_changed_is_brought_up_to_date(
    make_machine: Callable, release: Release, tmp_path: Path
):
    machine = make_machine("debian")
    machine.run("dpkg", "-i", machine.copy_in(release.older_deb(tmp_path, OLDER_CONFIGURATION), "/tmp/older.deb"))
    machine.path("/var/lib/csg").chmod(0o750)
    machine.path("/etc/csg").chmod(0o755)
    machine.run("dpkg", "-i", machine.copy_in(release.deb, "/tmp/newer.deb"))
    assert machine.path("/etc/csg/csg.toml").read_text() == (REPOSITORY / "packaging/csg.toml").read_text()
    assert machine.mode("/etc/csg/csg.toml") == ("640", "root", "csg")
    rights = machine.mode("/etc/csg")[0], machine.mode("/var/lib/csg")[0]
    assert rights == ("755", "750"), "rights that the administrator gave stay"


def is_laid_out(machine: Machine) -> None:
    assert machine.mode("/etc/csg") == ("750", "root", "csg")
    assert machine.mode("/etc/csg/csg.toml") == ("640", "root", "csg")
    assert machine.mode("/var/lib/csg") == ("700", "csg", "csg")
    assert machine.mode("/var/log/csg") == ("750", "csg", "csg")
    # Enabled: what `systemctl enable` would have linked.
    wanted = {
        "csg.service": "/etc/systemd/system/multi-user.target.wants/csg.service",
        "csg.socket": "/etc/systemd/system/sockets.target.wants/csg.socket",
    }
    for unit, link in wanted.items():
        assert machine.path(link).is_symlink(), f"{unit} is not enabled"
    assert set(units()) == {*wanted, "csg-backup.service", "csg-backup.timer"}
    timers = machine.path("/etc/systemd/system/timers.target.wants/csg-backup.timer")
    assert not timers.is_symlink(), "where backups belong is for the administrator to say"


class Service:
    """The installed gateway, with the configuration that its administrator wrote, run as its unit would run it."""

    def __init__(self, machine: Machine, certificates: CloudCertificates, cloud: StrictMoto, folder: Path):
        self.machine = machine
        self.gateway = Gateway(folder / "gateway", Path("/etc/csg/cloud.pem"), {"*.amazonaws.com": cloud.address})
        data = str(self.gateway.folder / "data")
        self.configuration = self.gateway.configuration.read_text().replace(data, "/var/lib/csg")
        machine.copy_in(certificates.ca, "/etc/csg/cloud.pem")
        machine.path("/etc/csg/csg.toml").write_text(self.configuration)

    def begin(self) -> Team:
        environment = {"CSG_ADMIN_PASSWORD": PASSWORD}
        self.machine.run("/usr/bin/csg", "init", "--admin", "admin", user="csg", env=environment)
        self.restart()
        return Team(self.gateway)

    def restart(self) -> None:
        if self.gateway.process:
            self.stop()
        self.gateway.process = self.machine.start("/usr/bin/csg", "serve", log=self.gateway.folder / "csg.log")
        wait_until(self.gateway.is_healthy, 60, "GET /healthz to answer 200")
        self.gateway.ca.write_bytes(self.gateway.get("/cert/pem"))

    def stop(self) -> None:
        if self.gateway.running().child.poll() is None:
            assert self.gateway.stop() == 0

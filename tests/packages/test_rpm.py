"""The rpm: what is in it, what its scripts do, and its life on a machine."""

import filecmp
from collections.abc import Callable
from pathlib import Path

from harness.paths import CSG, REPOSITORY
from machine import Machine
from release import NAME, Release, run, units

SCRIPTS = {"PREIN": "pre", "POSTIN": "post", "PREUN": "preun", "POSTUN": "postun"}


def query(release: Release, *options: str) -> str:
    return run("rpm", "--query", "--package", *options, release.rpm)


def test_content(release: Release, tmp_path: Path):
    lines = [line.split() for line in query(release, "--list", "--verbose").splitlines()]
    files = {fields[-1]: (fields[0], fields[2], fields[3]) for fields in lines}
    assert files["/usr/bin/csg"] == ("-rwxr-xr-x", "root", "root")
    assert files["/etc/csg/csg.toml"] == ("-rw-r-----", "root", "csg")
    for path in (
        "/usr/share/man/man1/csg.1.gz",
        "/usr/share/man/man1/csg-request-approve.1.gz",
        "/usr/share/bash-completion/completions/csg",
        "/usr/share/zsh/site-functions/_csg",
        "/usr/share/fish/vendor_completions.d/csg.fish",
        f"/usr/share/licenses/{NAME}/LICENSE",
        *(f"/usr/lib/systemd/system/{unit}" for unit in units()),
        "/usr/lib/sysusers.d/csg.conf",
        "/usr/lib/tmpfiles.d/csg.conf",
        "/usr/lib/systemd/catalog/csg.catalog",
        "/usr/share/apparmor/extra-profiles/usr.bin.csg",
    ):
        assert files[path] == ("-rw-r--r--", "root", "root"), path
    assert query(release, "--configfiles").split() == ["/etc/csg/csg.toml"]
    flags = query(release, "--queryformat", "[%{FILENAMES} %{FILEFLAGS:fflags}\n]").splitlines()
    assert "/etc/csg/csg.toml cn" in flags, "not config(noreplace)"
    assert "/usr/share/man/man1/csg.1.gz d" in flags
    needs = set(query(release, "--requires").splitlines())
    assert {need.split()[0].split("(")[0] for need in needs} <= {"/bin/sh", "config", "rpmlib", "shadow-utils"}, needs


def test_the_executable_is_the_one_that_was_tested(release: Release, make_machine: Callable):
    machine = installed(make_machine("debian"), release.rpm)
    assert filecmp.cmp(machine.path("/usr/bin/csg"), CSG, shallow=False)


def test_scripts_are_those_of_the_sources(release: Release):
    for tag, file in SCRIPTS.items():
        assert (
            query(release, "--queryformat", f"%{{{tag}}}").strip()
            == (REPOSITORY / "packaging/rpm" / file).read_text().strip()
        ), tag
    shown = query(release, "--scripts")
    assert shown.count("scriptlet") == len(SCRIPTS), f"and no others: {shown}"


def test_rpmlint_finds_nothing_that_is_not_answered(release: Release):
    said = run("rpmlint", "--config", REPOSITORY / "packaging/rpm/rpmlint.toml", release.rpm)
    assert "0 errors, 0 warnings" in said, said


def test_installed_upgraded_and_erased(release: Release, make_machine: Callable, tmp_path: Path):
    machine = installed(make_machine("debian"), release.older_rpm(tmp_path))
    assert machine.mode("/etc/csg") == ("750", "root", "csg")
    assert machine.mode("/etc/csg/csg.toml") == ("640", "root", "csg")
    assert machine.mode("/var/lib/csg") == ("700", "csg", "csg")
    assert machine.mode("/var/log/csg") == ("750", "csg", "csg")
    assert version(machine) == "0.0.9-1"
    machine.path("/etc/csg/csg.toml").write_text('log.level = "debug"\n')
    machine.path("/etc/csg").chmod(0o755)
    machine.path("/var/lib/csg/data").write_text("kept")

    rpm(machine, "--upgrade", str(release.rpm))
    assert version(machine) == "0.1.0-1"
    assert machine.path("/etc/csg/csg.toml").read_text() == 'log.level = "debug"\n'
    assert machine.mode("/etc/csg")[0] == "755", "rights that the administrator gave stay"
    assert machine.run("/usr/bin/csg", "version").startswith("csg 0.1.0")

    rpm(machine, "--erase", NAME)
    assert not machine.path("/usr/bin/csg").exists()
    assert not list(machine.path("/usr/share/man/man1").glob("csg*"))
    assert machine.path("/var/lib/csg/data").read_text() == "kept"
    assert machine.path("/etc/csg/csg.toml.rpmsave").read_text() == 'log.level = "debug"\n'


def test_scripts_do_with_systemd_what_rpm_distributions_do(make_machine: Callable):
    """systemd cannot run here: a stand-in writes down what `systemctl` is asked for."""
    machine = make_machine("busybox")
    machine.program("/bin/systemctl", 'echo "$*" >>/tmp/called')
    machine.path("/run/systemd/system").mkdir(parents=True)
    machine.path("/var/lib/csg").mkdir()
    machine.path("/var/log/csg").mkdir()
    for script in ("post", "preun", "postun"):
        machine.copy_in(REPOSITORY / "packaging/rpm" / script, f"/tmp/{script}")

    def said(script: str, argument: str) -> list[str]:
        machine.path("/tmp/called").write_text("")
        machine.run("/bin/sh", f"/tmp/{script}", argument)
        return machine.path("/tmp/called").read_text().splitlines()

    units = "csg-backup.timer csg.socket csg.service"
    machine.path("/etc/csg").mkdir()
    machine.path("/etc/group").open("a").write("csg:x:101:\n")
    assert said("post", "1") == ["daemon-reload", "--no-reload preset csg.socket csg.service"]
    assert said("post", "2") == ["daemon-reload"]
    assert said("preun", "1") == [], "an upgrade stops nothing"
    # The version that runs hands over, or goes on where the new one can't; where it can't hand over, a restart has to do.
    for status, restarted in ((0, []), (1, []), (3, ["try-restart csg.service"])):
        machine.program("/bin/csg", f'echo "csg $*" >>/tmp/called; exit {status}')
        assert said("postun", "1") == ["daemon-reload", "csg upgrade", *restarted], "and leaves the socket alone"
    assert said("preun", "0") == [f"--no-reload disable --now {units}"]
    assert said("postun", "0") == ["daemon-reload"]


def installed(machine: Machine, package: Path) -> Machine:
    rpm(machine, "--install", str(package))
    return machine


def rpm(machine: Machine, *arguments: str) -> None:
    """Debian's rpm from outside, its scripts inside; what the package needs is there under other names."""
    run("rpm", "--root", machine.root, "--nodeps", *arguments)


def version(machine: Machine) -> str:
    return run("rpm", "--root", machine.root, "--query", "--queryformat", "%{VERSION}-%{RELEASE}", NAME)

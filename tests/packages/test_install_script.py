"""install.sh, with dash on a small Debian and with busybox where there is nothing else."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.process import free_port, wait_until
from machine import Machine, difference
from release import NAME, Release

SCRIPT = "/tmp/release/install.sh"
# Programs with which the script changes something.
CHANGING = ("addgroup", "adduser", "chmod", "chown", "cp", "mkdir", "mv", "rm", "rmdir", "tar", "useradd")


@pytest.fixture(params=["debian", "busybox"])
def machine(request: pytest.FixtureRequest, make_machine: Callable, release: Release) -> Machine:
    """A machine that has the release in /tmp, with one shell or the other."""
    return with_release(make_machine(request.param), release)


@pytest.fixture
def debian(make_machine: Callable, release: Release) -> Machine:
    return with_release(make_machine("debian"), release)


def with_release(machine: Machine, release: Release) -> Machine:
    machine.copy_in(release.folder, "/tmp/release")
    return machine


def install(machine: Machine, *options: str, **more) -> str:
    return machine.run("/bin/sh", SCRIPT, "--yes", *options, **more)


def test_plain_files_twice_and_away_again(machine: Machine):
    before = machine.files()
    said = install(machine, "--as", "files")
    assert "csg 0." in said and "Set-up link" in said and "/cert/pem" in said
    assert said.splitlines()[-1] == "Next: su -s /bin/sh -c '/usr/local/bin/csg serve' csg"
    assert machine.mode("/etc/csg") == ("750", "root", "csg")
    assert machine.mode("/etc/csg/csg.toml") == ("640", "root", "csg")
    assert machine.mode("/var/lib/csg") == ("700", "csg", "csg")
    assert machine.mode("/var/log/csg") == ("750", "csg", "csg")
    assert machine.mode("/usr/local/bin/csg") == ("755", "root", "root")
    for path in ("share/man/man1/csg.1.gz", "share/bash-completion/completions/csg", f"share/doc/{NAME}/LICENSE"):
        assert machine.mode(f"/usr/local/{path}")[0] == "644", path
    for unit in machine.path("/usr/local/lib/systemd/system").glob("*.service"):
        text = unit.read_text()
        assert "/usr/local/bin/csg" in text and "/usr/bin/csg" not in text

    # Again: nothing changes, neither what the administrator wrote nor the rights.
    machine.path("/etc/csg/csg.toml").write_text('log.level = "debug"\n')
    machine.path("/var/lib/csg/data").write_text("kept")
    installed = machine.files()
    install(machine, "--as", "files")
    assert difference(installed, machine.files()) == {}

    # A file that an older version laid and this one has not goes.
    listed = machine.path(f"/usr/local/share/{NAME}/installed-files")
    machine.path("/usr/local/share/dropped").write_text("")
    listed.write_text(listed.read_text() + "/usr/local/share/dropped\n")
    install(machine, "--as", "files")
    assert difference(installed, machine.files()) == {}

    said = install(machine, "--uninstall")
    assert "- keep /etc/csg, /var/lib/csg" in said
    left = difference(before, machine.files())
    assert machine.path("/etc/csg/csg.toml").read_text() == 'log.level = "debug"\n'
    assert machine.path("/var/lib/csg/data").read_text() == "kept"
    assert not [name for name in left if name.startswith("/usr")], left
    install(machine, "--uninstall")
    install(machine, "--uninstall", "--purge")
    assert difference(before, machine.files()) == {}
    install(machine, "--uninstall", "--purge")


def test_the_service_runs_as_the_script_says(machine: Machine, tmp_path: Path):
    said = install(machine, "--as", "files")
    [command] = re.findall("^Next: (.*)$", said, re.MULTILINE)
    gateway, console = free_port(), free_port()
    machine.path("/etc/csg/csg.toml").write_text(
        f'gateway.listen = ["127.0.0.1:{gateway}"]\nconsole.listen = "127.0.0.1:{console}"\n'
    )
    process = machine.start("/bin/sh", "-c", command, user="root", log=tmp_path / "csg.log")
    link = wait_until(lambda: re.search(r"https?://\S+/setup\?token=\S+", process.text()), 30, "the set-up link")
    assert str(console) in link[0]
    assert machine.mode("/var/lib/csg/csg.redb")[1:] == ("csg", "csg")


def test_without_programs_for_accounts_it_says_what_to_do(make_machine: Callable, release: Release):
    machine = with_release(make_machine("busybox"), release)
    machine.path("/bin/adduser").unlink()
    before = machine.files()
    done = machine.attempt("/bin/sh", SCRIPT, "--yes")
    assert done.returncode == 1 and done.stdout.splitlines()[-1].startswith("install.sh: there is neither useradd nor")
    assert difference(before, machine.files()) == {}


def test_a_dry_run_does_nothing(machine: Machine):
    before = machine.files()
    kind = "deb" if machine.path("/usr/bin/dpkg-query").exists() else "files"
    said = machine.run("/bin/sh", SCRIPT, "--dry-run")
    assert {"deb": "install the deb package", "files": "plain files below /usr/local"}[kind] in said
    for options in (("--as", "files"), ("--prefix", "/opt/csg"), ("--as", "rpm"), ("--uninstall", "--purge")):
        assert machine.run("/bin/sh", SCRIPT, "--dry-run", *options)
    assert difference(before, machine.files()) == {}


def test_nobody_is_asked_where_nobody_is(machine: Machine):
    before = machine.files()
    done = machine.attempt("/bin/sh", SCRIPT, "--as", "files")
    assert done.returncode == 1 and "say --yes" in done.stdout
    for options in (
        ("--prefix",),
        ("--prefix", "here"),
        ("--as", "snap"),
        ("--purge",),
        ("--frobnicate",),
        ("--prefix", "/a b"),
    ):
        done = machine.attempt("/bin/sh", SCRIPT, "--yes", *options)
        assert done.returncode == 2, (options, done.stdout)
    assert difference(before, machine.files()) == {}


def test_damaged_files_are_refused(machine: Machine, release: Release):
    before = machine.files()
    archive = machine.path(f"/tmp/release/{release.archive.name}")
    sums = machine.path("/tmp/release/SHA256SUMS")
    good_archive, good_sums = archive.read_bytes(), sums.read_text()
    longer = good_archive + b"x"
    for what, bytes_, text, words in (
        ("changed", longer, good_sums, "is not what SHA256SUMS says"),
        ("cut short", good_archive[: len(good_archive) // 2], good_sums, "is not what SHA256SUMS says"),
        ("not named", good_archive, good_sums.replace(".tar.gz", ".tgz"), "must name one file"),
        ("named twice", good_archive, good_sums + good_sums, "must name one file"),
        (
            "for another machine",
            good_archive,
            good_sums.replace("x86_64.tar", "riscv64.tar"),
            "is not for this machine",
        ),
        ("gone", None, good_sums, "lacks"),
    ):
        if bytes_ is None:
            archive.unlink()
        else:
            archive.write_bytes(bytes_)
        sums.write_text(text)
        done = machine.attempt("/bin/sh", SCRIPT, "--yes", "--as", "files")
        assert done.returncode == 1 and words in done.stdout, (what, done.stdout)
        assert difference(before, machine.files()) == {}, what
        assert not list(machine.path("/tmp").glob("tmp.*")), what


def test_killed_at_any_point_the_next_run_completes_it(debian: Machine):
    before = debian.files()
    debian.path("/tmp/count").write_text("")
    for name in CHANGING:
        # Each program first looks whether its turn has come to be the last.
        debian.program(
            f"/tmp/wrapped/{name}",
            f"echo {name} >>/tmp/count\nread -r last </tmp/last\n"
            f'n=0; while read -r _; do n=$((n + 1)); done </tmp/count; [ "$n" -ne "$last" ] || kill -"$SIGNAL" 0\n'
            f'PATH=${{PATH#/tmp/wrapped:}}\nexec {name} "$@"',
        )

    def run_until(last: int, options: tuple[str, ...], how: str = "KILL") -> tuple[int, int]:
        """Runs until the program of that number; gives its status and how many were started."""
        debian.path("/tmp/last").write_text(f"{last}\n")
        debian.path("/tmp/count").write_text("")
        path = "/tmp/wrapped:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        done = debian.attempt(
            "/bin/sh", SCRIPT, "--yes", *options, env={"PATH": path, "SIGNAL": how}, session=True
        )  # fmt: skip
        return done.returncode, len(debian.path("/tmp/count").read_text().splitlines())

    files = ("--as", "files")
    status, steps = run_until(10**6, files)
    assert status == 0
    complete = debian.files()
    install(debian, "--uninstall", "--purge")
    assert difference(before, debian.files()) == {}
    # The first ones make the user and the folders, the last ones put the executable there.
    points = [*range(1, 25, 3), steps // 3, steps // 2, *range(steps - 8, steps + 1, 2)]
    for point in points:
        status, _ = run_until(point, files)
        assert status == -signal.SIGKILL, point
        executable = debian.path("/usr/local/bin/csg")
        assert not executable.exists() or debian.run("/usr/local/bin/csg", "version"), point
        if point % 2:
            install(debian, *files)
            assert difference(complete, debian.files()) == {}, f"not completed after point {point}"
            # Removal can be interrupted, too.
            run_until(point, ("--uninstall", "--purge"))
        install(debian, "--uninstall", "--purge")
        assert difference(before, debian.files()) == {}, f"something left after point {point}"
        for folder in debian.path("/tmp").glob("tmp.*"):
            assert folder.is_dir()

    # A signal that can be caught leaves no half file either.
    for folder in debian.path("/tmp").glob("tmp.*"):
        debian.run("rm", "-rf", f"/tmp/{folder.name}")
    for point in (1, steps // 2, steps - 3):
        status, _ = run_until(point, files, how="TERM")
        assert status != 0
        assert not list(debian.path("/tmp").glob("tmp.*"))
        assert not [name for name in debian.files() if name.endswith(".csg-new")]
        install(debian, "--uninstall", "--purge")


def test_somebody_without_root_has_a_gateway_of_their_own(debian: Machine, tmp_path: Path):
    debian.run("useradd", "--create-home", "dora")
    before = debian.files()
    done = debian.attempt("/bin/sh", SCRIPT, "--yes", user="dora")
    assert done.returncode == 1 and "--prefix" in done.stdout

    said = install(debian, "--prefix", "/home/dora/csg", user="dora")
    [command] = re.findall("^Next: (.*)$", said, re.MULTILINE)
    changed = difference(before, debian.files())
    assert changed and not [name for name in changed if not name.startswith("/home/dora/csg/")]
    assert not [name for name in changed if "systemd" in name]
    listen = {"CSG_GATEWAY__LISTEN": f"127.0.0.1:{free_port()}", "CSG_CONSOLE__LISTEN": f"127.0.0.1:{free_port()}"}
    process = debian.start("/bin/sh", "-c", "exec " + command, user="dora", log=tmp_path / "csg.log", env=listen)
    wait_until(lambda: "/setup?token=" in process.text(), 30, "the set-up link")
    assert process.stop() == 0
    assert debian.mode("/home/dora/csg/var/lib/csg") == ("700", "dora", "dora")
    assert debian.path("/home/dora/csg/var/lib/csg/csg.redb").exists()

    install(debian, "--prefix", "/home/dora/csg", user="dora")
    install(debian, "--prefix", "/home/dora/csg", "--uninstall", user="dora")
    assert debian.path("/home/dora/csg/var/lib/csg/csg.redb").exists()
    install(debian, "--prefix", "/home/dora/csg", "--uninstall", "--purge", user="dora")
    left = difference(before, debian.files())
    assert not [name for name in left if not name.endswith("/")], left


def test_root_is_taken_with_sudo_where_it_is_needed(debian: Machine):
    """The stand-in for sudo is a script of a shell that is root's for everybody, and asks nothing."""
    debian.run("useradd", "--create-home", "dora")
    debian.run("sh", "-c", "cp /bin/dash /usr/bin/rootsh && chmod 4755 /usr/bin/rootsh")
    sudo = debian.path("/usr/bin/sudo")
    become = 'exec setpriv --reuid=0 --regid=0 --clear-groups "$@"'
    sudo.write_text(f'#!/usr/bin/rootsh -p\necho "$1" >>/tmp/taken\n{become}\n')
    sudo.chmod(0o755)
    debian.path("/tmp/taken").touch()
    debian.path("/tmp/taken").chmod(0o666)
    before = debian.files()

    install(debian, "--as", "files", user="dora")
    assert debian.mode("/etc/csg") == ("750", "root", "csg")
    assert debian.mode("/usr/local/bin/csg") == ("755", "root", "root")
    taken = set(debian.path("/tmp/taken").read_text().split())
    assert "cp" in taken and not taken & {"tar", "sha256sum", "sed", "grep"}, taken
    # The one who installs can't look into /etc/csg; what is there stays all the same.
    debian.path("/etc/csg/csg.toml").write_text('log.level = "debug"\n')
    installed = debian.files()
    install(debian, "--as", "files", user="dora")
    assert debian.path("/etc/csg/csg.toml").read_text() == 'log.level = "debug"\n'
    assert difference(installed, debian.files()) == {}
    install(debian, "--uninstall", "--purge", user="dora")
    assert difference(before, debian.files()) == {}


def test_a_debian_gets_the_package(debian: Machine):
    before = debian.files()
    for _ in range(2):
        said = install(debian)
        assert "install the deb package" in said
        assert debian.run("dpkg-query", "-W", "-f", "${db:Status-Status}", NAME) == "installed"
        assert debian.path("/usr/bin/csg").exists()
    done = debian.attempt("/bin/sh", SCRIPT, "--yes", "--as", "files")
    assert done.returncode == 1 and "the deb package is installed" in done.stdout
    install(debian, "--uninstall")
    assert not debian.path("/usr/bin/csg").exists() and debian.path("/etc/csg/csg.toml").exists()
    install(debian, "--uninstall", "--purge")
    assert difference(before, debian.files()) == {}


def test_an_rpm_is_for_machines_that_have_no_dpkg(make_machine: Callable, release: Release):
    machine = with_release(make_machine("busybox"), release)
    machine.program("/bin/rpm", 'echo "rpm $*" >>/tmp/said; [ "$1" != -q ]')
    machine.program("/bin/rpmkeys", "exit 1")
    assert "install the rpm package" in machine.run("/bin/sh", SCRIPT, "--dry-run")
    machine.attempt("/bin/sh", SCRIPT, "--yes")
    called = machine.path("/tmp/said").read_text()
    assert re.search(rf"^rpm -U --replacepkgs /tmp/tmp\.\w+/{re.escape(release.rpm.name)}$", called, re.MULTILINE), (
        called
    )


def test_sources_are_built_first(make_machine: Callable, release: Release):
    """The real packaging/build.sh needs a compiler; here it is one that has the release ready."""
    machine = with_release(make_machine("busybox"), release)
    machine.copy_in(release.script, "/tmp/sources/install.sh")
    build = "mkdir -p /tmp/sources/target/dist && cp -r /tmp/release /tmp/sources/target/dist/release"
    machine.program("/tmp/sources/packaging/build.sh", build)
    assert "build the release" in machine.run("/bin/sh", "/tmp/sources/install.sh", "--dry-run")
    assert not machine.path("/tmp/sources/target").exists()
    machine.run("/bin/sh", "/tmp/sources/install.sh", "--yes")
    assert machine.run("/usr/local/bin/csg", "version").startswith("csg ")


def test_with_systemd_it_ends_with_the_set_up_link(make_machine: Callable, release: Release, tmp_path: Path):
    """systemd cannot run here: `systemctl` starts the real gateway, and `journalctl` reads what that says."""
    machine = with_release(make_machine("busybox"), release)
    machine.path("/run/systemd/system").mkdir(parents=True)
    listen = f"CSG_GATEWAY__LISTEN=127.0.0.1:{free_port()} CSG_CONSOLE__LISTEN=127.0.0.1:{free_port()}"
    for name, text in (
        ("systemctl", f"""echo "$*" >>/tmp/called
            case $1 in
            restart) su -s /bin/sh -c '{listen} exec /usr/local/bin/csg serve' csg >/tmp/journal 2>&1 & echo $! >/tmp/pid ;;
            show) echo 0123 ;;
            esac"""),
        ("journalctl", "case $1 in _SYSTEMD_INVOCATION_ID=0123) cat /tmp/journal ;; esac"),
    ):  # fmt: skip
        machine.program(f"/bin/{name}", text)
    said = install(machine)
    try:
        assert re.search(r"^Set-up link, .*: https?://\S+/setup\?token=csg_setup_\S+$", said, re.MULTILINE), said
        assert said.splitlines()[-1] == "Next: /usr/local/bin/csg login NAME"
        called = machine.path("/tmp/called").read_text().splitlines()
        assert called[:4] == [
            "daemon-reload", "enable csg.socket csg.service", "start csg.socket", "restart csg.service",
        ]  # fmt: skip
    finally:
        machine.attempt("/bin/sh", "-c", "kill $(cat /tmp/pid)")

"""The units, under a real systemd: what they allow, how they restart, and who is told what."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.machine import Machine
from harness.paths import CSG, REPOSITORY
from harness.process import wait_until

UNITS = REPOSITORY / "systemd"
# Only systemd 254 and later know them; the others ignore them and say so.
NEW = r".*csg\.service:\d+: Unknown key '(RestartSteps|RestartMaxDelaySec)' in section \[Service\], ignoring\."
GATEWAY, CONSOLE = "http://127.0.0.1:3128/healthz", "http://127.0.0.1:3129/healthz"
# One after the other, each on a connection of its own, until its input ends; what became of them.
ASK_ON = f"""
import select, sys, urllib.request
asked, failed = 0, []
while not select.select([sys.stdin], [], [], 0)[0]:
    for url in ({GATEWAY!r}, {CONSOLE!r}):
        asked += 1
        try:
            assert urllib.request.urlopen(url, timeout=30).read() == b"ok\\n"
        except Exception as error:
            failed.append(f"{{url}}: {{error}}")
print(asked, failed)
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With the units, the user and the directories as a package would put them there."""
    if os.getuid() != 0:
        pytest.skip("only root may make a machine of its own")
    machine = Machine(tmp_path_factory.mktemp("machine"))
    try:
        install(machine)
        yield machine
    finally:
        machine.stop()


def install(machine: Machine) -> None:
    places = {
        "csg.service": "/usr/lib/systemd/system/csg.service",
        "csg.socket": "/usr/lib/systemd/system/csg.socket",
        "csg-backup.service": "/usr/lib/systemd/system/csg-backup.service",
        "csg-backup.timer": "/usr/lib/systemd/system/csg-backup.timer",
        "csg.sysusers": "/usr/lib/sysusers.d/csg.conf",
        "csg.tmpfiles": "/usr/lib/tmpfiles.d/csg.conf",
    }
    for name, place in places.items():
        machine.write(place, (UNITS / name).read_text())
    with Path(CSG).open("rb") as binary:
        subprocess.run(machine.command("tee", "/usr/bin/csg"), stdin=binary, stdout=subprocess.DEVNULL, check=True)
    machine.run("chmod", "755", "/usr/bin/csg")
    machine.run("systemd-sysusers")
    machine.run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/csg.conf")
    # There is no journal here; and no test waits for half a minute.
    output = "StandardOutput=append:/run/csg.log\nStandardError=append:/run/csg.log\n"
    machine.write("/etc/systemd/system/csg.service.d/test.conf", f"[Service]\n{output}WatchdogSec=3s\n")
    machine.run("sh", "-c", "mkdir -p /etc/credstore && head -c 32 /dev/urandom > /etc/credstore/csg-master-key")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "csg.service")
    machine.run("systemctl", "start", "csg.socket", "csg.service")


def main_process(machine: Machine) -> str:
    return machine.show("csg.service", "MainPID")["MainPID"]


def is_active(machine: Machine) -> bool:
    return machine.run("systemctl", "is-active", "csg.service", check=False) == "active"


def restarts(machine: Machine) -> int:
    return int(machine.show("csg.service", "NRestarts")["NRestarts"])


def configure(machine: Machine, text: str) -> None:
    machine.write("/etc/csg/csg.toml", text)
    machine.run("chmod", "644", "/etc/csg/csg.toml")


def replace_executable(machine: Machine) -> None:
    """As a packager does: another file under the same name."""
    machine.run("cp", "/usr/bin/csg", "/usr/bin/csg.new")
    machine.run("mv", "/usr/bin/csg.new", "/usr/bin/csg")


def lives(machine: Machine, process: str) -> bool:
    return machine.run("sh", "-c", f"[ ! -d /proc/{process} ] || echo yes") == "yes"


def watchdog(machine: Machine) -> int:
    """When the service last gave a sign of life."""
    return int(machine.show("csg.service", "WatchdogTimestampMonotonic")["WatchdogTimestampMonotonic"])


def test_the_units_are_well_formed(tmp_path: Path):
    for folder in ("usr/bin", "usr/lib/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/bin/csg").symlink_to("true")
    shutil.copy(shutil.which("true") or "/bin/true", tmp_path / "usr/bin/true")
    (tmp_path / "usr/bin/sh").symlink_to("true")
    (tmp_path / "bin").symlink_to("usr/bin")
    units = [unit for unit in UNITS.iterdir() if unit.suffix in (".service", ".socket", ".timer")]
    for unit in (*Path("/usr/lib/systemd/system").glob("*.target"), *units):
        shutil.copy(unit, tmp_path / "usr/lib/systemd/system")
    command = ["systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", *(unit.name for unit in units)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in done.stderr.splitlines() if not re.fullmatch(NEW, line)]
    assert done.returncode == 0 and complaints == [], done


@pytest.mark.parametrize("unit", ["csg.service", "csg-backup.service"])
def test_the_services_are_exposed_to_little(unit: str, say):
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", UNITS / unit]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    exposure = re.search(rf"Overall exposure level for {re.escape(unit)}: (\d+\.\d)", done.stdout)
    assert exposure and float(exposure[1]) <= 1.5, done.stdout
    say(f"systemd: exposure level of {unit} {exposure[1]}")


def test_it_runs_once_it_has_said_so(machine: Machine):
    shown = machine.show("csg.service", "Type", "SubState", "StatusText")
    assert shown == {"Type": "notify", "SubState": "running", "StatusText": "The console is at http://127.0.0.1:3129"}
    for url in (GATEWAY, CONSOLE):
        assert machine.run("curl", "-sS", url) == "ok"
    assert "http://127.0.0.1:3129/setup?token=" in machine.run("cat", "/run/csg.log")


def test_it_is_nobody_and_may_do_nothing_but_its_work(machine: Machine):
    process = main_process(machine)
    status = dict(line.split(":\t", 1) for line in machine.run("cat", f"/proc/{process}/status").splitlines())
    user = machine.run("id", "-u", "csg")
    assert user != "0" and set(status["Uid"].split()) == {user}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, capabilities
    # As the service sees the disk: nobody's files, and no other program that it could start.
    seen = [f"/proc/{process}/root/{folder}" for folder in ("home", "root", "tmp")]
    assert machine.run("find", *seen, "-mindepth", "1") == ""
    inside = machine.command("nsenter", "--target", process, "--mount", "--root")
    shell = subprocess.run([*inside, "sh", "-c", "true"], capture_output=True, text=True, timeout=60, check=False)
    assert shell.returncode != 0 and "Permission denied" in shell.stderr, shell
    mounts = machine.run("cat", f"/proc/{process}/mountinfo")
    writable = {line.split()[4] for line in mounts.splitlines() if line.split()[5].split(",")[0] == "rw"}
    assert "/var/lib/csg" in writable
    assert not {"/", "/usr", "/etc", "/home", "/root"} & writable, writable
    assert machine.run("stat", "-c", "%U:%G %a", "/var/lib/csg", "/etc/csg").splitlines() == [
        "csg:csg 700",
        "root:csg 750",
    ]
    # Nothing in the state is for others, and the master key is the credential: there is none beside the database.
    modes = machine.run("find", "/var/lib/csg", "-type", "f", "-printf", "%m %f\n").splitlines()
    assert modes and all(line.startswith("600 ") for line in modes), modes
    assert not any("master.key" in line for line in modes), modes


def test_a_restart_refuses_no_connection(machine: Machine, say):
    command = machine.command("python3", "-c", ASK_ON)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        seen = {main_process(machine)}
        for _ in range(3):
            machine.run("systemctl", "restart", "csg.service")
            seen.add(main_process(machine))
        told, _ = client.communicate("", timeout=60)
    assert len(seen) == 4
    asked, failed = told.strip().split(" ", 1)
    assert failed == "[]" and int(asked) > 20, told
    say(f"systemd: {asked} connections during 3 restarts, none refused")


def test_a_reload_reads_the_configuration_again(machine: Machine):
    before, log = main_process(machine), machine.run("cat", "/run/csg.log")
    configure(machine, 'gateway.passthrough = ["pypi.org"]\nsecrets.key_file = "/nowhere"\n')
    machine.run("systemctl", "reload", "csg.service")
    lines = [
        'the configuration was changed key="gateway.passthrough" before="none" after="pypi.org"',
        'this change counts after a restart key="secrets.key_file" before="none" after="/nowhere"',
        "the configuration was read again changes=2",
    ]
    for line in lines:
        wait_until(lambda line=line: line in machine.run("cat", "/run/csg.log").removeprefix(log), 30, line)
    wait_until(lambda: machine.show("csg.service", "SubState")["SubState"] == "running", 30, "the end of the reload")
    assert main_process(machine) == before
    machine.run("rm", "/etc/csg/csg.toml")


def test_a_new_version_takes_over_and_refuses_no_connection(machine: Machine, say):
    command = machine.command("python3", "-c", ASK_ON)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        seen, count = [main_process(machine)], restarts(machine)
        for _ in range(2):
            replace_executable(machine)
            machine.run("csg", "upgrade")
            seen.append(main_process(machine))
            # The one before has nothing to finish.
            wait_until(lambda: not lives(machine, seen[-2]), 30, "the end of the process before")
        told, _ = client.communicate("", timeout=60)
    assert len(set(seen)) == 3 and restarts(machine) == count
    asked, failed = told.strip().split(" ", 1)
    assert failed == "[]" and int(asked) > 5, told
    say(f"systemd: {asked} connections during 2 upgrades, none refused")
    # It is the new file that runs, as locked in as the one before, and known to systemd in all ways.
    files = machine.run("stat", "-L", "-c", "%i", "/usr/bin/csg", f"/proc/{seen[-1]}/exe").splitlines()
    assert len(set(files)) == 1
    status = dict(line.split(":\t", 1) for line in machine.run("cat", f"/proc/{seen[-1]}/status").splitlines())
    assert (status["Name"], status["PPid"], status["NoNewPrivs"], status["Seccomp"]) == ("csg", "1", "1", "2")
    assert is_active(machine)
    signs = [watchdog(machine)]
    for _ in range(2):
        wait_until(lambda: watchdog(machine) > signs[-1], 30, "a sign of life")
        signs.append(watchdog(machine))


def test_a_version_that_cannot_start_leaves_the_running_one_alone(machine: Machine):
    before, count = main_process(machine), restarts(machine)
    configure(machine, 'console.tls = { cert = "/nowhere", key = "/nowhere" }\n')
    words = "csg: the running gateway goes on as it is: the new process could not take over: console.tls: /nowhere: "
    done = subprocess.run(machine.command("csg", "upgrade"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr.startswith(words), done
    machine.run("rm", "/etc/csg/csg.toml")
    assert (main_process(machine), restarts(machine), is_active(machine)) == (before, count, True)
    for url in (GATEWAY, CONSOLE):
        assert machine.run("curl", "-sS", url) == "ok"


def test_who_has_taken_over_is_watched(machine: Machine):
    machine.run("csg", "upgrade")
    before, count = main_process(machine), restarts(machine)
    machine.run("kill", "-KILL", before)
    wait_until(lambda: restarts(machine) == count + 1 and is_active(machine), 60, "the restart")
    assert machine.run("curl", "-sS", GATEWAY) == "ok"


def test_who_hangs_is_killed_and_started_again(machine: Machine):
    before, count = main_process(machine), restarts(machine)
    machine.run("kill", "-STOP", before)
    wait_until(lambda: restarts(machine) == count + 1 and is_active(machine), 60, "the watchdog")
    assert main_process(machine) != before
    assert machine.run("curl", "-sS", CONSOLE) == "ok"


def test_who_is_killed_is_started_again(machine: Machine):
    before, count = main_process(machine), restarts(machine)
    machine.run("kill", "-KILL", before)
    wait_until(lambda: restarts(machine) == count + 1 and is_active(machine), 60, "the restart")
    assert machine.run("curl", "-sS", GATEWAY) == "ok"


def test_a_start_that_fails_is_tried_again_for_as_long_as_it_takes(machine: Machine):
    """More often than systemd would by itself, which gives up after five within ten seconds; and never at once."""
    shown = machine.show("csg.service", "Restart", "RestartUSec")
    assert shown == {"Restart": "on-failure", "RestartUSec": "1s"}
    configure(machine, 'log.level = "loud"\n')
    machine.run("systemctl", "restart", "csg.service", check=False)
    count, began = restarts(machine), time.monotonic()
    wait_until(lambda: restarts(machine) >= count + 6, 60, "six more starts")
    assert time.monotonic() - began > 5
    machine.run("rm", "/etc/csg/csg.toml")
    wait_until(lambda: is_active(machine), 60, "the start that succeeds")
    assert machine.run("curl", "-sS", GATEWAY) == "ok"


def test_wrong_usage_is_not_tried_again(machine: Machine):
    """No time mends it: exit status 2."""
    drop_in = "/etc/systemd/system/csg.service.d/usage.conf"
    machine.write(drop_in, "[Service]\nExecStart=\nExecStart=/usr/bin/csg serve --verbose\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "csg.service", check=False)
    ended = {"ActiveState": "failed", "SubState": "failed", "ExecMainStatus": "2"}
    wait_until(lambda: machine.show("csg.service", *ended) == ended, 30, "the end")
    machine.run("rm", drop_in)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reset-failed", "csg.service")
    machine.run("systemctl", "start", "csg.socket", "csg.service")
    assert machine.run("curl", "-sS", GATEWAY) == "ok"


def test_a_socket_that_the_configuration_does_not_name_is_told(machine: Machine):
    configure(machine, 'gateway.listen = ["0.0.0.0:4128"]\n')
    machine.run("systemctl", "restart", "csg.service", check=False)
    words = "csg: systemd handed over a socket on 0.0.0.0:3128, which neither gateway.listen nor console.listen names"
    wait_until(lambda: words in machine.run("cat", "/run/csg.log"), 30, words)
    machine.run("rm", "/etc/csg/csg.toml")
    # Mended, it comes up by itself.
    wait_until(lambda: is_active(machine), 60, "the restart")


def test_a_backup_is_made_by_its_unit(machine: Machine):
    """Beside the running service, and with it stopped; in a sandbox of its own."""
    for expected in (1, 2):
        machine.run("systemctl", "start", "csg-backup.service")
        listed = machine.run("find", "/var/lib/csg-backups", "-type", "f", "-printf", "%m %u %f\n").splitlines()
        assert len(listed) == expected and all(line.startswith("600 csg csg-2") for line in listed), listed
        machine.run("systemctl", "stop", "csg.service")
        # They are named after the second.
        now = machine.run("date", "+%s")
        wait_until(lambda now=now: machine.run("date", "+%s") != now, 5, "the next second")
    machine.run("systemctl", "start", "csg.service")


def test_the_timer_has_the_backup_made_at_night(machine: Machine):
    """Once it is enabled, which it is not by itself."""
    assert machine.run("systemctl", "is-enabled", "csg-backup.timer", check=False) == "disabled"
    machine.run("systemctl", "enable", "--now", "csg-backup.timer")
    shown = machine.show("csg-backup.timer", "ActiveState", "Unit", "NextElapseUSecRealtime")
    assert (shown["ActiveState"], shown["Unit"]) == ("active", "csg-backup.service")
    assert re.search(r" 0[34]:\d\d:\d\d ", shown["NextElapseUSecRealtime"]), shown
    machine.run("systemctl", "disable", "--now", "csg-backup.timer")


def test_it_stops_when_asked(machine: Machine):
    machine.run("systemctl", "stop", "csg.service", "csg.socket")
    shown = machine.show("csg.service", "Result", "ExecMainStatus", "ActiveState")
    assert shown == {"Result": "success", "ExecMainStatus": "0", "ActiveState": "inactive"}
    assert machine.run("curl", "-sS", CONSOLE, check=False) == ""

"""A newer version changes the schema of the database: whatever fails, and wherever it is killed, the one version or the other
goes on with all that was there; and there is a way back."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.cloud import Exchange, Key
from harness.gateway import Gateway, Team
from harness.load import Load, check_records
from harness.paths import CSG, REPOSITORY
from harness.process import Process, wait_until
from harness.wire import DYNAMODB, list_tables, tunnel

SCHEMA = json.loads(subprocess.check_output([CSG, "version", "--json"]))["schema"]
NEWER = (
    f"the database was written by a newer version of csg (its schema is {SCHEMA + 1}, this version knows up to {SCHEMA}): "
    "install that version again, or "
)
GO_BACK = f"{NEWER}go back to the database from before the upgrade with `csg restore --before-upgrade`"


@pytest.fixture(scope="session")
def newer() -> Path:
    """A csg whose database has one schema more than that of the one that is tested."""
    built = subprocess.run(
        [
            "cargo",
            "build",
            "--locked",
            "--example",
            "csg-next",
            "--features",
            "next-schema",
            "--message-format",
            "json",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    told = (json.loads(line) for line in built.stdout.splitlines())
    [executable] = [Path(it["executable"]) for it in told if it.get("executable")]
    assert json.loads(subprocess.check_output([executable, "version", "--json"]))["schema"] == SCHEMA + 1
    return executable


@pytest.fixture
def own(make_gateway: Callable[..., Gateway], scripted: Callable) -> Team:
    def answer(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer(b'{"TableNames":[]}')

    return Team(make_gateway({"*.amazonaws.com": scripted(answer).address}))


def csg(gateway: Gateway, *arguments: str, executable: Path = CSG) -> subprocess.CompletedProcess[str]:
    command = [str(executable), *arguments, "--config", str(gateway.configuration)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def data(gateway: Gateway) -> Path:
    return gateway.folder / "data"


def databases(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("csg.redb*")}


def call(gateway: Gateway, key: Key) -> int:
    with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
        return connection.request(list_tables(key)).status


def start(gateway: Gateway, executable: Path) -> None:
    gateway.process = Process([executable, "serve", "--config", gateway.configuration], gateway.folder / "csg.log")
    gateway.process.wait_for_port(gateway.console_port)
    wait_until(gateway.is_healthy, 30, "GET /healthz to answer 200")


def test_the_database_goes_with_the_newer_version_and_there_is_a_way_back(own: Team, newer: Path):
    gateway, key = own.gateway, own.grant("dynamodb")
    with Load(own) as load:
        before = gateway.upgrade("--executable", newer)
        load.wait_for_more()
        later = own.grant("dynamodb")
        assert before.child.wait(60) == 0, before.tail()
        # A version that does not know the schema can't take over, and harms nobody by trying.
        done = gateway.ask_to_hand_over("--executable", CSG)
        assert done.returncode == 1
        says = f"the running gateway goes on as it is: the new process could not take over: {GO_BACK}"
        assert done.stderr == f"csg: {says}\n"
        load.wait_for_more()
        in_use = csg(gateway, "restore", "--before-upgrade")
        assert in_use.returncode == 1 and "is in use by another process: stop the running csg first" in in_use.stderr
    assert load.errors == []
    check_records(load)
    assert call(gateway, later) == 200
    assert databases(data(gateway)) == {"csg.redb", f"csg.redb.schema-{SCHEMA}"}
    gateway.stop()

    refused = csg(gateway, "serve")
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", f"csg: {GO_BACK}\n")
    went = csg(gateway, "restore", "--before-upgrade")
    assert (went.returncode, went.stderr) == (0, ""), went
    assert re.fullmatch(
        f"{data(gateway)} holds the state of (\\S+) now, from before the upgrade\\.\n"
        f"What the newer version has written is kept in {data(gateway)}/csg.redb.schema-{SCHEMA + 1}, for a month\\.\n"
        "Everybody has to sign in again\\. Access that was taken back since \\1 is there again: look through it\\.\n",
        went.stdout,
    ), went.stdout
    assert databases(data(gateway)) == {"csg.redb", f"csg.redb.schema-{SCHEMA + 1}"}
    gateway.start()
    assert (call(gateway, key), call(gateway, later)) == (200, 403)
    admin = gateway.sign_in("admin")
    assert [event["action"] for event in admin.events()].count("backup.restore") == 1
    # The newer version may come again.
    gateway.upgrade("--executable", newer)
    assert call(gateway, key) == 200
    gateway.stop()
    assert databases(data(gateway)) == {"csg.redb", f"csg.redb.schema-{SCHEMA}"}


def test_there_is_no_way_back_where_nothing_was_kept_or_nothing_is_newer(own: Team, newer: Path):
    gateway = own.gateway
    gateway.stop()
    same = csg(gateway, "restore", "--before-upgrade")
    says = f"the database is not of a newer version of csg (its schema is {SCHEMA}): there is nothing to go back from"
    assert (same.returncode, same.stderr) == (1, f"csg: {says}\n")
    start(gateway, newer)
    gateway.stop()
    (data(gateway) / f"csg.redb.schema-{SCHEMA}").unlink()
    refused = csg(gateway, "serve")
    assert (
        refused.stderr == f"csg: {NEWER}put back a backup of schema {SCHEMA} or less with `csg restore FILE --force`\n"
    )
    nothing = csg(gateway, "restore", "--before-upgrade")
    assert nothing.returncode == 1 and "no database from before an upgrade is kept beside" in nothing.stderr
    assert databases(data(gateway)) == {"csg.redb"}
    # Nor with a key that does not fit.
    start(gateway, newer)
    assert gateway.stop() == 0


@contextmanager
def without_audit_files(gateway: Gateway) -> Iterator[None]:
    """What a process finds only once it has brought the database forward."""
    folder = data(gateway) / "audit"
    folder.rename(gateway.folder / "audit")
    folder.write_text("no folder")
    yield
    folder.unlink()
    (gateway.folder / "audit").rename(folder)


def test_a_start_that_fails_leaves_the_older_version_its_database(own: Team, newer: Path):
    gateway, key = own.gateway, own.grant("dynamodb")
    gateway.stop()
    with without_audit_files(gateway):
        failed = csg(gateway, "serve", executable=newer)
        assert failed.returncode == 1 and failed.stderr.splitlines()[-1].startswith("csg: the audit directory "), failed
    assert databases(data(gateway)) == {"csg.redb"}
    gateway.start()
    assert call(gateway, key) == 200


def test_who_can_not_take_over_in_the_end_leaves_the_older_version_its_database(own: Team, newer: Path):
    gateway, key = own.gateway, own.grant("dynamodb")
    process = gateway.running()
    # Without calls: a process with records to write finds by itself that it can't, and asks nobody to take over.
    with without_audit_files(gateway):
        done = gateway.ask_to_hand_over("--executable", newer)
        assert done.returncode == 1
        says = "csg: the running gateway goes on as it is: the new process could not take over: the audit directory "
        assert done.stderr.startswith(says), done
    with Load(own, "kept boto3") as load:
        load.wait_for_more()
        assert process.child.poll() is None
        assert databases(data(gateway)) == {"csg.redb"}
        own.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
        gateway.upgrade("--executable", newer)
        load.wait_for_more()
    assert load.errors == []
    check_records(load)
    assert call(gateway, key) == 403


# Of the system's calls, those by which files are made, filled, made safe on the disk, and get and lose their names.
CALLS = ["openat", "pwrite64", "fsync", "fdatasync", "linkat", "utimensat", "rename", "unlink"]


def paths(folder: Path) -> list[str]:
    """What of them are looked at: those about the database that is made, and the one that is kept."""
    names = [folder / "csg.redb.new", folder / f"csg.redb.schema-{SCHEMA}"]
    return [word for name in names for word in ("-P", str(name))]


def kill(name: str, number: int) -> list[str]:
    """Whoever makes this call for the n-th time is killed, and the call is not made."""
    return [f"--trace={name}", f"--inject={name}:signal=KILL:when={number}"]


def traced(log: Path, looked_at: list[str]) -> list[str]:
    """What writes down the calls of the command that follows."""
    return ["strace", "-f", "-qq", "-e", "signal=none", f"--trace={','.join(CALLS)}", "-o", str(log), *looked_at]


def points(log: Path) -> list[tuple[str, int]]:
    """Where a version that brings a database forward can be killed, as one did that was not: the first call of a name, the
    second, and so on, in the order in which they were made. Of those that fill a file, one in ten."""
    made = re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE)
    assert {"openat", "pwrite64", "fdatasync", "linkat", "utimensat", "rename"} <= set(made), sorted(set(made))
    counted = [(name, made[: place + 1].count(name)) for place, name in enumerate(made)]
    return [(name, number) for name, number in counted if name != "pwrite64" or number % 10 == 1]


def copy_data(gateway: Gateway, to: Path) -> None:
    shutil.copytree(data(gateway), to, ignore=shutil.ignore_patterns("*.sock"))


def open_it(executable: Path, folder: Path, before: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Opens the database, as any start does, and brings it forward."""
    configuration = folder.parent / "opens.toml"
    configuration.write_text(f"data_dir = {json.dumps(str(folder))}\n")
    command = [*(before or []), str(executable), "ca", "export", "--config", str(configuration)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_killed_anywhere_the_database_is_the_older_version_s_or_the_newer_one_s(
    own: Team, newer: Path, tmp_path: Path, say: Callable
):
    own.gateway.stop()
    whole = open_it(CSG, data(own.gateway)).stdout
    copy_data(own.gateway, tmp_path / "data")
    looked_at = [*paths(tmp_path / "data"), "-P", str(tmp_path / "data")]
    assert open_it(newer, tmp_path / "data", traced(tmp_path / "calls", looked_at)).stdout == whole
    where = points(tmp_path / "calls")
    found = []
    for name, number in where:
        folder = tmp_path / f"{name}-{number}" / "data"
        copy_data(own.gateway, folder)
        killed = open_it(
            newer,
            folder,
            ["strace", "-f", "-qq", "-o", "/dev/null", *kill(name, number), *paths(folder), "-P", str(folder)],
        )
        assert killed.returncode == -signal.SIGKILL, (name, number, killed)
        older = open_it(CSG, folder)
        found.append(older.returncode == 0)
        assert older.stdout == whole if older.returncode == 0 else older.stderr == f"csg: {GO_BACK}\n", (name, older)
        assert open_it(newer, folder).stdout == whole, (name, number)
        assert databases(folder) == {"csg.redb", f"csg.redb.schema-{SCHEMA}"}, (name, number)
        went = csg_at(folder, "restore", "--before-upgrade")
        assert went.returncode == 0 and open_it(CSG, folder).stdout == whole, (name, number, went)
        shutil.rmtree(folder.parent)
    # Up to some point it is the older one's, and from there on the newer one's.
    assert found == sorted(found, reverse=True) and found[0] and not found[-1], list(zip(where, found, strict=True))
    say(
        f"migration: killed at {len(where)} points, {found.count(True)} of them before the database was the newer version's"
    )


def csg_at(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(CSG), *arguments, "--config", str(folder.parent / "opens.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def killed(gateway: Gateway, name: str, number: int, log: Path) -> Iterator[None]:
    """Whoever the gateway starts, that is; itself makes none of these calls."""
    process = gateway.running().child.pid
    tracer = Process(["strace", "-f", "-qq", "-p", str(process), *kill(name, number), *paths(data(gateway))], log)
    status = Path(f"/proc/{process}/status")
    wait_until(lambda: f"TracerPid:\t{tracer.child.pid}\n" in status.read_text(), 10, "strace")
    try:
        yield
    finally:
        # Asked to end, it may wait for ever for one that it has just killed.
        if tracer.child.poll() is None:
            tracer.kill()


def points_of_a_start(gateway: Gateway, newer: Path, folder: Path) -> list[tuple[str, int]]:
    """On a copy of the gateway's data."""
    copy_data(gateway, folder / "data")
    configuration, log = folder / "csg.toml", folder / "calls"
    configuration.write_text(gateway.configuration.read_text().replace(str(data(gateway)), str(folder / "data")))
    command = [*traced(log, paths(folder / "data")), newer, "serve", "--config", configuration]
    tracer = Process(command, folder / "csg.log")
    wait_until(gateway.is_healthy, 30, "GET /healthz to answer 200")
    [started] = Path(f"/proc/{tracer.child.pid}/task/{tracer.child.pid}/children").read_text().split()
    os.kill(int(started), signal.SIGTERM)
    assert tracer.child.wait(60) == 0, tracer.tail()
    return points(log)


def test_killed_while_it_takes_over_the_older_version_goes_on(own: Team, newer: Path, tmp_path: Path, say: Callable):
    gateway, load = own.gateway, Load(own, "kept boto3")
    gateway.stop()
    where = points_of_a_start(gateway, newer, tmp_path)
    process = gateway.start().running()
    chosen = [(name, number) for name, number in where[: where.index(("linkat", 1))] if name != "unlink"]
    with load:
        for name, number in chosen:
            with killed(gateway, name, number, tmp_path / "strace"):
                done = gateway.ask_to_hand_over("--executable", newer)
            assert done.returncode == 1, (name, number, done)
            says = "the running gateway goes on as it is: the new process ended before it was ready"
            assert says in done.stderr and process.child.poll() is None, (name, number, done)
            assert own.admin.get("/environments")["items"] and databases(data(gateway)) == {"csg.redb"}
            load.wait_for_more()
        gateway.upgrade("--executable", newer)
        load.wait_for_more()
    assert load.errors == []
    check_records(load)
    say(f"migration: the new process was killed at {len(chosen)} points, and no call failed")


@pytest.mark.parametrize("name", ["linkat", "utimensat", "rename"])
def test_killed_once_it_has_taken_over_the_next_start_goes_on(name: str, own: Team, newer: Path, tmp_path: Path):
    """The process before is at its end then. Of what was done up to there nothing is lost, whichever version starts."""
    gateway, key = own.gateway, own.grant("dynamodb")
    process = gateway.running()
    with killed(gateway, name, 1, tmp_path / "strace"):
        assert gateway.ask_to_hand_over("--executable", newer).returncode == 0
        process.child.wait(30)
    gateway.start()
    assert call(gateway, key) == 200 and databases(data(gateway)) == {"csg.redb"}
    gateway.upgrade("--executable", newer)
    assert call(gateway, key) == 200

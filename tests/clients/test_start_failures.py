"""Starts that can't be: one clear line each on standard error, the status, and nothing lost."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.gateway import PASSWORD
from harness.paths import CSG, REPOSITORY
from harness.process import Process, free_port, wait_until

FIXTURES = REPOSITORY / "tests/fixtures/db"
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root may mount, and be somebody else")


@dataclass
class Site:
    """A configuration, and a data directory that was in use before."""

    folder: Path
    text: str = ""
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.ports = free_port(), free_port()
        self.configure(self.text)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def configure(self, text: str = "") -> None:
        keys = {
            "data_dir": str(self.data),
            "gateway.listen": [f"127.0.0.1:{self.ports[0]}"],
            "console.listen": f"127.0.0.1:{self.ports[1]}",
            "log.level": "error",
        }
        lines = [f"{key} = {value!r}" for key, value in keys.items() if key not in text]
        (self.folder / "csg.toml").write_text("\n".join([*lines, text]) + "\n")

    def command(self, *arguments: str) -> list[str]:
        return [str(CSG), *arguments, "--config", str(self.folder / "csg.toml")]

    def init(self) -> "Site":
        environment = {**os.environ, "CSG_ADMIN_PASSWORD": PASSWORD}
        subprocess.run(self.command("init", "--admin", "admin"), env=environment, check=True, capture_output=True)
        return self

    def fails(self, says: str, status: int = 1, before: list[str] | None = None) -> str:
        """`serve` ends with this status and one line that says this."""
        ran = subprocess.run(
            [*(before or []), *self.command("serve")], capture_output=True, text=True, timeout=60, check=False
        )
        assert (ran.returncode, ran.stdout) == (status, ""), ran
        [line] = ran.stderr.splitlines()
        assert line.startswith("csg: ") and says in line and "panicked" not in line, line
        return line

    def works(self) -> None:
        """Mended, it starts, with everything that was there."""
        process = Process(self.command("serve"), self.folder / "serve.log")
        process.wait_for_port(self.ports[1])
        assert process.stop() == 0, process.text()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path).init()


def files(folder: Path) -> dict[str, bytes]:
    listed = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in listed}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gateway.lisen = []", "gateway.lisen: unknown key; the nearest known one is gateway.listen"),
        ("nonsense", "not TOML"),
        ("console.listen = 'here'", "console.listen: "),
        ("log.level = 7", "log.level: "),
    ],
)
def test_a_wrong_configuration(site: Site, text: str, says: str):
    site.configure(text)
    assert "csg.toml:" in site.fails(says)
    site.configure()
    site.works()


def test_a_configuration_file_that_is_not_there(site: Site):
    (site.folder / "csg.toml").rename(site.folder / "other.toml")
    site.fails("csg.toml: can't read the configuration file: No such file")


def test_wrong_usage(site: Site):
    ran = subprocess.run([CSG, "serve", "--verbose"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "") and "--help" in ran.stderr


@pytest.mark.parametrize("which", [0, 1])
def test_a_taken_port_names_the_program(site: Site, which: int):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", site.ports[which]))
        taken.listen()
        name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
        key = ("gateway.listen", "console.listen")[which]
        says = f"{key}: can't listen on 127.0.0.1:{site.ports[which]}: {name} (process {os.getpid()}) has it: stop that"
        site.fails(says)
    site.works()


def test_a_data_directory_that_cannot_be_made(tmp_path: Path):
    site = Site(tmp_path)
    (tmp_path / "data").write_text("a file")
    site.fails(f"data_dir: can't write to {site.data}: it is no directory: remove what is there, or set another")
    assert site.data.read_text() == "a file"
    site.configure("data_dir = '/proc/here'")
    site.fails("data_dir: can't write to /proc/here: ")


@root_only
def test_a_data_directory_of_another_user(strangers: Path):
    site = Site(strangers).init()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    shutil.copy(CSG, strangers / "csg")
    ran = subprocess.run(
        [*nobody, str(strangers / "csg"), *site.command("serve")[1:]], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr == (
        f"csg: data_dir: can't write to {site.data}: Permission denied (os error 13): run as its owner, or set another "
        "data_dir\n"
    )
    site.works()


def test_a_foreign_data_directory(tmp_path: Path):
    site = Site(tmp_path)
    site.data.mkdir()
    for name in ("thesis.odt", "photos", "notes"):
        (site.data / name).write_text("mine")
    site.fails(
        f"data_dir: {site.data} holds other files (notes, photos, thesis.odt) and no database of csg: choose an empty"
    )
    assert set(files(site.data).values()) == {b"mine"} and len(files(site.data)) == 3


def test_a_database_that_is_gone(site: Site):
    site.works()
    (site.data / "csg.redb").rename(site.folder / "kept")
    before = files(site.data)
    site.fails("the database csg.redb is gone from")
    assert files(site.data) == before
    (site.folder / "kept").rename(site.data / "csg.redb")
    site.works()


def test_a_data_directory_in_use(site: Site, tmp_path: Path):
    process = Process(site.command("serve"), tmp_path / "first.log")
    process.wait_for_port(site.ports[1])
    (tmp_path / "second").mkdir()
    second = Site(tmp_path / "second", f"data_dir = '{site.data}'")
    try:
        second.fails(f"{site.data}/csg.redb is in use by another process: stop the running csg first")
    finally:
        assert process.stop() == 0
    site.works()


@pytest.mark.parametrize(("mode", "who"), [(0o644, "all"), (0o640, "the group")])
def test_a_master_key_that_others_can_read(site: Site, mode: int, who: str):
    key = site.data / "master.key"
    key.chmod(mode)
    site.fails(f"others can read the master key file {key}: run `chmod 600 {key}`")
    key.chmod(0o600)
    site.works()


@root_only
def test_a_master_key_of_another_user(site: Site):
    key = site.data / "master.key"
    os.chown(key, 65534, 65534)
    site.fails(f"the master key file {key} belongs to another user (its owner is number 65534, csg runs as number 0)")
    os.chown(key, 0, 0)
    site.works()


def test_a_wrong_a_short_and_no_master_key(site: Site):
    key = site.data / "master.key"
    right = key.read_bytes()
    key.write_bytes(os.urandom(32))
    site.fails("the master key does not fit the database (it was made with key ")
    key.write_bytes(b"short")
    site.fails(f"the master key file {key} must hold 32 bytes, but holds 5: put back the right one from its backup")
    key.unlink()
    site.fails(f"the master key {key} is gone, and the database can't be read without it: put it back")
    site.configure("secrets.key_file = '/nowhere/key'")
    site.fails("can't read the master key file /nowhere/key: No such file")
    site.configure()
    key.write_bytes(right)
    key.chmod(0o600)
    site.works()


def test_tls_files_that_are_missing_or_wrong(site: Site):
    tls = f"console.tls = {{ cert = '{site.folder}/cert.pem', key = '{site.folder}/key.pem' }}"
    site.configure(tls)
    site.fails(f"console.tls: {site.folder}/cert.pem: No such file or directory (os error 2)")
    (site.folder / "cert.pem").write_text("no certificate")
    site.fails("holds no certificate: it must be PEM")
    site.configure("upstream.ca_file = '/nowhere/ca.pem'")
    site.fails("upstream.ca_file: /nowhere/ca.pem: No such file")
    site.configure()
    site.works()


def test_a_newer_database(site: Site):
    """Schema 99, as a later version would have left it; kept in the fixtures."""
    shutil.copy(FIXTURES / "schema-99.redb", site.data / "csg.redb")
    (site.data / "master.key").write_bytes(bytes([7]) * 32)
    before = (site.data / "csg.redb").read_bytes()
    known = re.search(r"database schema (\d+)", subprocess.check_output([CSG, "version"], text=True))
    assert known
    site.fails(
        f"the database was written by a newer version of csg (its schema is 99, this version knows up to {known[1]}): "
        f"install that version again, or put back a backup of schema {known[1]} or less with `csg restore FILE --force`"
    )
    (site.data / f"csg.redb.schema-{known[1]}").write_bytes(b"")
    site.fails("or go back to the database from before the upgrade with `csg restore --before-upgrade`")
    assert len((site.data / "csg.redb").read_bytes()) == len(before)


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_an_older_database_is_brought_forward_and_a_copy_kept(tmp_path: Path, schema: int):
    site = Site(tmp_path)
    site.data.mkdir(mode=0o700)
    shutil.copy(FIXTURES / f"schema-{schema}.redb", site.data / "csg.redb")
    (site.data / "master.key").write_bytes(bytes([7]) * 32)
    (site.data / "master.key").chmod(0o600)
    site.works()
    kept = site.data / f"csg.redb.schema-{schema}"
    assert kept.stat().st_mode & 0o777 == 0o600
    copy = kept.read_bytes()
    # Back to where it was, and forward again.
    shutil.copy(kept, site.data / "csg.redb")
    site.works()
    assert kept.read_bytes() == copy or kept.exists()
    # The copy goes when it is a month old.
    month = 31 * 24 * 3600
    os.utime(kept, (kept.stat().st_atime - month, kept.stat().st_mtime - month))
    site.works()
    assert not kept.exists()


def damage(content: bytes) -> dict[str, bytes]:
    third = len(content) // 3
    return {
        "zeros at the beginning": bytes(4096) + content[4096:],
        "cut short": content[: third + 100],
        "nothing but noise": os.urandom(len(content)),
        "text": b"this is no database\n" * 500,
        "noise within": content[:8192] + os.urandom(third) + content[8192 + third :],
    }


@pytest.mark.parametrize("how", damage(b"").keys())
def test_a_damaged_database(site: Site, how: str):
    database = site.data / "csg.redb"
    whole = database.read_bytes()
    database.write_bytes(damage(whole)[how])
    says = site.fails("csg.redb is damaged, or no database of csg (")
    assert "csg restore FILE --force" in says
    database.write_bytes(whole)
    site.works()


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[None]:
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", at], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


@root_only
@pytest.mark.parametrize("size", ["4k", "16k", "64k"])
def test_a_first_start_on_a_full_disk_leaves_nothing_in_the_way(tmp_path: Path, size: str):
    site = Site(tmp_path)
    with small_disk(site.data, size):
        says = site.fails("no space is left on that disk: make room, then try again")
        assert "panicked" not in says
        subprocess.run(["mount", "-o", "remount,size=64m", site.data], check=True)
        site.works()


@root_only
def test_a_full_disk_loses_nothing(tmp_path: Path):
    site = Site(tmp_path)
    with small_disk(site.data, "64m"):
        site.init()
        with (site.data / "spool").open("wb") as filler, pytest.raises(OSError):
            while True:
                filler.write(bytes(65536))
                filler.flush()
        # It may well start, as the database has room within itself; but it must not fail in another way.
        process = Process(site.command("serve"), tmp_path / "serve.log")
        wait_until(lambda: process.child.poll() is not None or is_listening(site), 30, "a start or an end")
        process.stop() if process.child.poll() is None else None
        assert process.child.returncode in (0, 1) and "panicked" not in process.text(), process.text()
        if process.child.returncode == 1:
            assert "no space is left on that disk" in process.text()
        (site.data / "spool").unlink()
        site.works()


def is_listening(site: Site) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", site.ports[1])) == 0


@root_only
def test_an_upgrade_on_a_full_disk_changes_nothing(tmp_path: Path):
    site = Site(tmp_path)
    content = (FIXTURES / "schema-1.redb").read_bytes()
    with small_disk(site.data, f"{len(content) // 1024 + 40}k"):
        (site.data / "csg.redb").write_bytes(content)
        (site.data / "master.key").write_bytes(bytes([7]) * 32)
        (site.data / "master.key").chmod(0o600)
        says = site.fails("the database has to be brought to another schema, and could not be; it is as it was: ")
        assert "no space is left on that disk" in says
        assert {path.name for path in site.data.iterdir()} == {"csg.redb", "master.key"}
        subprocess.run(["mount", "-o", "remount,size=64m", site.data], check=True)
        site.works()
        assert (site.data / "csg.redb.schema-1").exists()


@root_only
def test_a_read_only_file_system(tmp_path: Path):
    site = Site(tmp_path)
    with small_disk(site.data, "64m"):
        site.init()
        subprocess.run(["mount", "-o", "remount,ro", site.data], check=True)
        site.fails(f"data_dir: can't write to {site.data}: the file system is read-only: mount it for writing")
        subprocess.run(["mount", "-o", "remount,rw", site.data], check=True)
        site.works()


def test_a_damaged_audit_file_keeps_no_call_waiting(site: Site):
    site.works()
    day = site.data / "audit/2026-01-01.redb"
    day.write_bytes(b"noise" * 2000)
    site.works()
    assert day.read_bytes() == b"noise" * 2000


@pytest.fixture
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that other users of the machine can look into, as pytest's own are not."""
    folder = Path("/tmp") / f"csg-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)

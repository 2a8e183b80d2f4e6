"""Backup and restore by the shipped executable: under load, onto an empty directory, and what is refused."""

import hashlib
import json
import os
import pty
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.cloud import Key, StrictMoto
from harness.console import ApiError
from harness.gateway import PASSWORD, Gateway, Team
from harness.paths import CSG
from harness.process import wait_until

PASSPHRASE = "a few words that I remember"


def csg(*arguments: str | Path, given: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CSG), *map(str, arguments)],
        env={**os.environ, **environment},
        input=given or "",
        capture_output=True,
        text=True,
        timeout=60,
    )


def done(*arguments: str | Path, **more: str) -> dict:
    """What a command that works says with --json."""
    ran = csg(*arguments, "--json", **more)
    assert ran.returncode == 0 and ran.stderr == "", ran
    return json.loads(ran.stdout)


def refused(*arguments: str | Path, says: str, **more: str) -> None:
    ran = csg(*arguments, **more)
    assert (ran.returncode, ran.stdout) == (1, ""), ran
    assert len(ran.stderr.splitlines()) == 1 and ran.stderr.startswith("csg: ") and says in ran.stderr, ran.stderr


def content(folder: Path) -> dict[str, bytes | None]:
    files = (path for path in sorted(folder.rglob("*")) if not path.is_socket())
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in files}


class Site:
    """A gateway that is in use, a backup of it made meanwhile, and its master key, which its owner kept apart."""

    def __init__(self, gateway: Gateway, team: Team, key: Key, folder: Path):
        self.gateway, self.team, self.key = gateway, team, key
        self.backup = folder / "state.backup"
        self.sealed = folder / "sealed.backup"
        self.master_key = folder / "kept-apart.key"
        shutil.copy(gateway.folder / "data/master.key", self.master_key)
        self.made = {}

    @property
    def data(self) -> Path:
        return self.gateway.folder / "data"


class Elsewhere:
    """Another machine: the same configuration, but for its empty data directory."""

    def __init__(self, site: Site, folder: Path, make_data: bool = True):
        self.data = folder / "data"
        if make_data:
            self.data.mkdir(parents=True, mode=0o700)
        text = site.gateway.configuration.read_text().replace(str(site.data), str(self.data))
        self.configuration = folder / "csg.toml"
        self.configuration.write_text(text)


@pytest.fixture(scope="module")
def site(make_gateway: Callable, cloud: StrictMoto, tmp_path_factory: pytest.TempPathFactory) -> Site:
    gateway = make_gateway({"*.amazonaws.com": cloud.address})
    team = Team(gateway)
    site = Site(gateway, team, team.grant("dynamodb"), tmp_path_factory.mktemp("kept"))
    site.made = done("backup", site.backup, "--with-audit", "--config", gateway.configuration)
    (site.backup.parent / "passphrase").write_text(PASSPHRASE + "\n")
    done(
        "backup", site.sealed, "--with-key", "--passphrase-file", site.backup.parent / "passphrase",
        "--config", gateway.configuration,
    )  # fmt: skip
    return site


@pytest.fixture
def elsewhere(site: Site, tmp_path: Path) -> Elsewhere:
    return Elsewhere(site, tmp_path)


def test_under_load_it_is_of_one_moment(site: Site, tmp_path: Path, say: Callable[[str], None]):
    """Requests are made, four at a time, while backups are: each backup has a run of them without a gap."""
    end, failures, made = threading.Event(), [], [[] for _ in range(4)]
    before = {request["id"] for request in site.team.admin.get("/access-requests?limit=1000")["items"]}

    def work(mine: list[str]) -> None:
        while not end.is_set():
            try:
                mine.append(site.team.ask("sns")["id"])
            except Exception as error:
                failures.append(repr(error))

    people = [threading.Thread(target=work, args=[mine]) for mine in made]
    for one in people:
        one.start()
    try:
        backups = []
        for number in range(4):
            count = sum(map(len, made))
            wait_until(lambda count=count: sum(map(len, made)) >= count + 4, 30, "four more requests")
            path = tmp_path / f"{number}.backup"
            done("backup", path, "--config", site.gateway.configuration)
            backups.append((path, [len(mine) for mine in made]))
    finally:
        end.set()
        for one in people:
            one.join()
    assert failures == []
    sizes = []
    for number, (path, at_least) in enumerate(backups):
        other = Elsewhere(site, tmp_path / str(number))
        done("restore", path, "--key-file", site.master_key, "--config", other.configuration)
        gateway = at(site, other)
        try:
            listed = gateway.sign_in("admin").get("/access-requests?limit=1000")["items"]
        finally:
            assert gateway.stop() == 0
        kept = {request["id"] for request in listed} - before
        for mine, asked_for in zip(made, at_least, strict=True):
            assert [one in kept for one in mine] == sorted((one in kept for one in mine), reverse=True), "no gap"
            # What was asked for before the backup began is in it; `asked_for` was counted after it had ended.
            assert sum(one in kept for one in mine) <= asked_for + 1
        sizes.append(len(kept))
    assert sizes == sorted(sizes) and 0 < sizes[0] < sizes[-1], sizes
    say(f"backup: {len(backups)} under load, with {sizes} of {sum(map(len, made))} requests")


def at(site: Site, other: Elsewhere) -> Gateway:
    """The gateway of another machine; of this one, another port is used."""
    gateway = Gateway(other.data.parent / "run", Path("/nowhere"), {})
    text = other.configuration.read_text()
    text = text.replace(f":{site.gateway.port}", f":{gateway.port}")
    gateway.configuration.write_text(text.replace(f":{site.gateway.console_port}", f":{gateway.console_port}"))
    return gateway.start()


def test_on_an_empty_directory_everything_works_again(site: Site, elsewhere: Elsewhere):
    said = done("restore", site.backup, "--key-file", site.master_key, "--config", elsewhere.configuration)
    assert (said["restored"], said["kept_aside"], said["schema"]) == (True, None, site.made["schema"])
    assert said["key_file"] == str(elsewhere.data / "master.key")
    for path in [elsewhere.data, *elsewhere.data.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    gateway = at(site, elsewhere)
    try:
        assert gateway.ca.read_bytes() == site.gateway.ca.read_bytes(), "clients trust it as before"
        Way(gateway.proxy_url, gateway.ca, site.key).boto3("dynamodb").list_tables()
        admin = gateway.sign_in("admin")
        request = admin.get(f"/access-requests/{site.key.request}")
        assert (request["status"], request["requested_by"]) == ("active", "dora")
        [event] = [event for event in admin.events() if event["action"] == "backup.restore"]
        assert event["detail"] == f"of {site.made['made_at']}"
        # Sessions that the backup knew have ended: one of them may have been ended for a reason since.
        admin.token = site.team.admin.token
        with pytest.raises(ApiError, match="401"):
            admin.get("/me")
    finally:
        assert gateway.stop() == 0


def test_calls_are_in_it_where_that_was_asked_for(site: Site, tmp_path: Path):
    Way(site.gateway.proxy_url, site.gateway.ca, site.key).boto3("dynamodb").list_tables()
    usage = f"/access-requests/{site.key.request}/usage"
    calls = wait_until(lambda: site.team.dora.get(usage)["calls"], 10, "the call to be recorded")
    for with_audit in (True, False):
        path = tmp_path / f"{with_audit}.backup"
        arguments = ["--with-audit"] if with_audit else []
        said = done("backup", path, *arguments, "--config", site.gateway.configuration)
        assert said["with_audit"] is with_audit
        other = Elsewhere(site, tmp_path / str(with_audit))
        done("restore", path, "--key-file", site.master_key, "--config", other.configuration)
        gateway = at(site, other)
        try:
            assert gateway.sign_in("dora").get(usage)["calls"] == (calls if with_audit else 0)
        finally:
            assert gateway.stop() == 0


def test_the_file_is_for_its_owner_and_tells_nothing(site: Site):
    assert stat.S_IMODE(site.backup.stat().st_mode) == 0o600
    assert site.backup.read_bytes().startswith(b"csg backup, format 1\n")
    for path in (site.backup, site.sealed):
        for secret in (b"dora", b"staging", site.master_key.read_bytes(), b"BEGIN CERTIFICATE"):
            assert secret not in path.read_bytes(), secret


def test_without_the_key_it_is_of_no_use(site: Site, elsewhere: Elsewhere, tmp_path: Path):
    other = tmp_path / "other.key"
    other.write_bytes(os.urandom(32))
    short = tmp_path / "short.key"
    short.write_bytes(b"x")
    before = content(elsewhere.data)
    to = ("--config", elsewhere.configuration)
    refused("restore", site.backup, *to, says=f"needs the master key {site.made['key_id']}: give the file")
    refused("restore", site.backup, "--key-file", other, *to, says=f"needs the master key {site.made['key_id']}, and")
    refused("restore", site.backup, "--key-file", short, *to, says="must hold 32 bytes")
    refused("restore", site.backup, "--key-file", "/nowhere/key", *to, says="No such file")
    assert content(elsewhere.data) == before == {}


def test_under_a_passphrase_the_key_is_in_it(site: Site, elsewhere: Elsewhere, tmp_path: Path):
    to = ("--config", elsewhere.configuration)
    refused("restore", site.sealed, *to, says="there is no passphrase")
    refused("restore", site.sealed, *to, given="a few words that I forgot\n", says="the passphrase is not the one")
    assert content(elsewhere.data) == {}
    done("restore", site.sealed, *to, given=PASSPHRASE + "\n")
    assert (elsewhere.data / "master.key").read_bytes() == site.master_key.read_bytes()
    at(site, elsewhere).stop()
    config = ("--config", site.gateway.configuration)
    refused("backup", tmp_path / "x", "--with-key", *config, given="too short\n", says="12 characters or more")
    assert not (tmp_path / "x").exists()


def test_what_is_damaged_or_cut_short_changes_nothing(site: Site, elsewhere: Elsewhere, tmp_path: Path):
    whole = site.backup.read_bytes()
    damaged = tmp_path / "damaged"
    arguments = ("restore", damaged, "--key-file", site.master_key, "--config", elsewhere.configuration)
    middle = len(whole) // 2
    for bad, says in [
        (b"", "is no backup of csg"),
        (b"something else\n", "is no backup of csg"),
        (whole.replace(b"format 1", b"format 2", 1), "format 2, which this version of csg does not know"),
        (whole[:40], "damaged or was cut short (its end is missing)"),
        (whole[:200], "damaged or was cut short"),
        (whole[:middle], "damaged or was cut short"),
        (whole[:-1], "damaged or was cut short"),
        (whole + b"x", "damaged or was cut short (something stands behind its end)"),
        (whole[:100] + bytes([whole[100] ^ 1]) + whole[101:], "its header has another checksum"),
        (whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :], "damaged or was cut short"),
        (whole[:-1] + bytes([whole[-1] ^ 1]), "damaged or was cut short (a part of it was altered)"),
    ]:
        damaged.write_bytes(bad)
        refused(*arguments, says=says)
        refused(*arguments, "--check", says=says)
        assert content(elsewhere.data) == {}, says
    damaged.write_bytes(whole)
    assert done(*arguments, "--check")["restored"] is False
    assert content(elsewhere.data) == {}


def test_a_newer_schema_is_refused(site: Site, elsewhere: Elsewhere, tmp_path: Path):
    whole = site.backup.read_bytes()
    line = whole.index(b"\n") + 1
    length = int.from_bytes(whole[line : line + 4])
    header = json.loads(whole[line + 4 : line + 4 + length]) | {"schema": 99, "version": "9.9.9"}
    text = json.dumps(header).encode()
    start = whole[:line] + len(text).to_bytes(4) + text
    newer = tmp_path / "newer"
    newer.write_bytes(start + hashlib.sha256(start).digest() + whole[line + 4 + length + 32 :])
    says = f"schema 99, and this version of csg knows up to {site.made['schema']}: install the version that made it (9.9.9)"
    refused("restore", newer, "--key-file", site.master_key, "--config", elsewhere.configuration, says=says)
    # Who forges the schema finds that the rest belongs to the header that it was made with.
    text = json.dumps(header | {"schema": 1}).encode()
    start = whole[:line] + len(text).to_bytes(4) + text
    newer.write_bytes(start + hashlib.sha256(start).digest() + whole[line + 4 + length + 32 :])
    refused("restore", newer, "--key-file", site.master_key, "--config", elsewhere.configuration, says="was altered")
    assert content(elsewhere.data) == {}


def test_not_onto_a_running_service(site: Site):
    for force in ([], ["--force"]):
        refused("restore", site.backup, *force, "--config", site.gateway.configuration, says="stop it first")
    assert site.gateway.is_healthy()
    assert not list(site.data.glob("*restore*"))


def test_what_is_there_is_kept_aside(site: Site, elsewhere: Elsewhere):
    to = ("--key-file", site.master_key, "--config", elsewhere.configuration)
    csg("init", "--admin", "sam", "--config", elsewhere.configuration, CSG_ADMIN_PASSWORD=PASSWORD)
    before = content(elsewhere.data)
    refused("restore", site.backup, *to, says="is not empty: with --force, what is in it is kept aside")
    assert content(elsewhere.data) == before
    aside = Path(done("restore", site.backup, "--force", *to)["kept_aside"])
    assert aside.parent == elsewhere.data
    assert content(aside) == before
    gateway = at(site, elsewhere)
    try:
        assert gateway.sign_in("admin").get("/me")["username"] == "admin"
    finally:
        gateway.stop()


def test_stopped_it_is_backed_up_as_well(site: Site, elsewhere: Elsewhere, tmp_path: Path):
    to = ("--config", elsewhere.configuration)
    refused("backup", tmp_path / "none", *to, says="is not initialised")
    assert not (tmp_path / "none").exists() and content(elsewhere.data) == {}
    done("restore", site.backup, "--key-file", site.master_key, *to)
    first = done("backup", tmp_path / "first", *to)
    assert first["key_id"] == site.made["key_id"]
    # To standard output, and from standard input.
    piped = subprocess.run([CSG, "backup", "-", *to], stdout=subprocess.PIPE, check=True).stdout
    again = Elsewhere(site, tmp_path / "again")
    restore = [CSG, "restore", "-", "--key-file", site.master_key, "--config", again.configuration]
    subprocess.run(restore, input=piped, stdout=subprocess.DEVNULL, check=True)
    assert (again.data / "csg.redb").exists()


def test_in_a_folder_the_newest_are_kept(site: Site, tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("csg-20200101T000000Z.backup", "csg-20200102T000000Z.backup", "csg-mine.backup", "notes"):
        (folder / name).write_text("old")
    said = done("backup", folder, "--keep", "2", "--config", site.gateway.configuration)
    assert said["removed"] == [str(folder / "csg-20200101T000000Z.backup")]
    names = {path.name for path in folder.iterdir()}
    assert names == {"csg-20200102T000000Z.backup", "csg-mine.backup", "notes", Path(said["file"]).name}
    refused(
        "backup", tmp_path / "x", "--keep", "2", "--config", site.gateway.configuration, says="--keep is for a folder"
    )


def test_a_backup_that_fails_leaves_the_one_before(site: Site, tmp_path: Path):
    if os.getuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", disk], check=True)
    try:
        (disk / "state.backup").write_text("the one before")
        (disk / "filler").write_bytes(bytes(4096))
        config = ("--config", site.gateway.configuration)
        refused("backup", disk / "state.backup", *config, says="can't write the backup: no space is left on that disk")
        assert {path.name: path.read_text()[:3] for path in disk.iterdir()} == {
            "state.backup": "the", "filler": "\0\0\0",
        }  # fmt: skip
    finally:
        subprocess.run(["umount", disk], check=True)
    assert site.gateway.is_healthy()


def test_a_terminal_gets_no_backup(site: Site):
    ours, theirs = pty.openpty()
    command = [CSG, "backup", "-", "--config", site.gateway.configuration]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, text=True) as child:
        assert "nothing for a terminal" in child.communicate(timeout=60)[1]
    assert child.returncode == 1
    os.close(ours)
    os.close(theirs)


def test_root_works_as_the_owner(site: Site, tmp_path: Path, strangers: Path):
    """What root made in the service's directory, the service could not open."""
    other = Elsewhere(site, strangers)
    os.chown(other.data, 65534, 65534)
    key = tmp_path / "key"
    shutil.copy(site.master_key, key)
    done("restore", site.backup, "--key-file", key, "--config", other.configuration)
    done("backup", tmp_path / "backup", "--with-audit", "--config", other.configuration)
    assert (tmp_path / "backup").stat().st_uid == 0
    files = [other.data, *other.data.rglob("*")]
    assert {path.stat().st_uid for path in files} == {65534} and len(files) > 2
    # Nor can the service lead root's hand elsewhere.
    (other.data / "restore.new").symlink_to(tmp_path)
    done("restore", site.backup, "--force", "--key-file", key, "--config", other.configuration)
    assert {path.name for path in tmp_path.iterdir()} == {"key", "backup"}


def test_only_root_and_the_owner_may(certificates: CloudCertificates, strangers: Path):
    """Also where the service's directory was opened to everybody by mistake: the kernel says who asks."""
    shutil.copy(CSG, strangers / "csg")
    gateway = Gateway(strangers / "site", certificates.ca, {}).init().start()
    commands = ["backup", "-"], ["setup-link"], ["user", "reset-second-factor", "admin", "--local"], ["upgrade"]

    def by_nobody(*arguments: str) -> str:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", strangers / "csg", *arguments]
        ran = subprocess.run(
            [*command, "--config", gateway.configuration], capture_output=True, text=True, timeout=60, check=False
        )
        assert (ran.returncode, ran.stdout) == (1, ""), ran
        assert len(ran.stderr.splitlines()) == 1, ran.stderr
        return ran.stderr

    try:
        for command in commands:
            assert "run this with sudo" in by_nobody(*command), "the directory is closed to them"
        (gateway.folder / "data").chmod(0o755)
        for name in ("csg.sock", "upgrade.sock"):
            assert (gateway.folder / "data" / name).stat().st_mode & 0o777 == 0o600
            (gateway.folder / "data" / name).chmod(0o777)
        for command in commands:
            assert "for root and csg's own user only" in by_nobody(*command)
        assert gateway.running().text().count("neither root nor csg's own user") == len(commands)
        done("backup", strangers / "backup", "--config", gateway.configuration)
    finally:
        assert gateway.stop() == 0


@pytest.fixture
def strangers() -> Iterator[Path]:
    """A folder that other users of the machine can look into, as pytest's own are not."""
    if os.getuid() != 0:
        pytest.skip("only root may be somebody else")
    folder = Path(tempfile.mkdtemp(prefix="csg-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)

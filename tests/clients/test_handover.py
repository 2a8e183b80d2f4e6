"""Another executable takes over, and the configuration is read again: no call fails, none is cut, each is recorded once."""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from harness.certificates import CloudCertificates
from harness.cloud import Exchange, Key
from harness.gateway import Gateway, Team
from harness.load import Load, check_records, records
from harness.paths import CSG
from harness.process import Process, listens, wait_until
from harness.recording import Arrival, RecordingCloud
from harness.wire import DYNAMODB, Connection, list_tables, raw_request, read_head, signed_headers, tunnel

LAMBDA, S3 = "lambda.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com"
LIMIT_SECONDS = 5
PIECE = b"x" * (1 << 20)


class SlowCloud:
    """Answers DynamoDB at once. Lambda's answer, and the second half of what S3 gives, come when a test lets them."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.waiting = 0

    def __call__(self, exchange: Exchange, arrival: Arrival) -> bool:
        if arrival.host == LAMBDA:
            self.wait()
            exchange.answer(b'"done"')
            return True
        if arrival.host == S3 and arrival.method == "GET":
            exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            self.wait()
            exchange.send(b"6\r\nsecond\r\n0\r\n\r\n")
            return True
        if arrival.host == DYNAMODB:
            exchange.answer(b'{"TableNames":[]}')
            return True
        return False

    def wait(self) -> None:
        self.waiting += 1
        assert self.go_on.wait(60)


@pytest.fixture
def slow() -> SlowCloud:
    return SlowCloud()


@pytest.fixture
def cloud(slow: SlowCloud, certificates) -> Iterator[RecordingCloud]:
    cloud = RecordingCloud(certificates, slow)
    yield cloud
    slow.go_on.set()
    cloud.stop()


@pytest.fixture
def own(cloud: RecordingCloud, make_gateway: Callable) -> Team:
    return Team(make_gateway({"*.amazonaws.com": cloud.address}))


def invoke(key: Key) -> bytes:
    target = "/2015-03-31/functions/resize/invocations"
    return raw_request(signed_headers(key, "lambda", LAMBDA, target=target, body=b"{}"), target=target, body=b"{}")


def get_object(key: Key) -> bytes:
    return raw_request(signed_headers(key, "s3", S3, "GET", "/bucket/key"), "GET", "/bucket/key")


def put_object(key: Key, body: bytes) -> bytes:
    """The head of an upload."""
    named = {"Content-Length": str(len(body))}
    return raw_request(signed_headers(key, "s3", S3, "PUT", "/bucket/key", named, body), "PUT", "/bucket/key")


def open_stream(team: Team, key: Key) -> Connection:
    """A download whose first half is here."""
    connection = tunnel(team.gateway.address, team.gateway.ca, S3)
    connection.send(get_object(key))
    assert read_head(connection.reader).startswith(b"HTTP/1.1 200")
    assert [connection.reader.readline() for _ in range(2)] == [b"5\r\n", b"first\r\n"]
    return connection


def seconds_until_cut(connection: Connection) -> float:
    began = time.monotonic()
    connection.socket.settimeout(2 * LIMIT_SECONDS)
    try:
        while line := connection.reader.readline():
            assert line != b"0\r\n", "the stream must not look complete"
    except OSError as error:
        assert not isinstance(error, TimeoutError), "still open"
    return time.monotonic() - began


def test_two_upgrades_under_load(own: Team, slow: SlowCloud, cloud: RecordingCloud, say: Callable):
    """With a slow call, a long upload and a long download that began before the first and end after the second."""
    gateway = own.gateway
    key = own.grant("lambda", "s3")
    with (
        Load(own) as load,
        tunnel(gateway.address, gateway.ca, LAMBDA) as call,
        tunnel(gateway.address, gateway.ca, S3) as upload,
        open_stream(own, key) as download,
    ):
        call.send(invoke(key))
        upload.send(put_object(key, 2 * PIECE) + PIECE)
        wait_until(lambda: slow.waiting == 2, 10, "the cloud to be asked")
        before, seconds = [], []
        for _ in range(2):
            began = time.monotonic()
            before.append(gateway.upgrade())
            seconds.append(time.monotonic() - began)
            load.wait_for_more()
        assert [process.child.poll() for process in before] == [None, None], "they have something to finish"
        # Meanwhile all else is the new process's: what it does counts for the calls of the ones before.
        assert own.admin.get("/environments")["items"]
        slow.go_on.set()
        assert call.response().body == b'"done"'
        assert upload.request(PIECE).status == 200
        assert [download.reader.readline() for _ in range(2)] == [b"6\r\n", b"second\r\n"]
        assert download.reader.readline() == b"0\r\n"
    assert load.errors == []
    assert [arrival for arrival in cloud.arrivals if arrival.wrong] == []
    assert [arrival.length for arrival in cloud.arrivals if arrival.method == "PUT"] == [2 * len(PIECE)]
    for process in before:
        assert process.child.wait(30) == 0, process.tail()
    check_records(load)
    outcomes = sorted((record["operation"], record["outcome"]) for record in records(own, key, 3))
    assert outcomes == [("GetObject", "allowed"), ("Invoke", "allowed"), ("PutObject", "allowed")]
    say(
        f"handover: {sum(load.calls.values())} calls of {', '.join(load.calls)} during 2 upgrades, none failed, each recorded"
        f" once; an upgrade took {max(seconds):.1f} s"
    )


def test_access_that_is_taken_back_ends_streams_of_the_processes_before(own: Team, say: Callable):
    """Also of the one before the one before, which hears of it from that one."""
    key, other = own.grant("s3"), own.grant("s3")
    with open_stream(own, key) as first:
        before = [own.gateway.upgrade()]
        with open_stream(own, key) as second, open_stream(own, other) as third:
            before.append(own.gateway.upgrade())
            own.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
            seconds = [seconds_until_cut(stream) for stream in (first, second)]
            assert max(seconds) < LIMIT_SECONDS
            # The one before has nothing left but a stream of somebody else.
            own.anna.post(f"/access-requests/{other.request}/archive", comment="enough")
            assert seconds_until_cut(third) < LIMIT_SECONDS
    for process in before:
        process.child.wait(30)
    assert {record["outcome"] for record in records(own, key, 2)} == {"cut"}
    say(f"handover: a stream of the process before ended {max(seconds):.1f} s after its access")


def test_an_open_connection_is_good_for_one_more_call_under_what_counts_now(own: Team):
    with (
        tunnel(own.gateway.address, own.gateway.ca, DYNAMODB) as one,
        tunnel(own.gateway.address, own.gateway.ca, DYNAMODB) as other,
    ):
        ended = own.grant("dynamodb")
        assert one.request(list_tables(ended)).status == 200
        before = own.gateway.upgrade()
        new = own.grant("dynamodb")
        own.anna.post(f"/access-requests/{ended.request}/revoke", comment="enough")
        answers = [one.request(list_tables(new)), other.request(list_tables(ended))]
        assert [(answer.status, answer.headers["connection"]) for answer in answers] == [(200, "close"), (403, "close")]
        assert one.is_closed() and other.is_closed()
    assert before.child.wait(30) == 0


def test_without_the_new_process_nothing_is_allowed_and_nothing_is_forgotten(own: Team, slow: SlowCloud):
    key = own.grant("s3", "dynamodb")
    with open_stream(own, key) as stream, tunnel(own.gateway.address, own.gateway.ca, DYNAMODB):
        before = own.gateway.upgrade()
        own.gateway.running().kill()
        assert seconds_until_cut(stream) < LIMIT_SECONDS
        before.child.wait(30)
    slow.go_on.set()
    own.gateway.start()
    [record] = records(own, key, 1)
    assert (record["operation"], record["outcome"]) == ("GetObject", "cut")


def broken(gateway: Gateway, case: str, folder: Path) -> tuple[list[str | Path], str]:
    """An upgrade that can't succeed: how it is asked for, and what is said of it."""
    if case == "no csg":
        return [
            "--executable",
            "/bin/false",
        ], "the new executable can't be started: it ended at once, with exit status: 1"
    if case == "no program":
        text = folder / "text"
        text.write_text("not a program")
        text.chmod(0o755)
        return ["--executable", text], "the new executable can't be started: Exec format error"
    if case == "a port that is taken":
        port = gateway.console_port
        gateway.configure(lambda text: re.sub(r"\[gateway\]\n.*", rf'[gateway]\n"listen" = ["127.0.0.1:{port}"]', text))
        return [], "the new process could not take over: console.listen: can't listen on"
    gateway.configure(
        lambda text: text.replace("[console]", '[console]\ntls = { cert = "/nowhere", key = "/nowhere" }')
    )
    return [], "the new process could not take over: console.tls: /nowhere: "


@pytest.mark.parametrize("case", ["no csg", "no program", "a port that is taken", "a certificate that is not there"])
def test_who_cannot_take_over_leaves_everything_as_it_was(case: str, own: Team, tmp_path: Path):
    gateway, key = own.gateway, own.grant("s3")
    process, intact = gateway.running(), gateway.configuration.read_text()
    options, words = broken(gateway, case, tmp_path)
    with Load(own, "kept") as load, open_stream(own, key) as stream:
        done = gateway.ask_to_hand_over(*options)
        assert done.returncode == 1
        assert done.stderr.startswith(f"csg: the running gateway goes on as it is: {words}"), done
        assert len(done.stderr.splitlines()) == 1
        load.wait_for_more()
        assert f"not handed over: this process goes on error={words}" in process.text()
        # The state is this process's again: people work, and what they do reaches what was under way before.
        own.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
        assert seconds_until_cut(stream) < LIMIT_SECONDS
    assert load.errors == [] and process.child.poll() is None
    check_records(load)
    # And once what was wrong is mended, it hands over.
    gateway.configuration.write_text(intact)
    gateway.upgrade()
    assert process.child.wait(30) == 0


def test_files_that_are_gone_by_now_end_nobody_who_has_read_them(
    make_gateway: Callable, certificates: CloudCertificates, tmp_path: Path
):
    """A master key that was moved, a certificate that somebody is at work on: they are for the next process, not for the one
    that has to go on because the next could not start."""
    gateway: Gateway = make_gateway({})
    gateway.stop()
    intact = gateway.configuration.read_text()
    master = (gateway.folder / "data/master.key").read_bytes()
    (gateway.folder / "data/master.key").unlink()

    def place(name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        for file, content in (
            ("master", master),
            ("cert", certificates.chain.read_bytes()),
            ("key", certificates.key.read_bytes()),
        ):
            (folder / file).write_bytes(content)
            (folder / file).chmod(0o600)
        tls = f'[console]\ntls = {{ cert = "{folder}/cert", key = "{folder}/key" }}'
        text = intact.replace("[console]", tls) + f'[secrets]\nkey_file = "{folder}/master"\n'
        gateway.configuration.write_text(text)

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", gateway.console_port))

    place("first")
    gateway.start()
    process, certificate = gateway.running(), shown()
    shutil.rmtree(tmp_path / "first")
    refused = gateway.ask_to_hand_over()
    assert refused.returncode == 1 and f"console.tls: {tmp_path}/first/cert: No such file" in refused.stderr, refused
    place("second")
    # What the new process finds only once it has the state, and when that has to be given back.
    audit = gateway.folder / "data/audit"
    audit.rename(gateway.folder / "audit")
    audit.write_text("no folder")
    refused = gateway.ask_to_hand_over()
    assert refused.returncode == 1 and "could not take over: the audit directory " in refused.stderr, refused
    audit.unlink()
    (gateway.folder / "audit").rename(audit)
    assert process.child.poll() is None and shown() == certificate
    assert "the console keeps the certificate that it has" in process.text()
    link = subprocess.run(
        [CSG, "setup-link", "--config", gateway.configuration], capture_output=True, text=True, check=False
    )
    assert "this gateway is set up already" in link.stderr, link
    gateway.upgrade()
    assert process.child.wait(30) == 0


def test_what_takes_longer_than_the_drain_is_cut(scripted: Callable, make_gateway: Callable, cloud: RecordingCloud):
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}, {"gateway": {"drain": "1s"}}))
    key = team.grant("s3")
    with open_stream(team, key) as stream:
        before = team.gateway.upgrade()
        assert seconds_until_cut(stream) < 2 * LIMIT_SECONDS
        assert before.child.wait(30) == 0
    assert "calls under way have had their time" in before.text()
    assert {record["outcome"] for record in records(team, key, 1)} == {"cut"}


def test_where_nobody_runs_nobody_hands_over(own: Team):
    assert own.gateway.stop() == 0
    done = own.gateway.ask_to_hand_over()
    assert done.returncode == 3
    assert done.stderr == "csg: no gateway is running on this data directory that could hand over\n"


def hang_up(process: Process) -> str:
    """Has the configuration read again; what was said of it."""
    known = len(process.text())
    os.kill(process.child.pid, signal.SIGHUP)
    ends = ("the configuration was read again", "nothing was changed")
    return wait_until(
        lambda: (text := process.text()[known:]) and any(end in text for end in ends) and text, 20, "the log"
    )


def test_the_configuration_is_read_again_under_load(
    own: Team, cloud: RecordingCloud, scripted: Callable, say: Callable
):
    gateway, process = own.gateway, own.gateway.running()

    def answer(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer(b'{"TableNames":[]}')

    elsewhere = scripted(answer)
    with Load(own) as load:
        gateway.configure(lambda text: text.replace(cloud.address, elsewhere.address))
        told = hang_up(process)
        change = f'key="upstream.override" before="*.amazonaws.com = {cloud.address}"'
        assert f'{change} after="*.amazonaws.com = {elsewhere.address}"' in told, told
        # On the connections that are there, too.
        wait_until(lambda: elsewhere.exchanges, 20, "a call to the other cloud")
        load.wait_for_more()
        here = len(cloud.arrivals)
        load.wait_for_more()
        assert len(cloud.arrivals) == here
        intact = gateway.configuration.read_text()
        for level in ("debug", "info") * 5:
            gateway.configuration.write_text(f'{intact}[log]\nlevel = "{level}"\n')
            assert "nothing was changed" not in hang_up(process)
    assert load.errors == []
    check_records(load)
    assert process.child.poll() is None
    say(f"handover: {sum(load.calls.values())} calls while the configuration was read 11 times, none failed")


def test_a_configuration_with_mistakes_changes_nothing_and_all_of_them_are_told(own: Team):
    gateway, process = own.gateway, own.gateway.running()
    intact = gateway.configuration.read_text()
    mistakes = '[audit]\nretention = "1h"\non_failure = "maybe"\n[log]\nlevel = "debug"\n'
    gateway.configure(lambda text: text.replace(gateway.proxy_url, "") + mistakes)
    told = hang_up(process)
    for words in ("audit.retention: must be one day", 'audit.on_failure: must be "deny" or "allow"'):
        assert words in told, told
    assert "the configuration was changed" not in told
    # What can't be used is found before anything is changed.
    gateway.configuration.write_text(
        re.sub('"ca_file" = .*', '"ca_file" = "/nowhere"', intact) + '[log]\nlevel = "debug"\n'
    )
    told = hang_up(process)
    assert "upstream.ca_file: /nowhere: " in told and "the configuration was changed" not in told, told
    gateway.configuration.write_text(intact + '[log]\nlevel = "debug"\nformat = "json"\n')
    told = hang_up(process)
    assert 'this change counts after a restart key="log.format" before="text" after="json"' in told, told
    assert 'the configuration was changed key="log.level" before="info" after="debug"' in told, told
    assert own.grant("dynamodb") and listens(gateway.port)


def ask_by_hand(gateway: Gateway, said: bytes, files: Sequence[int] = ()) -> bytes:
    """Says something at the socket where the gateway is asked to hand over, and gives what is answered."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(gateway.folder / "data/upgrade.sock"))
        answer = b""
        try:
            socket.send_fds(connection, [said], list(files))
            connection.shutdown(socket.SHUT_WR)
            while some := connection.recv(65536):
                answer += some
        except ConnectionError:
            pass
        return answer


def test_what_is_said_to_the_running_process_and_is_no_request_changes_nothing(own: Team, tmp_path: Path):
    """Only root and the gateway's own user come that far; what they get wrong must not harm it."""
    gateway, process = own.gateway, own.gateway.running()
    text = tmp_path / "text"
    text.write_text("not a program")
    text.chmod(0o755)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with Load(own, "kept") as load, contextlib.ExitStack() as opened:
        descriptors = [os.open(path, os.O_RDONLY) for path in (text, tmp_path, "/dev/zero")]
        descriptors.append(os.open(pipe, os.O_RDWR))
        for descriptor in descriptors:
            opened.callback(os.close, descriptor)
        not_understood = [
            (b"", ()),
            (b"GET / HTTP/1.1\r\nHost: csg\r\n\r\n", ()),
            (b"+", ()),
            (b"-", descriptors[:1]),
            (b"+", descriptors[:2]),
            (b"+", descriptors[:1] * 64),
            (b"+", descriptors[:1] * 253),
            (b"x" * (16 << 20), ()),
        ]
        for said, files in not_understood:
            assert ask_by_hand(gateway, said, files) == b"", (said[:8], files)
        # Files that can't be executed; and what comes behind the one that is understood is not read.
        for number, descriptor in enumerate(descriptors):
            answer = ask_by_hand(gateway, b"+" + b"x" * number, [descriptor])
            assert b"the new executable can't be started: " in answer, answer
        # One who never comes to an end keeps nobody waiting for long.
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(str(gateway.folder / "data/upgrade.sock"))
            assert b"can't be started" in ask_by_hand(gateway, b"+", descriptors[:1])
        load.wait_for_more()
        ours = {str(Path(f"/proc/self/fd/{descriptor}").readlink()) for descriptor in descriptors}
        wait_until(lambda: not ours & set(process.open_paths()), 10, "no file of ours to be left open there")
        assert process.child.poll() is None
        gateway.upgrade()
        load.wait_for_more()
    assert load.errors == []
    check_records(load)
    assert process.text().count("somebody came to upgrade.sock and was not understood") == len(not_understood)
    assert process.text().count("somebody came to upgrade.sock and said nothing") == 1


@pytest.mark.parametrize("name", ["upgrade.sock", "csg.sock"])
@pytest.mark.parametrize("what", ["a file", "a link to a file", "a link to nothing", "a socket of nobody's"])
def test_what_lies_in_the_socket_s_place_is_replaced_and_not_followed(
    name: str, what: str, make_gateway: Callable, tmp_path: Path
):
    gateway: Gateway = make_gateway({})
    gateway.stop()
    place, other = gateway.folder / "data" / name, tmp_path / "other"
    place.unlink()
    if what == "a file":
        place.write_text("here")
    elif what == "a socket of nobody's":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(place))
    else:
        place.symlink_to(other)
        if what == "a link to a file":
            other.write_text("there")
    gateway.start()
    # The port answers a moment before the door is opened.
    wait_until(lambda: os.path.lexists(place) and place.lstat().st_mode == stat.S_IFSOCK | 0o600, 10, "the socket")
    assert not other.exists() or other.read_text() == "there"
    assert other.exists() == (what == "a link to a file")
    gateway.upgrade()
    assert stat.S_ISSOCK(place.lstat().st_mode)


def test_a_folder_in_the_socket_s_place_costs_the_upgrade_without_a_restart_and_nothing_else(make_gateway: Callable):
    gateway: Gateway = make_gateway({})
    gateway.stop()
    place = gateway.folder / "data/upgrade.sock"
    place.unlink()
    (place / "inner").mkdir(parents=True)
    gateway.start()
    assert gateway.sign_in("admin").get("/environments")["items"] == []
    assert "another version can't take over without a restart: upgrade.sock can't be opened" in gateway.running().text()
    assert gateway.ask_to_hand_over().returncode == 3

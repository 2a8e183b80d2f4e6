"""Another executable takes over, and the configuration is read again: no call fails, none is cut, each is recorded once."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.clients import Way
from harness.cloud import Exchange, Key
from harness.gateway import Gateway, Team
from harness.paths import CLIENTS
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


class Load:
    """Clients of several kinds that call until they are told to stop. None of them tries a call a second time."""

    def __init__(self, team: Team, kinds: str = "boto3 kept curl javascript"):
        self.team = team
        self.stopped = threading.Event()
        self.calls: dict[str, int] = {}
        self.errors: list[str] = []
        self.keys = {kind: team.grant("dynamodb") for kind in kinds.split()}
        self.threads = [threading.Thread(target=self.run, args=(kind, key)) for kind, key in self.keys.items()]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)

    def wait_for_more(self) -> None:
        """Until each kind has come a good way on: those that tell only at their end are not waited for."""
        counted = {kind: self.calls.get(kind, 0) + 10 for kind in self.keys if kind in ("boto3", "kept")}
        more = lambda: self.errors or all(self.calls.get(kind, 0) >= count for kind, count in counted.items())  # noqa: E731
        wait_until(more, 30, "the clients to go on")

    def run(self, kind: str, key: Key) -> None:
        way = Way(self.team.gateway.proxy_url, self.team.gateway.ca, key)
        try:
            getattr(self, kind)(way)
        except Exception as error:
            self.errors.append(f"{kind}: {error!r}")

    def boto3(self, way: Way) -> None:
        client = way.boto3("dynamodb", retries={"total_max_attempts": 1})
        while not self.stopped.is_set():
            self.calls["boto3"] = self.calls.get("boto3", 0) + 1
            client.list_tables()

    def kept(self, way: Way) -> None:
        """A client that keeps its connection for as long as the gateway lets it."""
        connection = None
        while not self.stopped.is_set():
            connection = connection or tunnel(self.team.gateway.address, way.ca, DYNAMODB)
            self.calls["kept"] = self.calls.get("kept", 0) + 1
            answer = connection.request(list_tables(way.key))
            assert answer.status == 200, answer
            if answer.headers.get("connection") == "close":
                connection.close()
                connection = None
        if connection:
            connection.close()

    def curl(self, way: Way) -> None:
        """Fifty calls on one connection, again and again."""
        signed = ["--aws-sigv4", "aws:amz:us-east-1:dynamodb", "--user", f"{way.key.id}:{way.key.secret}"]
        kind = ["-H", "x-amz-target: DynamoDB_20120810.ListTables", "-H", "content-type: application/x-amz-json-1.0"]
        asks = ["-d", "{}", "-w", "%{http_code}\n", *["-o", "/dev/null", f"https://{DYNAMODB}/"] * 50]
        while not self.stopped.is_set():
            command = ["curl", "--disable", "-sS", "--cacert", way.ca, "-x", way.proxy_url, *signed, *kind, *asks]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, done.stdout.split()) == (0, ["200"] * 50), done
            self.calls["curl"] = self.calls.get("curl", 0) + 50

    def javascript(self, way: Way) -> None:
        with subprocess.Popen(
            ["node", "loop.mjs"],
            cwd=CLIENTS / "js",
            env=way.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as node:
            self.stopped.wait(60)
            told = json.loads(node.communicate("", timeout=60)[0])
        self.calls["javascript"] = told["calls"]
        assert told["errors"] == []


def records(team: Team, key: Key, count: int) -> list[dict]:
    """What is recorded of a key's calls, once there are as many as expected."""
    found = wait_until(
        lambda: len(items := team.admin.calls(f"request={key.request}")) >= count and items, 20, f"{count} records"
    )
    assert len(found) == count == len({record["id"] for record in found})
    return found


def check_records(load: Load) -> None:
    for kind, key in load.keys.items():
        outcomes = {record["outcome"] for record in records(load.team, key, load.calls[kind])}
        assert outcomes == {"allowed"}, kind


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
    # Found only when the state has been let go of already.
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

"""HTTP/2: streams both ways with the SDKs as they are, and what else clients speak it for.

The cloud takes HTTP/2 alone and checks each message (`harness/http2_cloud.py`). Transcribe is what is called: AWS has no
other way for it, and neither botocore nor moto has it at all.
"""

import base64
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.cloud import Exchange, Key
from harness.crt import CRT
from harness.crt_http2 import call_over_http2
from harness.events import event
from harness.gateway import Gateway, Team
from harness.http2_cloud import Http2Cloud, Talk
from harness.paths import CLIENTS, REPOSITORY
from harness.process import wait_until
from harness.recording import Arrival, RecordingCloud
from harness.wire import tunnel

PROMISED_SECONDS = 5
GO_LIBRARIES = Path("/usr/share/gocode")
TRANSCRIBE = GO_LIBRARIES / "src/github.com/aws/aws-sdk-go-v2/service/transcribestreaming"
KINESIS = "kinesis.us-east-1.amazonaws.com"
LIST_STREAMS = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "Kinesis_20131202.ListStreams"}
PIECES = 800
WORDS = ["one", "zwei", "trois"]
JAVASCRIPT = ["node", CLIENTS / "js/converse.mjs"]
WRONG_SIGNATURE = "refused: InvalidSignatureException: The request signature we calculated does not match"


def transcript(text: str) -> bytes:
    results = [{"Alternatives": [{"Transcript": text, "Items": []}], "IsPartial": False, "ResultId": "r"}]
    return event("TranscriptEvent", json.dumps({"Transcript": {"Results": results}}).encode())


def echo(talk: Talk) -> None:
    """Answers each word before the next is sent: that the client waits for it shows that nothing is kept back."""
    talk.begin()
    for message in talk.messages():
        assert message[":event-type"] == "AudioEvent"
        talk.send(transcript(message["payload"].decode().upper()))
    talk.end()


class Clouds:
    """Transcribe's, which a test may have do something else than to answer; and a recording one for all else."""

    def __init__(self, certificates: CloudCertificates):
        self.script: Callable[[Talk], None] = echo
        self.transcribe = Http2Cloud(certificates, lambda talk: self.script(talk))
        self.answer: Callable[[Exchange, Arrival], bool] | None = None
        self.other = RecordingCloud(certificates, lambda *asked: bool(self.answer and self.answer(*asked)))

    @property
    def last(self) -> Talk:
        return self.transcribe.talks[-1]


@pytest.fixture(scope="module")
def all_clouds(certificates: CloudCertificates) -> Iterator[Clouds]:
    made = Clouds(certificates)
    yield made
    made.transcribe.stop()
    made.other.stop()


@pytest.fixture
def clouds(all_clouds: Clouds) -> Clouds:
    all_clouds.script, all_clouds.answer = echo, None
    return all_clouds


@pytest.fixture(scope="module")
def h2_gateway(make_gateway: Callable, all_clouds: Clouds) -> Gateway:
    return make_gateway({
        "transcribestreaming.us-east-1.amazonaws.com": all_clouds.transcribe.address,
        "*.amazonaws.com": all_clouds.other.address,
    })  # fmt: skip


@pytest.fixture(scope="module")
def h2_team(h2_gateway: Gateway) -> Team:
    return Team(h2_gateway)


@pytest.fixture(scope="module")
def h2_key(h2_team: Team) -> Key:
    return h2_team.grant("transcribestreaming", "kinesis")


@pytest.fixture(scope="module")
def through(h2_gateway: Gateway, h2_key: Key) -> Way:
    return Way(h2_gateway.proxy_url, h2_gateway.ca, h2_key)


# --- Streams both ways ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("go")
    return lambda name: build(name, folder / name)


def build(name: str, built: Path) -> Path:
    if not (shutil.which("go") and TRANSCRIBE.exists()):
        pytest.skip("the AWS SDK for Go is not on this machine")
    libraries = {
        "GO111MODULE": "off",
        "GOPATH": str(GO_LIBRARIES),
        "GOFLAGS": "",
        "GOCACHE": str(REPOSITORY / "tests/.cache/go"),
    }
    subprocess.run(["go", "build", "-o", built, CLIENTS / f"go/{name}.go"], check=True, env={**os.environ, **libraries})
    return built


@pytest.fixture(scope="module")
def rust_program() -> Path:
    """Built where test_setup_tabs.py builds: nearly all of it is the same."""
    project = REPOSITORY / "tests/.cache/setup-rust"
    shutil.copytree(CLIENTS / "rust", project, dirs_exist_ok=True)
    (project / "src").mkdir(exist_ok=True)
    (project / "src/main.rs").touch()  # cargo wants one
    target = {"CARGO_TARGET_DIR": str(project / "target")}
    build = ["cargo", "build", "--locked", "--quiet", "--example", "converse"]
    subprocess.run(build, cwd=project, check=True, env={**os.environ, **target})
    # Under the name of the machine, which the settings of the repository give.
    [built] = project.glob("target/*/debug/examples/converse")
    return built


@pytest.fixture(params=["javascript", "go", "rust"])
def program(request: pytest.FixtureRequest) -> list[str | Path]:
    """A client that converses; its words are its arguments, its output the answers and then how it ended."""
    if request.param == "javascript":
        return JAVASCRIPT
    if request.param == "rust":
        return [request.getfixturevalue("rust_program")]
    return [request.getfixturevalue("go_program")("converse")]


def start(program: list[str | Path], way: Way, *words: str) -> subprocess.Popen:
    return subprocess.Popen([*program, *words], env=way.environment(), stdout=subprocess.PIPE, text=True)


def run(program: list[str | Path], way: Way, *words: str) -> list[str]:
    return start(program, way, *words).communicate(timeout=60)[0].splitlines()


def record_of(team: Team, key: Key) -> dict:
    query = f"request={key.request}&operation=StartStreamTranscription"
    return wait_until(lambda: team.admin.calls(query), 10, "its record")[0]


def test_a_conversation(program, through: Way, clouds: Clouds, h2_team: Team, h2_key: Key):
    assert run(program, through, *WORDS) == [*(word.upper() for word in WORDS), "ended"]
    talk = clouds.last
    assert (talk.arrival.wrong, talk.arrival.whole, talk.broken) == (None, True, False)
    assert (talk.arrival.service, talk.arrival.region) == ("transcribe", "us-east-1")
    record = record_of(h2_team, h2_key)
    assert (record["service"], record["outcome"], record["status"]) == ("transcribestreaming", "allowed", 200)


def test_a_message_that_gets_lost_before_the_first_answer(through: Way, clouds: Clouds):
    """The cloud has not answered yet, so there is a status: the SDK's own error with the contract's words."""

    def listen(talk: Talk) -> None:
        list(talk.messages())
        talk.begin()
        talk.end()

    clouds.script, before = listen, len(clouds.transcribe.talks)
    [told] = run(JAVASCRIPT, through, "--lose", "lost", "lost", "kept")
    assert told.startswith(WRONG_SIGNATURE)
    # The call may have ended before a byte of it left.
    for talk in clouds.transcribe.talks[before:]:
        assert talk.ended.wait(10)
        assert talk.broken, "the cloud must not take it for a whole stream"


def test_a_message_that_gets_lost_after_the_first_answer(through: Way, clouds: Clouds, h2_team: Team, h2_key: Key):
    """The answer has begun, so the error is an event of it."""
    told = run(JAVASCRIPT, through, "--lose", "lost", "kept", "lost", "late")
    assert told[0] == "KEPT"
    assert told[1].startswith(WRONG_SIGNATURE)
    assert clouds.last.ended.wait(10)
    assert clouds.last.broken
    record = record_of(h2_team, h2_key)
    assert (record["outcome"], record["error"]) == ("cut", "EventMismatch")


def test_access_that_ends_midway(program, h2_team: Team, h2_gateway: Gateway, clouds: Clouds):
    key = h2_team.grant("transcribestreaming")
    waits = threading.Event()

    def fall_silent(talk: Talk) -> None:
        talk.begin()
        messages = talk.messages()
        talk.send(transcript(next(messages)["payload"].decode()))
        for _ in messages:
            waits.set()

    clouds.script = fall_silent
    child = start(program, Way(h2_gateway.proxy_url, h2_gateway.ca, key), "answered", "not answered")
    assert waits.wait(30)
    revoked = time.monotonic()
    h2_team.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
    assert clouds.last.ended.wait(PROMISED_SECONDS)
    told = child.communicate(timeout=30)[0].splitlines()
    assert time.monotonic() - revoked < PROMISED_SECONDS
    [answered, why] = told
    assert answered == "answered"
    # The SDK for Rust knows no errors that are no exceptions of the service, and gives the message as it came.
    as_it_came = why.startswith("broke off: ResponseError") and 'b"AccessDeniedException"' in why
    assert why == "refused: AccessDeniedException: Client is not Active" or (
        as_it_came and "Client is not Active" in why
    )
    assert clouds.last.broken


def test_a_long_stream_costs_no_memory(through: Way, clouds: Clouds, h2_gateway: Gateway, say: Callable):
    """As much back as forth, as fast as client and cloud can."""
    process = h2_gateway.running()
    run(JAVASCRIPT, through, "--pieces", "20")
    process.forget_peak()
    before = process.status_kib("VmRSS")
    assert run(JAVASCRIPT, through, "--pieces", str(PIECES)) == [str(PIECES)]
    grown = process.status_kib("VmHWM") - before
    say(f"{PIECES} pieces of 64 KiB each way through one stream; memory grew by {grown} KiB at most")
    assert grown < 16 * 1024


def test_a_grant_for_the_other_service_of_the_same_signing_name_is_not_enough(
    program, h2_team: Team, h2_gateway: Gateway, clouds: Clouds
):
    key, before = h2_team.grant("transcribe"), len(clouds.transcribe.talks)
    [told] = run(program, Way(h2_gateway.proxy_url, h2_gateway.ca, key), "one")
    assert told == "refused: AccessDeniedException: Client is unknown or has no access to service"
    assert len(clouds.transcribe.talks) == before


def test_a_stream_one_way(go_program: Callable, through: Way, clouds: Clouds, h2_team: Team, h2_key: Key):
    """Kinesis' subscribers speak it where they can; the cloud is asked over HTTP/1.1. No event waits for the next."""
    spoken = threading.Event()

    def answer(exchange: Exchange, _: Arrival) -> bool:
        head = (
            "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        exchange.send(head.encode())
        for data in (event("initial-response", b"{}"), *map(records, WORDS)):
            exchange.send(b"%x\r\n%b\r\n" % (len(data), data))
        spoken.wait(30)
        exchange.send(b"0\r\n\r\n")
        return True

    clouds.answer = answer
    child = start([go_program("subscribe")], through, "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1")
    assert child.stdout is not None
    assert [child.stdout.readline().rstrip() for _ in WORDS] == WORDS
    spoken.set()
    assert child.communicate(timeout=30)[0].splitlines() == ["ended"]
    assert clouds.other.arrivals[-1].wrong is None
    query = f"request={h2_key.request}&operation=SubscribeToShard"
    [record] = wait_until(lambda: h2_team.admin.calls(query), 10, "its record")
    assert record["outcome"] == "allowed"


def records(word: str) -> bytes:
    record = {"Data": base64.b64encode(word.encode()).decode(), "PartitionKey": "k", "SequenceNumber": "1"}
    told = {"Records": [record], "ContinuationSequenceNumber": "1", "MillisBehindLatest": 0}
    return event("SubscribeToShardEvent", json.dumps(told).encode())


# --- Calls without streams ------------------------------------------------------------------------------------------


def test_curl(through: Way, clouds: Clouds):
    headers = [word for name, value in LIST_STREAMS.items() for word in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        [
            "curl", "-sS", "--http2", "--aws-sigv4", "aws:amz:us-east-1:kinesis", "-u",
            f"{through.key.id}:{through.key.secret}", *headers, "-d", "{}", "-w", " %{http_version} %{http_code}",
            f"https://{KINESIS}/",
        ],
        env=through.environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "{} 2 200", done.stderr
    assert clouds.other.arrivals[-1].wrong is None


def signed(key: Key, **headers: str) -> dict[str, str]:
    request = AWSRequest("POST", f"https://{KINESIS}/", {**LIST_STREAMS, **headers}, data=b"{}")
    SigV4Auth(Credentials(key.id, key.secret), "kinesis", "us-east-1").add_auth(request)
    return dict(request.headers)


def test_many_calls_on_one_connection(through: Way, clouds: Clouds, monkeypatch: pytest.MonkeyPatch):
    """httpx speaks it, and botocore signs; crumbs of cookies are signed as one header."""
    before = len(clouds.other.arrivals)
    with httpx.Client(
        http2=True, proxy=through.proxy_url, verify=ssl.create_default_context(cafile=through.ca)
    ) as client:
        for number in range(50):
            cookie = {"cookie": "a=1; b=2"} if number % 2 else {}
            answer = client.post(f"https://{KINESIS}/", headers=signed(through.key, **cookie), content=b"{}")
            assert (answer.http_version, answer.status_code, answer.content) == ("HTTP/2", 200, b"{}")
        wrong = client.post(f"https://{KINESIS}/", headers=signed(Key(through.key.id, "x" * 40)), content=b"{}")
        assert wrong.status_code == 403
        assert wrong.json()["__type"].endswith("InvalidSignatureException")
    arrived = clouds.other.arrivals[before:]
    assert [arrival.wrong for arrival in arrived] == [None] * 50
    assert arrived[1].headers["cookie"] == "a=1; b=2"


@pytest.mark.skipif(not CRT.is_dir(), reason="there is no awscrt")
def test_crt(through: Way, clouds: Clouds):
    """AWS's library in C, under several SDKs: its own HTTP/2, through a tunnel."""
    calls = [signed(through.key), signed(Key(through.key.id, "x" * 40)), signed(through.key, expect="100-continue")]
    before = len(clouds.other.arrivals)
    [right, wrong, waiting] = call_over_http2(through, KINESIS, calls, b"{}")
    assert (right, waiting) == (["Http2", 200, "{}"], ["Http2", 200, "{}"])
    assert wrong[:2] == ["Http2", 403] and "InvalidSignatureException" in wrong[2]
    arrived = clouds.other.arrivals[before:]
    assert [arrival.wrong for arrival in arrived] == [None, None]
    assert "expect" not in arrived[1].headers


def test_an_upload_that_waits_to_be_told_to_go_on(through: Way, clouds: Clouds, tmp_path: Path):
    """curl waits for a minute, or for what it is told."""
    upload = tmp_path / "upload"
    upload.write_bytes(b'{"Data": "' + b"x" * 5_000_000 + b'"}')

    sha256 = hashlib.sha256(upload.read_bytes()).hexdigest()

    def put(secret: str) -> tuple[str, float]:
        begun = time.monotonic()
        done = subprocess.run(
            [
                "curl", "-sS", "--http2", "--aws-sigv4", "aws:amz:us-east-1:kinesis", "-u", f"{through.key.id}:{secret}",
                "-H", "Content-Type: application/x-amz-json-1.1", "-H", "X-Amz-Target: Kinesis_20131202.PutRecord",
                "-H", f"X-Amz-Content-Sha256: {sha256}", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "--data-binary", f"@{upload}",
                "-w", " %{http_version} %{http_code} %{size_upload}", f"https://{KINESIS}/",
            ],
            env=through.environment(), capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout, time.monotonic() - begun

    told, seconds = put(through.key.secret)
    assert told == f"{{}} 2 200 {upload.stat().st_size}"
    assert seconds < 50, "it was told, and did not have to give up waiting"
    assert clouds.other.arrivals[-1].wrong is None
    assert "expect" not in clouds.other.arrivals[-1].headers
    told, seconds = put("x" * 40)
    assert "InvalidSignatureException" in told and told.endswith(" 2 403 0"), told
    assert seconds < 50


# --- Floods ---------------------------------------------------------------------------------------------------------


def test_a_flood_of_resets_ends_its_connection_and_costs_no_memory(
    h2_gateway: Gateway, through: Way, clouds: Clouds, say: Callable
):
    """CVE-2023-44487: streams begun and reset at once, as fast as they go."""
    process = h2_gateway.running()
    flood(h2_gateway)
    before = process.status_kib("VmRSS")
    sent = [flood(h2_gateway) for _ in range(30)]
    grown = process.status_kib("VmRSS") - before
    say(f"30 floods of resets ended after {sum(sent)} streams in all; memory grew by {grown} KiB")
    assert grown < 8 * 1024
    # Others are served as ever.
    test_curl(through, clouds)


def flood(gateway: Gateway, most: int = 20_000) -> int:
    """How many streams it could begin."""
    with tunnel(gateway.address, gateway.ca, KINESIS, alpn=("h2",)) as connection:
        client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        client.initiate_connection()
        head = [(":method", "POST"), (":scheme", "https"), (":authority", KINESIS), (":path", "/")]
        count = 0
        try:
            while count < most:
                for _ in range(500):
                    number = client.get_next_available_stream_id()
                    client.send_headers(number, head)
                    client.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
                    count += 1
                connection.send(client.data_to_send())
        except OSError:
            return count
    raise AssertionError("was never told to go away")


def test_a_client_that_opens_no_window_costs_little_memory(
    h2_gateway: Gateway, h2_team: Team, through: Way, clouds: Clouds, say: Callable
):
    """As many streams as one connection may have, each with a large answer of which nothing is ever taken."""
    streams, large = 100, b"x" * (4 << 20)

    def answer(exchange: Exchange, _: Arrival) -> bool:
        exchange.answer(large)
        return True

    clouds.answer = answer
    key, process = h2_team.grant("kinesis"), h2_gateway.running()
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    no_window = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}
    client.local_settings = h2.settings.Settings(client=True, initial_values=no_window)
    client.initiate_connection()
    with tunnel(h2_gateway.address, h2_gateway.ca, KINESIS, alpn=("h2",)) as connection:

        def numbers_of(kind: type) -> Iterator[int]:
            while data := connection.socket.recv(1 << 16):
                for come in client.receive_data(data):
                    if isinstance(come, kind):
                        yield come.stream_id
                connection.send(client.data_to_send())

        process.forget_peak()
        before = process.status_kib("VmRSS")
        for _ in range(streams):
            number = client.get_next_available_stream_id()
            head = {":method": "POST", ":scheme": "https", ":authority": KINESIS, ":path": "/", **signed(key)}
            client.send_headers(number, [(name.lower(), value) for name, value in head.items() if name != "Host"])
            client.send_data(number, b"{}", end_stream=True)
        connection.send(client.data_to_send())
        begun = {number for _, number in zip(range(streams), numbers_of(h2.events.ResponseReceived), strict=False)}
        grown = process.status_kib("VmHWM") - before
        say(f"{streams} answers of 4 MiB, none of them taken: memory grew by {grown} KiB at most")
        assert len(begun) == streams
        assert grown < streams * 256
        # What holds them ends with the access.
        revoked = time.monotonic()
        h2_team.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
        ended = {number for _, number in zip(range(streams), numbers_of(h2.events.StreamReset), strict=False)}
        assert time.monotonic() - revoked < PROMISED_SECONDS
        assert ended == begun
    clouds.answer = None
    test_curl(through, clouds)

"""Event streams that end before their time: whatever was already sent, the SDK raises a typed error with its message."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.cloud import Exchange, Key, ScriptedCloud
from harness.events import event
from harness.gateway import Team
from harness.spoken import S3

NOT_ACTIVE = "Client is not Active"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
LIMIT_SECONDS = 5
BYTES = "application/octet-stream"


@dataclass(frozen=True)
class Streamed:
    """An operation that answers with events: the first of them, and what the SDK makes of it."""

    service: str
    call: str
    member: str
    parameters: dict[str, Any]
    first: bytes
    read: Any
    host: str
    # Where the operation is called by its name, this comes before all events.
    initial: bytes = b""
    codes: tuple[str, str] = ("AccessDeniedException", "InvalidSignatureException")
    settings: dict[str, Any] = field(default_factory=dict)


INITIAL = event("initial-response", b"{}", "application/x-amz-json-1.1")
SHARD = {"ContinuationSequenceNumber": "1", "MillisBehindLatest": 0, "Records": []}
STREAMS = {
    "rest-json": Streamed(
        "lambda",
        "invoke_with_response_stream",
        "EventStream",
        {"FunctionName": "f"},
        event("PayloadChunk", b"part", BYTES),
        {"PayloadChunk": {"Payload": b"part"}},
        "lambda.us-east-1.amazonaws.com",
    ),
    "s3": Streamed(
        "s3",
        "select_object_content",
        "Payload",
        {
            "Bucket": "bucket",
            "Key": "key",
            "Expression": "select * from s3object",
            "ExpressionType": "SQL",
            "InputSerialization": {"CSV": {}},
            "OutputSerialization": {"CSV": {}},
        },
        event("Records", b"a,b\n", BYTES),
        {"Records": {"Payload": b"a,b\n"}},
        "s3.amazonaws.com",
        codes=("AccessDenied", "SignatureDoesNotMatch"),
        settings=S3,
    ),
    "json 1.1": Streamed(
        "kinesis",
        "subscribe_to_shard",
        "EventStream",
        {
            "ConsumerARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1",
            "ShardId": "shardId-000000000000",
            "StartingPosition": {"Type": "LATEST"},
        },
        event("SubscribeToShardEvent", json.dumps(SHARD).encode()),
        {"SubscribeToShardEvent": SHARD},
        "123456789012.data-kinesis.us-east-1.amazonaws.com",
        INITIAL,
    ),
    "json 1.1, a host of its own": Streamed(
        "logs",
        "start_live_tail",
        "responseStream",
        {"logGroupIdentifiers": ["arn:aws:logs:us-east-1:123456789012:log-group:g"]},
        event("sessionStart", b'{"sessionId": "s"}'),
        {"sessionStart": {"sessionId": "s"}},
        "stream-logs.us-east-1.amazonaws.com",
        INITIAL,
    ),
}
every_stream = pytest.mark.parametrize("streamed", STREAMS.values(), ids=STREAMS)


class Script:
    """A cloud that sends what it is given, and then waits, or breaks off."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.go_on = threading.Event()
        self.breaks_off = False

    def begin(self, *parts: bytes, breaks_off: bool = False) -> None:
        self.parts, self.go_on, self.breaks_off = list(parts), threading.Event(), breaks_off

    def __call__(self, exchange: Exchange) -> None:
        exchange.read_body()
        kind = "application/vnd.amazon.eventstream"
        exchange.send(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        for part in filter(None, self.parts):
            exchange.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        if self.breaks_off:
            self.go_on.wait(30)
            exchange.connection.shutdown(socket.SHUT_RDWR)
        exchange.peer_is_gone(30)


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def streaming(script: Script, certificates: CloudCertificates, make_gateway: Callable) -> Iterator[Team]:
    cloud = ScriptedCloud(certificates, script)
    yield Team(make_gateway({"*.amazonaws.com": cloud.address}))
    cloud.stop()


def client(team: Team, key: Key, streamed: Streamed) -> Any:
    return Way(team.gateway.proxy_url, team.gateway.ca, key).boto3(streamed.service, **streamed.settings)


def events(client: Any, streamed: Streamed) -> Iterator[Any]:
    return iter(getattr(client, streamed.call)(**streamed.parameters)[streamed.member])


def last(events: Iterator[Any]) -> tuple[str, str]:
    with pytest.raises(EventStreamError) as raised:
        next(events)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def revoke(team: Team, key: Key) -> datetime:
    team.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
    return datetime.now(UTC)


@every_stream
def test_refused_before_its_first_byte(streamed: Streamed, streaming: Team):
    key = streaming.grant(streamed.service)
    with pytest.raises(ClientError) as raised:
        events(client(streaming, Key(key.id, "wrong"), streamed), streamed)
    error = raised.value.response["Error"]
    assert (error["Code"], error["Message"]) == (streamed.codes[1], MISMATCH)


@every_stream
def test_access_that_ends_between_events(streamed: Streamed, streaming: Team, script: Script):
    """In the midst of one, which nobody misses."""
    script.begin(streamed.initial, streamed.first, streamed.first[:20])
    key = streaming.grant(streamed.service)
    coming = events(client(streaming, key, streamed), streamed)
    assert next(coming) == streamed.read
    began = revoke(streaming, key)
    assert last(coming) == (streamed.codes[0], NOT_ACTIVE)
    assert datetime.now(UTC) - began < timedelta(seconds=LIMIT_SECONDS)


@every_stream
@pytest.mark.parametrize("part", [0, 20])
def test_access_that_ends_before_the_first_event(part: int, streamed: Streamed, streaming: Team, script: Script):
    """The status has gone. Where an initial response comes first, an SDK reads nothing before it."""
    script.begin((streamed.initial or streamed.first)[:part])
    key = streaming.grant(streamed.service)
    asking, begun = client(streaming, key, streamed), threading.Event()
    asking.meta.events.register("before-parse", lambda **_: begun.set())
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(lambda: last(events(asking, streamed)))
        assert begun.wait(30), "the answer has begun"
        began = revoke(streaming, key)
        assert told.result(30) == (streamed.codes[0], NOT_ACTIVE)
    assert datetime.now(UTC) - began < timedelta(seconds=LIMIT_SECONDS)


@every_stream
def test_a_stream_that_the_cloud_breaks_off(streamed: Streamed, streaming: Team, script: Script):
    script.begin(streamed.initial, streamed.first, streamed.first[:20], breaks_off=True)
    coming = events(client(streaming, streaming.grant(streamed.service), streamed), streamed)
    assert next(coming) == streamed.read
    script.go_on.set()
    assert last(coming) == ("ServiceUnavailable", f"{streamed.host} could not be reached: the stream broke off")

"""Every refusal in every protocol: the SDK raises its typed error, with the message intact, and tries no second time."""

import binascii
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError, EventStreamError

from harness.clients import Refusal, Way, refusal
from harness.cloud import Exchange, Key, StrictMoto
from harness.gateway import Team

NO_ACCESS = "Client is unknown or has no access to service"
NOT_ACTIVE = "Client is not Active"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
UNRECOGNISED = "The operation of this request could not be recognised, so the gateway cannot allow it"
LIMIT_SECONDS = 5


@dataclass(frozen=True)
class Spoken:
    """A way of speaking with the cloud, and how its errors are worded: json, xml or s3; head where nothing but the
    status comes."""

    service: str
    call: str
    words: str
    parameters: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    in_cbor: bool = False
    # One that hands out credentials.
    handing: tuple[str, str, dict[str, Any]] | None = None

    def client(self, way: Way, **settings: Any):
        with botocore_prefers_cbor() if self.in_cbor else nullcontext():
            client = way.boto3(self.service, **(self.settings | settings))
        if self.in_cbor:
            assert client.meta.service_model.resolved_protocol == "smithy-rpc-v2-cbor"
        return client

    def code(self, in_json: str, in_xml: str, in_s3: str, status: int = 403) -> str:
        return {"json": in_json, "xml": in_xml, "s3": in_s3, "head": str(status)}[self.words]

    def message(self, message: str, status: int = 403) -> str:
        return message if self.words != "head" else {400: "Bad Request", 403: "Forbidden"}[status]


@contextmanager
def botocore_prefers_cbor() -> Iterator[None]:
    """No setting makes botocore speak CBOR where the service takes JSON, too."""
    first = ("smithy-rpc-v2-cbor", "json", "rest-json", "rest-xml", "query", "ec2")
    with mock.patch("botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", first):
        yield


S3 = {
    "s3": {"addressing_style": "path", "payload_signing_enabled": True},
    "request_checksum_calculation": "when_required",
}
OBJECT = {"Bucket": "bucket", "Key": "key"}
EVERYTHING = {
    "json 1.0": Spoken("dynamodb", "list_tables", "json"),
    "json 1.1": Spoken(
        "ecr", "describe_repositories", "json", handing=("get_authorization_token", "GetAuthorizationToken", {})
    ),
    "json, once query": Spoken("sqs", "list_queues", "xml"),
    "cbor": Spoken(
        "codebuild",
        "list_projects",
        "json",
        in_cbor=True,
        handing=("start_sandbox_connection", "StartSandboxConnection", {"sandboxId": "s"}),
    ),
    "cbor, once query": Spoken("cloudwatch", "list_metrics", "xml", in_cbor=True),
    "rest-json": Spoken(
        "codeartifact",
        "list_domains",
        "json",
        handing=("get_authorization_token", "GetAuthorizationToken", {"domain": "domain"}),
    ),
    "query": Spoken(
        "sts",
        "get_caller_identity",
        "xml",
        handing=(
            "assume_role",
            "AssumeRole",
            {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "session"},
        ),
    ),
    "ec2": Spoken(
        "ec2",
        "describe_regions",
        "xml",
        handing=("get_password_data", "GetPasswordData", {"InstanceId": "i-0123456789abcdef0"}),
    ),
    "rest-xml": Spoken("route53", "list_hosted_zones", "xml"),
    "rest-xml, other": Spoken("cloudfront", "list_distributions", "xml"),
    "s3control": Spoken("s3control", "list_regional_buckets", "xml", {"AccountId": "123456789012"}),
    "s3 get": Spoken(
        "s3", "get_object", "s3", OBJECT, S3, handing=("create_session", "CreateSession", {"Bucket": "b"})
    ),
    "s3 put": Spoken("s3", "put_object", "s3", OBJECT | {"Body": b"x" * 1000}, S3),
    "s3 head": Spoken("s3", "head_object", "head", OBJECT, S3),
}
every_protocol = pytest.mark.parametrize("spoken", EVERYTHING.values(), ids=EVERYTHING)


@pytest.fixture(scope="module")
def granted(team: Team) -> Key:
    return team.grant(*sorted({spoken.service for spoken in EVERYTHING.values()}))


@pytest.fixture(scope="module")
def through(way: Way, granted: Key) -> Way:
    return way.with_key(granted)


def refused(
    spoken: Spoken, way: Way, *, event: str | None = None, change: Callable[[Any], None] | None = None, **settings: Any
) -> Refusal:
    """Makes the call, which has to fail with a typed error, at once; `change` changes its request at this event."""
    client = spoken.client(way, **settings)
    if event:
        client.meta.events.register(event, lambda request, **_: change(request))
    return looked_at(spoken, client, spoken.call, spoken.parameters)


def looked_at(spoken: Spoken, client: Any, call: str, parameters: dict[str, Any]) -> Refusal:
    got = refusal(getattr(client, call), **parameters)
    assert 400 <= got.status < 500
    assert got.retries == 0, "no retry can mend it"
    assert got.request_id
    assert got.headers["x-amzn-requestid"] == got.request_id
    assert got.type in ("ClientError", got.code), "an error that the service's own model has may be of its own type"
    if spoken.words in ("s3", "head"):
        assert got.headers["x-amz-request-id"] == got.request_id
        assert got.headers["x-amz-id-2"]
    return got


def told(got: Refusal) -> tuple[int, str, str]:
    return got.status, got.code, got.message


def denied(spoken: Spoken, message: str) -> tuple[int, str, str]:
    return 403, spoken.code("AccessDeniedException", "AccessDenied", "AccessDenied"), spoken.message(message)


@every_protocol
def test_unknown_key(spoken: Spoken, through: Way):
    got = refused(spoken, through.with_key(Key("AKIAUNKNOWNUNKNOWN00", through.key.secret)))
    code = spoken.code("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId")
    assert told(got) == (403, code, spoken.message(NO_ACCESS))


@every_protocol
def test_wrong_secret(spoken: Spoken, through: Way):
    got = refused(spoken, through.with_key(Key(through.key.id, "wrong")))
    code = spoken.code("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")
    assert told(got) == (403, code, spoken.message(MISMATCH))


@pytest.fixture(scope="module")
def other_service(team: Team, way: Way) -> Way:
    return way.with_key(team.grant("glacier"))


@every_protocol
def test_service_not_granted(spoken: Spoken, other_service: Way):
    assert told(refused(spoken, other_service)) == denied(spoken, NO_ACCESS)


@pytest.fixture(scope="module")
def ended(team: Team, way: Way) -> Way:
    key = team.grant(*sorted({spoken.service for spoken in EVERYTHING.values()}))
    team.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
    return way.with_key(key)


@every_protocol
def test_key_that_is_not_active(spoken: Spoken, ended: Way):
    assert told(refused(spoken, ended)) == denied(spoken, NOT_ACTIVE)


@every_protocol
@pytest.mark.parametrize("minutes", [-16, 16])
def test_clock_off(minutes: int, spoken: Spoken, through: Way):
    there = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: there):
        got = refused(spoken, through)
    code = spoken.code("InvalidSignatureException", "RequestTimeTooSkewed", "RequestTimeTooSkewed")
    assert (got.status, got.code) == (403, code)
    if spoken.words != "head":
        times = re.findall(r"\d{4}-?\d\d-?\d\dT\d\d:?\d\d:?\d\d", got.message)
        assert there.strftime("%Y%m%dT%H%M%S") in [re.sub("[-:]", "", time) for time in times], got.message
        assert len(set(times)) == 2, got.message


@every_protocol
def test_changed_on_the_way(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["X-Amz-Date"] = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y%m%dT%H%M%SZ")

    got = refused(spoken, through, event="before-send", change=change)
    code = spoken.code("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")
    assert told(got) == (403, code, spoken.message(MISMATCH))


@every_protocol
def test_a_header_that_had_to_be_signed(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["X-Amz-Meta-Evil"] = "1"

    got = refused(spoken, through, event="before-send", change=change)
    code = spoken.code("IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed", 400)
    said = "There were headers present in the request which were not signed: x-amz-meta-evil"
    assert told(got) == (400, code, spoken.message(said, 400))


@every_protocol
def test_a_host_other_than_the_tunnels(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["Host"] = "kms.us-east-1.amazonaws.com"

    got = refused(spoken, through, event="before-send", change=change)
    code = spoken.code("SerializationException", "MalformedInput", "InvalidRequest", 400)
    assert (got.status, got.code) == (400, code)
    if spoken.words != "head":
        assert re.fullmatch(r"The request must name [\w.-]+ in its one Host header, as the tunnel does", got.message)


@every_protocol
def test_not_signed(spoken: Spoken, through: Way):
    got = refused(spoken, through, signature_version=UNSIGNED)
    code = spoken.code("MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied")
    assert told(got) == (403, code, spoken.message("Missing Authentication Token"))


@every_protocol
def test_signed_in_another_way(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["Authorization"] = "AWS AKIAIOSFODNN7EXAMPLE:c2lnbmF0dXJl"

    got = refused(spoken, through, event="before-send", change=change)
    assert (got.status, got.code) == denied(spoken, "")[:2]
    assert "AWS4-HMAC-SHA256" in got.message or spoken.words == "head"


@every_protocol
def test_scope_of_another_service(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        authorization = request.headers["Authorization"].decode()
        request.headers["Authorization"] = re.sub(r"/[\w-]+/aws4_request", "/kms/aws4_request", authorization)

    client = spoken.client(through)
    client.meta.events.register("before-send", lambda request, **_: change(request))
    got = looked_at(spoken, client, spoken.call, spoken.parameters)
    code = spoken.code("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")
    assert (got.status, got.code) == (403, code)
    assert got.message.startswith("Credential should be scoped to correct service: '") or spoken.words == "head"


@every_protocol
def test_what_cannot_be_named(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["X-HTTP-Method-Override"] = "DELETE"

    assert told(refused(spoken, through, event="before-sign", change=change)) == denied(spoken, UNRECOGNISED)


@pytest.mark.parametrize(
    "spoken",
    [pytest.param(spoken, id=name) for name, spoken in EVERYTHING.items() if spoken.handing],
)
def test_what_hands_out_credentials(spoken: Spoken, through: Way, cloud: StrictMoto):
    assert spoken.handing
    method, operation, parameters = spoken.handing
    seen = len(cloud.verdicts())
    got = looked_at(spoken, spoken.client(through), method, parameters)
    said = f"Action '{operation}' would hand out cloud credentials and is not allowed by this access request"
    assert told(got) == denied(spoken, said)
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"


# By setting: what has to be read has to be in memory; what has to be hashed may be in a file.
LIMITS = {
    "max_buffered_body": (1 << 20, ["query", "ec2"]),
    "max_spooled_body": (2 << 20, ["json 1.0", "json 1.1", "json, once query", "cbor"]),
}


@pytest.fixture(scope="module")
def frugal(make_gateway: Callable, cloud: StrictMoto) -> Way:
    """Through a gateway that holds little."""
    settings = {name: f"{limit >> 20}MiB" for name, (limit, _) in LIMITS.items()}
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}, {"gateway": settings}))
    key = team.grant(*sorted({spoken.service for spoken in EVERYTHING.values()}))
    return Way(team.gateway.proxy_url, team.gateway.ca, key)


@pytest.mark.parametrize(
    ("name", "setting"), [(name, setting) for setting, (_, names) in LIMITS.items() for name in names]
)
def test_a_body_over_the_limit(name: str, setting: str, frugal: Way, cloud: StrictMoto):
    """Where the body has to be held."""
    limit = LIMITS[setting][0]

    def change(request: Any) -> None:
        request.data = b"x" * (limit + 1)

    seen = len(cloud.verdicts())
    got = refused(EVERYTHING[name], frugal, event="before-sign", change=change)
    assert (got.status, got.code) == (413, "RequestEntityTooLarge")
    assert str(limit) in got.message
    assert f"gateway.{setting}" in got.message
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"


def test_an_upload_that_is_not_what_its_hash_says(through: Way):
    def change(request: Any) -> None:
        request.body = b"y" + b"x" * 999

    got = refused(EVERYTHING["s3 put"], through, event="before-send", change=change)
    said = "The provided 'x-amz-content-sha256' header does not match what was computed."
    assert told(got) == (403, "XAmzContentSHA256Mismatch", said)


@pytest.fixture(scope="module")
def nowhere(make_gateway: Callable, way: Way) -> Way:
    """Through a gateway that can't reach the cloud."""
    team = Team(make_gateway({"*.amazonaws.com": "127.0.0.1:1"}))
    key = team.grant(*sorted({spoken.service for spoken in EVERYTHING.values()}))
    return Way(team.gateway.proxy_url, team.gateway.ca, key)


@every_protocol
def test_the_cloud_cannot_be_reached(spoken: Spoken, nowhere: Way):
    """A retry may mend that, so SDKs try again; here they may not."""
    client = spoken.client(nowhere, retries={"total_max_attempts": 1})
    got = refusal(getattr(client, spoken.call), **spoken.parameters)
    assert (got.status, got.code) == (502, spoken.code(*["ServiceUnavailable"] * 3, 502))
    assert got.headers["x-amzn-requestid"]
    host = client.meta.endpoint_url.removeprefix("https://")
    assert f"{host.split('.')[0]}" in got.message or spoken.words == "head"
    assert "could not be reached" in got.message or spoken.words == "head"


# Event streams


def event(headers: dict[str, str], payload: bytes) -> bytes:
    """Frames an event as botocore reads it."""
    block = b"".join(
        struct.pack("!B", len(name)) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", len(block) + len(payload) + 16, len(block))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + block + payload
    return message + struct.pack("!I", binascii.crc32(message))


class Stream:
    """A cloud that sends an event and half of the next one, and then waits, or breaks off."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.breaks_off = False

    def __call__(self, exchange: Exchange) -> None:
        exchange.read_body()
        kind = "application/vnd.amazon.eventstream"
        exchange.send(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        told = {":message-type": "event", ":event-type": "PayloadChunk", ":content-type": "application/octet-stream"}
        whole = event(told, b"part")
        for part in (whole, whole[:20]):
            exchange.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        if self.breaks_off:
            self.go_on.wait(30)
            exchange.connection.shutdown(socket.SHUT_RDWR)
        exchange.peer_is_gone(30)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def streaming(stream: Stream, scripted: Callable, make_gateway: Callable) -> Team:
    return Team(make_gateway({"*.amazonaws.com": scripted(stream).address}))


def invoked(team: Team, key: Key) -> Iterator[Any]:
    client = Way(team.gateway.proxy_url, team.gateway.ca, key).boto3("lambda")
    events = iter(client.invoke_with_response_stream(FunctionName="f")["EventStream"])
    assert next(events) == {"PayloadChunk": {"Payload": b"part"}}
    return events


def last(events: Iterator[Any]) -> tuple[str, str]:
    with pytest.raises(EventStreamError) as raised:
        next(events)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_stream_before_its_first_byte(streaming: Team):
    key = streaming.grant("lambda")
    way = Way(streaming.gateway.proxy_url, streaming.gateway.ca, Key(key.id, "wrong"))
    with pytest.raises(ClientError) as raised:
        way.boto3("lambda").invoke_with_response_stream(FunctionName="f")
    error = raised.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("InvalidSignatureException", MISMATCH)


def test_a_stream_whose_access_ends(streaming: Team):
    key = streaming.grant("lambda")
    events = invoked(streaming, key)
    streaming.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
    began = datetime.now(UTC)
    assert last(events) == ("AccessDeniedException", NOT_ACTIVE)
    assert datetime.now(UTC) - began < timedelta(seconds=LIMIT_SECONDS)


def test_a_stream_that_the_cloud_breaks_off(streaming: Team, stream: Stream):
    stream.breaks_off = True
    events = invoked(streaming, streaming.grant("lambda"))
    stream.go_on.set()
    said = "lambda.us-east-1.amazonaws.com could not be reached: the stream broke off"
    assert last(events) == ("ServiceUnavailable", said)

"""A cloud that knows no service: it checks each signature with botocore's own signer, writes down what came, and
answers with as little as the protocol allows.

For what moto lacks, and for what no memory could hold: a body is hashed as it comes, and thrown away. A chunked upload
is unwrapped on the way, its chunk signatures and its checksum checked. What is answered beyond that, a test says.
"""

import base64
import hashlib
import hmac
import io
import itertools
import re
import ssl
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sigv4_verifier import signing_key

from . import asymmetric
from .certificates import CloudCertificates
from .cloud import REAL_KEY, Exchange, ScriptedCloud
from .wire import read_head

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
S3_SIGNING_NAMES = {"s3", "s3-object-lambda", "s3-outposts", "s3express"}
MOST_KEPT = 1 << 20
NUMBERS = itertools.count()
PIECE = 1 << 18
SKEW_SECONDS = 15 * 60


class Wrong(Exception):
    """Why a request is not rightly signed, or not whole."""


@dataclass
class Arrival:
    """One request as the cloud saw it."""

    method: str
    host: str
    target: str
    headers: dict[str, str]
    service: str = ""
    region: str = ""
    payload: str = ""
    body: bytes = b""  # the first of it, unwrapped
    length: int = 0
    sha256: str = ""
    md5: str = ""
    trailers: dict[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: f"recorded-{next(NUMBERS)}")  # by which a record tells of it
    wrong: str | None = None  # why it counts as refused
    whole: bool = False  # came to its end, and all of it is as declared

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class RecordingCloud:
    """`answer` may say something of its own; false leaves the answer to this. Who asks where a bucket is, without a
    signature, is told `region`."""

    def __init__(
        self,
        certificates: CloudCertificates,
        answer: Callable[[Exchange, Arrival], bool] | None = None,
        region: str = "us-east-1",
    ):
        self.arrivals: list[Arrival] = []
        self.asked_where: list[str] = []
        self.region = region
        self.own_answer = answer
        self.server = ScriptedCloud(certificates, self.serve)
        self.address = self.server.address

    def stop(self) -> None:
        self.server.stop()

    def serve(self, exchange: Exchange) -> None:
        method, _, rest = exchange.head.decode("latin-1").partition("\r\n")[0].partition(" ")
        headers = exchange.headers
        arrival = Arrival(method, headers.get("host", ""), rest.rpartition(" ")[0], headers)
        if is_question(arrival):
            self.asked_where.append(arrival.path.removeprefix("/"))
            exchange.answer(b"", "403 Forbidden", f"x-amz-bucket-region: {self.region}\r\n")
            return
        self.arrivals.append(arrival)
        try:
            take(arrival, exchange)
        except Wrong as reason:
            arrival.wrong = str(reason)
        if arrival.wrong == BROKEN_OFF:
            raise ConnectionError
        if arrival.wrong:
            exchange.answer(f"{arrival.wrong}".encode(), "403 Forbidden", "connection: close\r\n")
            raise ConnectionError
        if not self.own_answer or not self.own_answer(exchange, arrival):
            exchange.send(least_answer(arrival))


def is_question(arrival: Arrival) -> bool:
    """HeadBucket as nobody signs it: S3 tells anybody where a bucket is."""
    at_s3 = re.fullmatch(r"s3\.[a-z0-9-]+\.amazonaws\.com", arrival.host) and arrival.target.count("/") == 1
    return bool(at_s3 and arrival.method == "HEAD" and "authorization" not in arrival.headers)


BROKEN_OFF = "broken off"


def take(arrival: Arrival, exchange: Exchange) -> None:
    """Reads and checks a request; what was wrong with its head is told after its body came."""
    headers = arrival.headers
    if headers.get("expect", "").lower() == "100-continue":
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    authorization = headers.get("authorization", "")
    claim = AUTHORIZATION.fullmatch(authorization) or asymmetric.AUTHORIZATION.fullmatch(authorization)
    body = io.BufferedReader(Framed(exchange.reader, headers), PIECE)
    payload = arrival.payload = headers.get("x-amz-content-sha256", "")
    if claim:
        arrival.service, arrival.region = claim["service"], region_of(arrival, claim)
    digest, md5 = hashlib.sha256(), hashlib.md5()
    checksum = 0
    pieces = (
        unwrapped(body, arrival, claim) if payload.startswith("STREAMING-") else iter(lambda: body.read(PIECE), b"")
    )
    for piece in pieces:
        digest.update(piece)
        md5.update(piece)
        checksum = zlib.crc32(piece, checksum)
        arrival.length += len(piece)
        arrival.body += piece[: MOST_KEPT - len(arrival.body)]
    arrival.sha256, arrival.md5 = digest.hexdigest(), md5.hexdigest()
    check_payload(arrival, checksum)
    check_signature(arrival, claim)
    arrival.whole = True


def check_payload(arrival: Arrival, checksum: int) -> None:
    if re.fullmatch("[0-9a-f]{64}", arrival.payload) and arrival.payload != arrival.sha256:
        raise Wrong("x-amz-content-sha256 is not the body's")
    decoded = arrival.headers.get("x-amz-decoded-content-length", str(arrival.length))
    if decoded != str(arrival.length):
        raise Wrong(f"{arrival.length} bytes came, {decoded} were announced")
    md5 = base64.b64encode(bytes.fromhex(arrival.md5)).decode()
    if arrival.headers.get("content-md5", md5) != md5:
        raise Wrong("Content-MD5 is not the body's")
    expected = base64.b64encode(checksum.to_bytes(4, "big")).decode()
    for named in (arrival.headers, arrival.trailers):
        if named.get("x-amz-checksum-crc32", expected) != expected:
            raise Wrong("x-amz-checksum-crc32 is not the body's")
    announced = {name.strip() for name in arrival.headers.get("x-amz-trailer", "").lower().split(",")} - {""}
    if announced != set(arrival.trailers) - {"x-amz-trailer-signature"}:
        raise Wrong(f"trailers {sorted(arrival.trailers)}, announced {sorted(announced)}")


def check_signature(arrival: Arrival, claim: re.Match | None) -> None:
    """Signs what came once more with botocore, and compares."""
    if claim is None:
        raise Wrong("not signed: " + arrival.headers.get("authorization", "no Authorization")[:80])
    if claim["key"] != REAL_KEY.id:
        raise Wrong(f"signed with {claim['key']}")
    date = arrival.headers.get("x-amz-date", "")
    signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if date[:8] != claim["date"] or abs((datetime.now(UTC) - signed_at).total_seconds()) > SKEW_SECONDS:
        raise Wrong(f"date {date}")
    signed = claim["signed"].split(";")
    unsigned = [name for name in arrival.headers if name.startswith("x-amz-") and name not in signed]
    if unsigned or "host" not in signed:
        raise Wrong(f"not signed: {unsigned or 'host'}")
    s3 = claim["service"] in S3_SIGNING_NAMES and arrival.payload
    signer = botocore.auth.S3SigV4Auth if s3 else botocore.auth.SigV4Auth
    auth = signer(Credentials(REAL_KEY.id, REAL_KEY.secret), claim["service"], arrival.region)
    headers = {name: arrival.headers[name] for name in signed if name in arrival.headers}
    if arrival.payload:
        headers.setdefault("x-amz-content-sha256", arrival.payload)
    elif claim["service"] == "s3":
        raise Wrong("S3 without x-amz-content-sha256")
    request = AWSRequest(arrival.method, f"https://{arrival.host}{arrival.target}", headers, data=arrival.body)
    request.context["timestamp"] = date
    canonical = auth.canonical_request(request)
    if claim.re is asymmetric.AUTHORIZATION:
        right = asymmetric.is_signed(REAL_KEY, date, claim["service"], canonical, claim["signature"])
    else:
        right = auth.signature(auth.string_to_sign(request, canonical), request) == claim["signature"]
    if not right:
        raise Wrong("the signature is not botocore's over\n" + canonical)


def region_of(arrival: Arrival, claim: re.Match) -> str:
    return claim.groupdict().get("region") or arrival.headers.get("x-amz-region-set", "")


class Framed(io.RawIOBase):
    """A body within its HTTP framing: of a length, or chunked."""

    def __init__(self, reader: BinaryIO, headers: dict[str, str]):
        self.reader = reader
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.left = 0 if self.chunked else int(headers.get("content-length", "0"))
        self.began = self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if self.left == 0 and self.chunked and not self.ended:
            if self.began:
                self.reader.readline()
            self.began = True
            line = self.reader.readline()
            if not line.endswith(b"\r\n"):
                raise Wrong(BROKEN_OFF)
            self.left = int(line.split(b";")[0], 16)
            if self.left == 0:
                self.ended = True
                read_head(self.reader)
        if self.left == 0:
            return 0
        try:
            got = self.reader.readinto1(memoryview(buffer)[: self.left])
        except (OSError, ssl.SSLError):
            got = 0
        if got == 0:
            raise Wrong(BROKEN_OFF)
        self.left -= got
        return got


def unwrapped(body: io.BufferedReader, arrival: Arrival, claim: re.Match | None) -> Iterator[bytes]:
    """The data of an aws-chunked body; its chunks' signatures and its trailers are checked on the way."""
    signed, trailing = "UNSIGNED" not in arrival.payload, arrival.payload.endswith("TRAILER")
    form = AUTHORIZATION if "HMAC" in arrival.payload else asymmetric.AUTHORIZATION
    if claim is None or (signed and claim.re is not form):
        raise Wrong("chunks without a signature that they could follow")
    algorithm = "AWS4-HMAC-SHA256" if form is AUTHORIZATION else asymmetric.ALGORITHM
    regional = f"{arrival.region}/" if form is AUTHORIZATION else ""
    scope = f"{claim['date']}/{regional}{claim['service']}/aws4_request"
    previous, nothing = claim["signature"], hashlib.sha256().hexdigest()

    def follows(kind: str, signature: str, *hashes: str) -> bool:
        words = "\n".join([f"{algorithm}-{kind}", arrival.headers["x-amz-date"], scope, previous, *hashes])
        if form is not AUTHORIZATION:
            return len(signature) == 144 and asymmetric.is_signature(REAL_KEY, words, signature.rstrip("*"))
        return signature == hmac.new(signing_key(REAL_KEY.secret, scope), words.encode(), hashlib.sha256).hexdigest()

    size = -1
    while size:
        head = re.fullmatch(rb"([0-9a-fA-F]+)(?:;chunk-signature=([0-9a-f]{64,144}\**))?\r\n", body.readline(200))
        if not head or bool(head[2]) != signed:
            raise Wrong("the head of a chunk")
        size = int(head[1], 16)
        data = body.read(size)
        if len(data) != size:
            raise Wrong("a chunk cut short")
        if signed:
            if not follows("PAYLOAD", head[2].decode(), nothing, hashlib.sha256(data).hexdigest()):
                raise Wrong("the signature of a chunk")
            previous = head[2].decode().rstrip("*")
        if size:
            yield data
            if body.read(2) != b"\r\n":
                raise Wrong("the end of a chunk")
    lines = [line for line in body.read(4096).decode().split("\r\n") if line]
    arrival.trailers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if signed and trailing:
        text = "".join(
            f"{name}:{arrival.trailers[name]}\n" for name in arrival.trailers if name != "x-amz-trailer-signature"
        )
        told = arrival.trailers.get("x-amz-trailer-signature", "")
        if not follows("TRAILER", told, hashlib.sha256(text.encode()).hexdigest()):
            raise Wrong("the signature of the trailer")


def least_answer(arrival: Arrival) -> bytes:
    """Success, in the protocol of the request, with nothing in it."""
    headers = arrival.headers
    kind, body = "application/json", b"{}"
    action = re.search(rb"(?:^|&)Action=(\w+)", arrival.body)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        kind, body = "application/cbor\r\nsmithy-protocol: rpc-v2-cbor", b"\xbf\xff"
    elif action and "json" not in headers.get("content-type", ""):
        name = action[1].decode()
        metadata = f"<ResponseMetadata><RequestId>{arrival.id}</RequestId></ResponseMetadata><requestId>{arrival.id}</requestId>"
        kind, body = "text/xml", f"<{name}Response><{name}Result/>{metadata}</{name}Response>".encode()
    elif arrival.service in {*S3_SIGNING_NAMES, "cloudfront", "route53"}:
        kind, body = "application/xml", b"<Nothing/>"
    if arrival.method == "HEAD":
        body = b""
    head = f'HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\netag: "recorded"\r\nx-amzn-requestid: {arrival.id}\r\n\r\n'
    return head.encode() + body

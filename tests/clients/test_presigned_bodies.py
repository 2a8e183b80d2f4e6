"""Presigned S3 URLs that say what the body has to be, in `X-Amz-Content-Sha256`: what botocore never writes, and AWS takes.

Made with botocore's signer all the same. The cloud is the recording one, which checks what arrives by itself.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness.certificates import CloudCertificates
from harness.chunks import HOST, SIGNED, UNSIGNED_TRAILER, flip
from harness.cloud import Key
from harness.gateway import Team
from harness.recording import Arrival, RecordingCloud
from harness.wire import Response, raw_request, tunnel

BODY = bytes(range(256)) * 4096
EMPTY = hashlib.sha256().hexdigest()


@pytest.fixture(scope="module")
def recording(certificates: CloudCertificates) -> Iterator[RecordingCloud]:
    cloud = RecordingCloud(certificates)
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def team(make_gateway: Callable, recording: RecordingCloud) -> Team:
    return Team(make_gateway({"*.amazonaws.com": recording.address}))


@pytest.fixture(scope="module")
def key(team: Team) -> Key:
    return team.grant("s3")


def presigned(key: Key, method: str, declared: str, headers: dict[str, str]) -> str:
    """The target of a URL with `X-Amz-Content-Sha256`, and these headers signed along."""

    class Declaring(S3SigV4QueryAuth):
        def payload(self, request: AWSRequest) -> str:
            return declared

    url = f"https://{HOST}/papers/a%20b?X-Amz-Content-Sha256={declared}"
    request = AWSRequest(method, url, headers={"Host": HOST, **headers})
    Declaring(Credentials(key.id, key.secret), "s3", "us-east-1", expires=60).add_auth(request)
    assert f"X-Amz-Content-Sha256={declared}" in request.url
    return request.url.removeprefix(f"https://{HOST}")


@pytest.fixture
def send(team: Team, key: Key, recording: RecordingCloud) -> Callable[..., tuple[Response, list[Arrival]]]:
    def ask(
        declared: str, body: bytes, signed: dict[str, str] | None = None, more: dict[str, str] | None = None,
        method: str = "PUT",
    ) -> tuple[Response, list[Arrival]]:  # fmt: skip
        signed, seen = signed or {}, len(recording.arrivals)
        headers = {"Host": HOST, **signed, **(more or {})}
        target = presigned(key, method, declared, signed)
        with tunnel(team.gateway.address, team.gateway.ca, HOST) as connection:
            answer = connection.request(raw_request(headers, method, target, body))
        return answer, recording.arrivals[seen:]

    return ask


@pytest.mark.parametrize("body", [b"", b"x", BODY], ids=["nothing", "1 byte", "1 MiB"])
def test_the_body_that_was_declared(body: bytes, send: Callable):
    declared = hashlib.sha256(body).hexdigest()
    answer, [arrival] = send(declared, body)
    assert (answer.status, arrival.wrong, arrival.whole) == (200, None, True)
    assert (arrival.payload, arrival.sha256) == (declared, declared)
    assert arrival.target == "/papers/a%20b"
    answer, [arrival] = send(EMPTY, b"", method="GET")
    assert (answer.status, arrival.payload, arrival.target) == (200, EMPTY, "/papers/a%20b")


@pytest.mark.parametrize("body", [BODY[:-1], flip(BODY, 0), flip(BODY, -1), BODY + b"x", b""])
def test_another_body_never_comes_to_its_end(body: bytes, send: Callable):
    answer, arrivals = send(hashlib.sha256(BODY).hexdigest(), body)
    assert (answer.status, b"<Code>XAmzContentSHA256Mismatch<" in answer.body) == (403, True), answer
    assert [it for it in arrivals if it.whole] == []


def test_what_is_said_twice_is_refused(send: Callable):
    declared = hashlib.sha256(BODY).hexdigest()
    header = {"x-amz-content-sha256": declared}
    for signed, more in ((header, None), (None, header)):
        answer, arrivals = send(declared, BODY, signed, more)
        assert (answer.status, arrivals) == (400, []), answer


def unsigned_chunks(data: bytes, checksum: int) -> bytes:
    told = base64.b64encode(checksum.to_bytes(4, "big"))
    return b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:%b\r\n\r\n" % (len(data), data, told)


IN_CHUNKS = {
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": str(len(BODY)),
    "x-amz-trailer": "x-amz-checksum-crc32",
}


def test_chunks_with_a_trailer(send: Callable):
    """Unwrapped, checked, and wrapped anew, as if the signature were in the header."""
    answer, [arrival] = send(UNSIGNED_TRAILER, unsigned_chunks(BODY, zlib.crc32(BODY)), IN_CHUNKS)
    assert (answer.status, arrival.wrong, arrival.payload) == (200, None, UNSIGNED_TRAILER)
    assert (arrival.sha256, arrival.length) == (hashlib.sha256(BODY).hexdigest(), len(BODY))
    assert urlsplit(arrival.target).query == ""
    for wrong in (unsigned_chunks(BODY, 1), unsigned_chunks(flip(BODY, 7), zlib.crc32(BODY)), BODY):
        answer, arrivals = send(UNSIGNED_TRAILER, wrong, IN_CHUNKS)
        assert answer.status == 400, answer
        assert [it for it in arrivals if it.whole] == []


def test_chunks_that_are_not_signed_as_declared(send: Callable):
    """Their signatures would have to follow that of the URL: there are none."""
    headers = {name: value for name, value in IN_CHUNKS.items() if name != "x-amz-trailer"}
    answer, arrivals = send(SIGNED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), headers)
    assert 400 <= answer.status < 500, answer
    assert [it for it in arrivals if it.whole] == []


@pytest.mark.parametrize("declared", ["STREAMING-AWS4-HMAC-SHA256-EVENTS", "STREAMING-SOMETHING", "x", "0" * 63])
def test_what_s3_does_not_know(declared: str, send: Callable):
    answer, arrivals = send(declared, BODY)
    assert (400 <= answer.status < 500, b"<Message>" in answer.body, arrivals) == (True, True, []), answer

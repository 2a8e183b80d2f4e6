"""An upload that was changed on its way: refused, and the cloud never holds a complete object.

A client by hand sends what no SDK would. The recording cloud has to see the call broken off before its end, or never
see it; in moto, behind the strict verifier, the object must not exist afterwards.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.certificates import CloudCertificates
from harness.checksums import BEYOND_PYTHON, upload_with_checksums
from harness.chunks import HOST, SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, Change, Chunk, Upload, flip, upload
from harness.clients import Way
from harness.cloud import Key, StrictMoto
from harness.crt import CRT
from harness.gateway import Gateway, Team
from harness.process import wait_until
from harness.recording import BROKEN_OFF, RecordingCloud
from harness.wire import Response, tunnel

DATA = [bytes([n]) * (1 << 16) for n in range(5)] + [b"the end"]
FORMS = ["hash", SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER]
WRONG_CHECKSUM = "AAAAAA=="


def changed_chunk(number: int, at: int) -> Change:
    def change(it: Upload) -> None:
        it.chunks[number].data = flip(it.chunks[number].data, at)

    return change


def swapped(it: Upload) -> None:
    it.chunks[1], it.chunks[2] = it.chunks[2], it.chunks[1]


def left_out(it: Upload) -> None:
    del it.chunks[2]


def twice(it: Upload) -> None:
    it.chunks.insert(1, it.chunks[1])


def without_an_end(it: Upload) -> None:
    del it.chunks[-1]
    it.trailers.clear()


def ended_early(it: Upload) -> None:
    """Chunks that are all signed, the last of them left out, and a length that hides it."""
    del it.chunks[3:-1]


def signature_of(number: int) -> Change:
    def change(it: Upload) -> None:
        it.chunks[number].signature = "0" * 64

    return change


def without_signatures(it: Upload) -> None:
    for chunk in it.chunks:
        chunk.signature = None


def one_more(it: Upload) -> None:
    it.chunks.insert(-1, Chunk(b"more", it.chunks[-1].signature))


def trailer(name: str, value: str | None) -> Change:
    def change(it: Upload) -> None:
        if value is None:
            del it.trailers[name]
        else:
            it.trailers[name] = value

    return change


def after_the_end(it: Upload) -> None:
    it.after = b"5\r\nmore!\r\n0\r\n\r\n"


def body(at: int) -> Change:
    def change(it: Upload) -> None:
        it.body = flip(it.body or b"", at)

    return change


CHECKSUM, TRAILER_SIGNATURE = "x-amz-checksum-crc32", "x-amz-trailer-signature"
CHUNKS: dict[str, Change] = {
    "a bit of the first chunk": changed_chunk(0, 0),
    "a bit of a chunk": changed_chunk(2, 777),
    "the last bit": changed_chunk(-2, -1),
    "two chunks swapped": swapped,
    "a chunk left out": left_out,
    "a chunk twice": twice,
    "a chunk added": one_more,
    "ended early": ended_early,
    "no last chunk": without_an_end,
    "more after the end": after_the_end,
}
SIGNATURES: dict[str, Change] = {
    "the first signature": signature_of(0),
    "the last signature": signature_of(-1),
    "no signatures": without_signatures,
}
TRAILERS: dict[str, Change] = {
    "another checksum": trailer(CHECKSUM, WRONG_CHECKSUM),
    "no checksum": trailer(CHECKSUM, None),
    "a trailer that was not announced": trailer("x-amz-meta-own", "1"),
}
CASES: list[tuple[str, str, Change]] = [
    *(("hash", name, change) for name, change in {"the first bit": body(0), "the last bit": body(-1)}.items()),
    *((SIGNED, name, change) for name, change in {**CHUNKS, **SIGNATURES}.items()),
    *(
        (SIGNED_TRAILER, name, change)
        for name, change in {
            **CHUNKS,
            **SIGNATURES,
            **TRAILERS,
            "another signature": trailer(TRAILER_SIGNATURE, "0" * 64),
            "no signature of the trailer": trailer(TRAILER_SIGNATURE, None),
        }.items()
    ),
    *((UNSIGNED_TRAILER, name, change) for name, change in {**CHUNKS, **TRAILERS}.items()),
]


@pytest.fixture(scope="module")
def recorded(make_gateway: Callable, certificates: CloudCertificates) -> Iterator[tuple[Team, Key, RecordingCloud]]:
    cloud = RecordingCloud(certificates)
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}))
    yield team, team.grant("s3"), cloud
    cloud.stop()


@pytest.fixture(scope="module")
def s3_key(team: Team) -> Key:
    return team.grant("s3")


@pytest.fixture(scope="module")
def client(s3_key: Key, gateway: Gateway):
    client = Way(gateway.proxy_url, gateway.ca, s3_key).boto3("s3", s3={"addressing_style": "path"})
    client.create_bucket(Bucket="tampered")
    return client


def send(gateway: Gateway, it: Upload) -> Response | None:
    """The answer; none if the gateway hung up instead."""
    with tunnel(gateway.address, gateway.ca, HOST) as connection, contextlib.suppress(OSError):
        with contextlib.suppress(OSError):
            connection.send(it.bytes())
        return connection.response()
    return None


FRAMINGS = pytest.mark.parametrize("http_chunked", [False, True], ids=["length", "chunked"])
CHANGED = pytest.mark.parametrize(("form", "what", "change"), CASES, ids=[f"{form}: {what}" for form, what, _ in CASES])


@FRAMINGS
@pytest.mark.parametrize("form", FORMS)
def test_what_was_not_changed_arrives_whole(form: str, http_chunked: bool, recorded: tuple):
    team, key, recording = recorded
    it = upload(key, "/tampered/whole", form, DATA)
    it.http_chunked = http_chunked
    assert send(team.gateway, it).status == 200
    arrival = recording.arrivals[-1]
    assert (arrival.wrong, arrival.whole, arrival.body) == (None, True, b"".join(DATA))


@FRAMINGS
@CHANGED
def test_what_was_changed_never_arrives_whole(
    form: str, what: str, change: Change, http_chunked: bool, recorded: tuple
):
    team, key, recording = recorded
    seen = len(recording.arrivals)
    it = upload(key, "/tampered/changed", form, DATA)
    it.http_chunked = http_chunked
    change(it)
    answer = send(team.gateway, it)
    assert answer is None or 400 <= answer.status < 500, answer
    assert_broken_off(recording, seen)


def assert_broken_off(recording: RecordingCloud, seen: int) -> None:
    for arrival in recording.arrivals[seen:]:
        wait_until(lambda arrival=arrival: arrival.wrong or arrival.whole, 10, "the call to end")
        assert (arrival.wrong, arrival.whole) == (BROKEN_OFF, False)


@pytest.mark.parametrize("form", FORMS)
def test_what_was_not_changed_becomes_an_object(form: str, client, s3_key: Key, gateway: Gateway):
    name = uuid.uuid4().hex
    assert send(gateway, upload(s3_key, f"/tampered/{name}", form, DATA)).status == 200
    assert client.get_object(Bucket="tampered", Key=name)["Body"].read() == b"".join(DATA)


@CHANGED
def test_what_was_changed_becomes_no_object(
    form: str, what: str, change: Change, client, s3_key: Key, gateway: Gateway, cloud: StrictMoto
):
    name = uuid.uuid4().hex
    it = upload(s3_key, f"/tampered/{name}", form, DATA)
    change(it)
    seen = len(cloud.verdicts())
    answer = send(gateway, it)
    assert answer is None or 400 <= answer.status < 500, answer
    assert "Contents" not in client.list_objects_v2(Bucket="tampered", Prefix=name)
    taken = [verdict for verdict in cloud.verdicts()[seen:] if "refused" not in verdict]
    assert [verdict["method"] for verdict in taken] == ["GET"], "the list alone"


@pytest.mark.parametrize("form", FORMS)
def test_a_client_that_goes_away_midway(form: str, recorded: tuple):
    team, key, recording = recorded
    seen = len(recording.arrivals)
    sent = upload(key, "/tampered/half", form, DATA).bytes()
    with tunnel(team.gateway.address, team.gateway.ca, HOST) as connection:
        connection.send(sent[: len(sent) // 2])
    records = wait_until(
        lambda: [record for record in team.admin.calls(f"request={key.request}") if record["outcome"] == "cut"],
        10,
        "the record of a call that was cut",
    )
    assert records
    assert_broken_off(recording, seen)


@pytest.mark.parametrize("announced", [0, len(b"".join(DATA)) - 1, len(b"".join(DATA)) + 1, 1 << 62])
@pytest.mark.parametrize("form", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_a_length_that_is_not_that_of_the_data(form: str, announced: int, recorded: tuple):
    """All of it is rightly signed: it is the client itself that lies."""
    team, key, recording = recorded
    seen = len(recording.arrivals)
    answer = send(team.gateway, upload(key, "/tampered/lie", form, DATA, announced))
    assert answer is None or 400 <= answer.status < 500, answer
    assert_broken_off(recording, seen)


@pytest.mark.skipif(not CRT.is_dir(), reason="there is no awscrt")
def test_every_checksum_that_boto3_takes_from_aws_s_library(recorded: tuple, tmp_path: Path):
    """The cloud gets the value that AWS's library computes, behind the very data; changed data it never gets whole."""
    team, key, recording = recorded
    seen, data = len(recording.arrivals), tmp_path / "data"
    data.write_bytes(b"".join(DATA))
    way = Way(team.gateway.proxy_url, team.gateway.ca, key)
    told = upload_with_checksums(way, "tampered", data, *BEYOND_PYTHON)
    arrived = {arrival.path: arrival for arrival in recording.arrivals[seen:] if "/right/" in arrival.path}
    for algorithm in BEYOND_PYTHON:
        arrival = arrived[f"/tampered/right/{algorithm}"]
        assert (arrival.wrong, arrival.whole, arrival.body) == (None, True, data.read_bytes()), algorithm
        assert arrival.payload == UNSIGNED_TRAILER
        assert arrival.trailers == {f"x-amz-checksum-{algorithm.lower()}": told[algorithm]["value"]}
        assert told[algorithm]["refused"] == "BadDigest"
    for arrival in recording.arrivals[seen:]:
        wait_until(lambda arrival=arrival: arrival.wrong or arrival.whole, 10, "the call to end")
        assert arrival.whole == ("/right/" in arrival.path), arrival.path

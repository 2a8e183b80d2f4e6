"""A thousand clients at once, and 8 MiB up and down in parallel: no errors, and memory stays bounded.

The cloud here is nginx: moto would be the bottleneck. What moto can check is checked with a few uploads at a time.
"""

import asyncio
import io
import ssl
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.utils import calculate_sha256, calculate_tree_hash

from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.cloud import Key, Nginx, StrictMoto
from harness.gateway import Gateway, Team
from harness.process import wait_until
from harness.wire import DYNAMODB, list_tables, raw_request, signed_headers, tunnel
from test_uploads import S3, Chunks

CONNECTIONS = 1000
CALLS_EACH = 5
MEBIBYTE = 1 << 20
# How much the gateway may grow by, in all.
MOST_FOR_THOUSAND = 128 * MEBIBYTE
MOST_FOR_IDLE = 25 * 1024  # each
# 32 transfers of 8 MiB are 256 MiB: streamed, they are never in memory as a whole.
TRANSFERS = 32
MOST_FOR_TRANSFERS = 64 * MEBIBYTE
GLACIER = "glacier.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, certificates: CloudCertificates) -> Iterator[Nginx]:
    server = Nginx(tmp_path_factory.mktemp("nginx") / "served", certificates)
    yield server
    server.stop()


@pytest.fixture
def loaded(make_gateway: Callable, nginx: Nginx) -> Gateway:
    return make_gateway({"*.amazonaws.com": nginx.address})


@pytest.fixture
def own_key(loaded: Gateway) -> Key:
    key = Team(loaded).grant("dynamodb", "glacier")
    loaded.running().forget_peak()  # hashing the passwords took more than what is to be measured
    return key


def resident(gateway: Gateway, peak: bool = False) -> int:
    return gateway.running().status_kib("VmHWM" if peak else "VmRSS") * 1024


async def open_tunnel(gateway: Gateway, context: ssl.SSLContext, host: str):
    reader, writer = await asyncio.open_connection(*gateway.address)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    await writer.start_tls(context, server_hostname=host)
    return reader, writer


async def answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Status and length of the body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = int(head.split(" ", 2)[1])
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    length = int(headers["content-length"])
    left = length
    while left:
        data = await reader.read(min(left, 1 << 18))
        assert data, "the body was cut short"
        left -= len(data)
    return status, length


def test_a_thousand_connections(loaded: Gateway, own_key: Key, say: Callable):
    context = ssl.create_default_context(cafile=str(loaded.ca))
    before = resident(loaded)

    async def run() -> tuple[int, int, float]:
        gate = asyncio.Semaphore(100)  # handshakes at a time: it is the client that would run out of breath

        async def opened():
            async with gate:
                return await open_tunnel(loaded, context, DYNAMODB)

        connections = await asyncio.gather(*(opened() for _ in range(CONNECTIONS)))
        idle = resident(loaded)

        async def calls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[int]:
            statuses = []
            for _ in range(CALLS_EACH):
                writer.write(list_tables(own_key))
                statuses.append((await answer(reader))[0])
            return statuses

        began = time.monotonic()
        results = await asyncio.gather(*(calls(*connection) for connection in connections))
        took = time.monotonic() - began
        busy = resident(loaded, peak=True)
        for _, writer in connections:
            writer.close()
        wrong = [status for statuses in results for status in statuses if status != 200]
        assert not wrong, f"{len(wrong)} of {CONNECTIONS * CALLS_EACH} calls failed: {set(wrong)}"
        return idle, busy, took

    idle, busy, took = asyncio.run(run())
    say(
        f"{CONNECTIONS} connections: {(idle - before) / CONNECTIONS / 1024:.1f} KiB each while idle, "
        f"{before / MEBIBYTE:.0f} MiB before, {idle / MEBIBYTE:.0f} MiB idle, {busy / MEBIBYTE:.0f} MiB at the peak; {CONNECTIONS * CALLS_EACH} calls in {took:.1f} s"
    )
    assert busy - before < MOST_FOR_THOUSAND
    assert (idle - before) / CONNECTIONS < MOST_FOR_IDLE
    wait_until(lambda: loaded.running().open_files() < 300, 60, f"{loaded.running().open_files()} files to be closed")


def test_downloads_in_parallel(loaded: Gateway, own_key: Key, say: Callable):
    """32 times 8 MiB, at once, through connections that read slowly enough to make the gateway wait."""
    context = ssl.create_default_context(cafile=str(loaded.ca))
    target = "/-/vaults/papers/jobs/1/output"

    async def download() -> None:
        reader, writer = await open_tunnel(loaded, context, GLACIER)
        headers = {"X-Amz-Glacier-Version": "2012-06-01"}
        signed = signed_headers(own_key, "glacier", GLACIER, method="GET", target=target, headers=headers)
        writer.write(raw_request(signed, "GET", target))
        assert await answer(reader) == (200, Nginx.DOWNLOAD_BYTES)
        writer.close()

    async def run() -> None:
        await asyncio.gather(*(download() for _ in range(TRANSFERS)))

    before, began = resident(loaded), time.monotonic()
    asyncio.run(run())
    took, peak = time.monotonic() - began, resident(loaded, peak=True)
    say(
        f"{TRANSFERS} downloads of 8 MiB in {took:.1f} s: {before / MEBIBYTE:.0f} MiB before, {peak / MEBIBYTE:.0f} MiB at the peak"
    )
    assert peak - before < MOST_FOR_TRANSFERS


def test_uploads_in_parallel(loaded: Gateway, own_key: Key, say: Callable):
    """32 times 8 MiB whose hash is declared: they stream."""
    body = bytes(range(256)) * (8 * MEBIBYTE // 256)
    target = "/-/vaults/papers/archives"
    headers = {
        "X-Amz-Content-SHA256": calculate_sha256(io.BytesIO(body), as_hex=True),
        "X-Amz-Sha256-Tree-Hash": calculate_tree_hash(io.BytesIO(body)),
        "X-Amz-Glacier-Version": "2012-06-01",
    }

    def upload(_: int) -> int:
        signed = signed_headers(own_key, "glacier", GLACIER, target=target, headers=headers, body=body)
        with tunnel(loaded.address, loaded.ca, GLACIER) as connection:
            return connection.request(raw_request(signed, target=target, body=body)).status

    before, began = resident(loaded), time.monotonic()
    with ThreadPoolExecutor(TRANSFERS) as pool:
        assert list(pool.map(upload, range(TRANSFERS))) == [200] * TRANSFERS
    took, peak = time.monotonic() - began, resident(loaded, peak=True)
    say(
        f"{TRANSFERS} uploads of 8 MiB in {took:.1f} s: {before / MEBIBYTE:.0f} MiB before, {peak / MEBIBYTE:.0f} MiB at the peak"
    )
    assert peak - before < MOST_FOR_TRANSFERS


@pytest.mark.parametrize("chunk", [64 << 10, 8 << 20], ids=["64KiB", "8MiB"])
def test_uploads_in_signed_chunks(chunk: int, loaded: Gateway, say: Callable):
    """32 times 8 MiB to S3 in chunks of any size: each is verified and signed again, and none is held."""
    body = bytes(range(256)) * (8 * MEBIBYTE // 256)
    key = Team(loaded).grant("s3")
    loaded.running().forget_peak()

    def upload(made: Chunks) -> int:
        with tunnel(loaded.address, loaded.ca, S3) as connection:
            return connection.request(made.head + made.body).status

    requests = [Chunks(key, f"/bucket/{number}", body, trailer=True, size=chunk) for number in range(TRANSFERS)]
    before, began = resident(loaded), time.monotonic()
    with ThreadPoolExecutor(TRANSFERS) as pool:
        assert list(pool.map(upload, requests)) == [200] * TRANSFERS
    took, peak = time.monotonic() - began, resident(loaded, peak=True)
    say(
        f"{TRANSFERS} uploads of 8 MiB in signed chunks of {chunk >> 10} KiB in {took:.1f} s: {before / MEBIBYTE:.0f} MiB before, {peak / MEBIBYTE:.0f} MiB at the peak"
    )
    assert peak - before < MOST_FOR_TRANSFERS


def test_uploads_that_the_cloud_checks(way: Way, cloud: StrictMoto, role: str, tmp_path: Path):
    """Four clients at once, each with an archive (streamed) and a function's code (held) of 8 MiB, against moto."""
    content = bytes(range(256)) * (8 * MEBIBYTE // 256)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w", zipfile.ZIP_STORED) as package:
        package.writestr("app.py", "def handler(event, context): return event\n")
        package.writestr("data", content)
    way.boto3("glacier").create_vault(accountId="-", vaultName="heavy")

    clients = [(way.boto3("glacier"), way.boto3("lambda")) for _ in range(4)]

    def work(number: int) -> None:
        archives, functions = clients[number]
        archive = tmp_path / f"archive-{number}"
        archive.write_bytes(content)
        with archive.open("rb") as body:
            assert archives.upload_archive(accountId="-", vaultName="heavy", body=body)["archiveId"]
        made = functions.create_function(
            FunctionName=f"heavy-{number}",
            Runtime="python3.12",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": code.getvalue()},
        )
        assert made["CodeSize"] == len(code.getvalue())
        functions.delete_function(FunctionName=f"heavy-{number}")

    seen = len(cloud.verdicts())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert not [verdict for verdict in cloud.verdicts()[seen:] if "refused" in verdict]

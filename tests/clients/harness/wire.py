"""HTTP by hand, for what no client can be made to send."""

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TIMEOUT_SECONDS = 30


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """A connection to the gateway's port, and what is layered on it."""

    def __init__(self, address: tuple[str, int]):
        self.socket: socket.socket | ssl.SSLSocket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        self.reader: BinaryIO = self.socket.makefile("rb")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def response(self) -> Response:
        return read_response(self.reader)

    def request(self, data: bytes) -> Response:
        self.send(data)
        return self.response()

    def connect(self, target: str) -> Response:
        """Asks the proxy for a tunnel. No reading ahead: what follows is TLS."""
        self.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        return read_response(self.reader, to_connect=True)

    def start_tls(self, ca: Path, server_name: str | None, alpn: tuple[str, ...] = ()) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        context.set_alpn_protocols(list(alpn))
        context.check_hostname = server_name is not None
        self.socket = context.wrap_socket(self.socket, server_hostname=server_name)
        self.reader = self.socket.makefile("rb")

    def is_closed(self) -> bool:
        """Waits until the other side closes; false if it says something instead."""
        try:
            return self.reader.read(1) == b""
        except ConnectionError:
            return True
        except ssl.SSLError:
            return True


def tunnel(
    address: tuple[str, int], ca: Path, host: str, server_name: str | None = None, alpn: tuple[str, ...] = ()
) -> Connection:
    """CONNECT to `host`, then TLS with its name (or another)."""
    connection = Connection(address)
    answer = connection.connect(f"{host}:443")
    assert answer.status == 200, answer
    connection.start_tls(ca, server_name or host, alpn)
    return connection


def read_head(reader: BinaryIO) -> bytes:
    """Everything up to the empty line, without it; empty at the end of the stream."""
    lines = []
    while line := reader.readline():
        if line == b"\r\n":
            break
        lines.append(line)
    return b"".join(lines)


def read_chunks(reader: BinaryIO) -> bytes:
    data = b""
    while size := int(reader.readline().split(b";")[0], 16):
        data += reader.read(size)
        reader.readline()
    read_head(reader)  # trailers
    return data


def read_response(reader: BinaryIO, to_connect: bool = False) -> Response:
    first, *lines = read_head(reader).decode("latin-1").split("\r\n")
    if not first:
        raise ConnectionError("the connection was closed instead of an answer")
    status = int(first.split(" ")[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    if 100 <= status < 200 or status in (204, 304) or (to_connect and status == 200):
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = read_chunks(reader)
    elif "content-length" in headers:
        body = reader.read(int(headers["content-length"]))
    else:
        body = reader.read()
    return Response(status, headers, body)


def signed_headers(
    key,
    service: str,
    host: str,
    method: str = "POST",
    target: str = "/",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    region: str = "us-east-1",
    clock_off: timedelta = timedelta(),
) -> dict[str, str]:
    """The headers of a request, signed by botocore."""
    request = AWSRequest(method, f"https://{host}{target}", headers={"Host": host, **(headers or {})}, data=body)
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    now = datetime.now(UTC) + clock_off
    with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: now.replace(tzinfo=None)):
        signer(Credentials(key.id, key.secret), service, region).add_auth(request)
    return dict(request.headers.items())


def raw_request(headers: dict[str, str], method: str = "POST", target: str = "/", body: bytes = b"") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    length = "" if "Content-Length" in headers or "Transfer-Encoding" in headers else f"Content-Length: {len(body)}\r\n"
    return f"{method} {target} HTTP/1.1\r\n{lines}{length}\r\n".encode() + body


DYNAMODB = "dynamodb.us-east-1.amazonaws.com"


def list_tables(
    key, host: str = DYNAMODB, extra: dict[str, str] | None = None, body: bytes = b"{}", **options
) -> bytes:
    """A signed DynamoDB ListTables, as bytes."""
    named = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.ListTables",
        **(extra or {}),
    }
    return raw_request(signed_headers(key, "dynamodb", host, headers=named, body=body, **options), body=body)

"""Uploads in chunks by hand, as "Signature calculations for the Authorization header: transferring payload in multiple
chunks" in the S3 documentation says; each part can be changed after it was signed."""

import base64
import hashlib
import hmac
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sigv4_verifier import Request, sign, signing_key

from .cloud import Key

HOST = "s3.us-east-1.amazonaws.com"
SIGNED, SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
NOTHING = hashlib.sha256().hexdigest()


@dataclass
class Chunk:
    data: bytes
    signature: str | None

    def framed(self) -> bytes:
        extension = f";chunk-signature={self.signature}" if self.signature else ""
        return f"{len(self.data):x}{extension}\r\n".encode() + self.data + (b"\r\n" if self.data else b"")


@dataclass
class Upload:
    """A PutObject, rightly signed. The last chunk is the empty one."""

    target: str
    headers: dict[str, str]
    chunks: list[Chunk] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    after: bytes = b""
    body: bytes | None = None  # instead of chunks
    http_chunked: bool = False

    def bytes(self) -> bytes:
        body = self.body
        if body is None:
            trailers = "".join(f"{name}:{value}\r\n" for name, value in self.trailers.items())
            body = b"".join(chunk.framed() for chunk in self.chunks) + trailers.encode() + b"\r\n" + self.after
        if self.http_chunked:
            framing, size = "Transfer-Encoding: chunked", 50_000
            pieces = (body[at : at + size] for at in range(0, len(body), size))
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            framing = f"Content-Length: {len(body)}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"PUT {self.target} HTTP/1.1\r\n{lines}{framing}\r\n\r\n".encode() + body


def upload(
    key: Key,
    target: str,
    payload: str,
    data: list[bytes],
    announced: int | None = None,
    more: dict[str, str] | None = None,
) -> Upload:
    """`payload` is one of the three forms of chunks, or "hash" for a body whose hash is declared; `more` are headers."""
    whole = b"".join(data)
    announced = len(whole) if announced is None else announced
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    declared = hashlib.sha256(whole).hexdigest() if payload == "hash" else payload
    headers = {"host": HOST, "x-amz-date": date, "x-amz-content-sha256": declared, **(more or {})}
    if payload != "hash":
        headers |= {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(announced)}
    made = Upload(target, headers)
    if payload.endswith("TRAILER"):
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        made.trailers["x-amz-checksum-crc32"] = base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode()
    authorization = sign(Request("PUT", target, headers, b""), key.id, key.secret, scope, date, list(headers))
    headers["authorization"] = authorization
    if payload == "hash":
        made.body = whole
        return made
    previous = authorization.rpartition("=")[2]

    def follows(algorithm: str, *hashes: str) -> str:
        words = "\n".join([algorithm, date, scope, previous, *hashes])
        return hmac.new(signing_key(key.secret, scope), words.encode(), hashlib.sha256).hexdigest()

    for piece in [*data, b""]:
        signature = None
        if payload != UNSIGNED_TRAILER:
            signature = previous = follows("AWS4-HMAC-SHA256-PAYLOAD", NOTHING, hashlib.sha256(piece).hexdigest())
        made.chunks.append(Chunk(piece, signature))
    if payload == SIGNED_TRAILER:
        text = "".join(f"{name}:{value}\n" for name, value in made.trailers.items())
        made.trailers["x-amz-trailer-signature"] = follows(
            "AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(text.encode()).hexdigest()
        )
    return made


Change = Callable[[Upload], None]


def flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)

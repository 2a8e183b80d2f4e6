"""Objects of any size that nobody has to hold: their content follows from where in it one looks, and of what was uploaded
the cloud keeps the hashes of the pieces.

No two places of it are alike for as far as a piece or a part could be mistaken for another: each mebibyte is the same
noise behind its own number.
"""

import hashlib
import io
import random
import re
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from .cloud import Exchange
from .recording import Arrival

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
NOISE = random.Random(4).randbytes(MEBIBYTE)
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def content(start: int, end: int) -> Iterator[bytes]:
    while start < end:
        number, at = divmod(start, MEBIBYTE)
        piece = (number.to_bytes(8, "big") + NOISE[8:])[at : at + end - start]
        yield piece
        start += len(piece)


@lru_cache(maxsize=4096)
def sha256(start: int, end: int) -> str:
    digest = hashlib.sha256()
    for piece in content(start, end):
        digest.update(piece)
    return digest.hexdigest()


def write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.writelines(content(0, size))


class Content(io.RawIOBase):
    """The same as a file that is nowhere."""

    def __init__(self, size: int):
        self.size, self.at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer) -> int:
        piece = next(content(self.at, min(self.size, self.at + len(buffer))), b"")
        buffer[: len(piece)] = piece
        self.at += len(piece)
        return len(piece)


class Objects:
    """As much of S3 as objects need that clients put and get: what a `RecordingCloud` answers with."""

    def __init__(self) -> None:
        self.stored: dict[str, list[Arrival]] = {}
        self.parts: dict[str, dict[int, Arrival]] = {}
        self.lock = threading.Lock()

    def holds(self, name: str, size: int) -> bool:
        """Is it there, all of it, each piece in its place?"""
        at = 0
        for piece in self.stored.get(name, []):
            if piece.wrong or piece.sha256 != sha256(at, at + piece.length):
                return False
            at += piece.length
        return name in self.stored and at == size

    def answer(self, exchange: Exchange, arrival: Arrival) -> bool:
        of_bucket = arrival.path if arrival.host.startswith("s3.") else f"/bucket{arrival.path}"
        name = unquote(of_bucket.removeprefix("/").partition("/")[2])
        query = dict(parse_qsl(arrival.target.partition("?")[2], keep_blank_values=True))
        if not name and "location" in query:
            exchange.answer(b"<LocationConstraint/>")  # us-east-1
            return True
        if not name and "list-type" not in query:
            return False
        with self.lock:
            match arrival.method:
                case "PUT" if "partNumber" in query:
                    self.parts[name][int(query["partNumber"])] = arrival
                    exchange.answer(b"", extra=f'etag: "{arrival.md5}"\r\n')
                case "PUT":
                    self.stored[name] = [arrival]
                    exchange.answer(b"", extra=f'etag: "{arrival.md5}"\r\n')
                case "POST" if "uploads" in query:
                    self.parts[name] = {}
                    exchange.answer(xml("InitiateMultipartUploadResult", Bucket="bulk", Key=name, UploadId="u1"))
                case "POST" if "uploadId" in query:
                    self.stored[name] = [part for _, part in sorted(self.parts.pop(name).items())]
                    tag = etag(self.stored[name])
                    exchange.answer(xml("CompleteMultipartUploadResult", Bucket="bulk", Key=name, ETag=tag))
                case "GET" if not name:
                    exchange.answer(self.listed())
                case "HEAD" | "GET" if name not in self.stored:
                    exchange.answer(b"", "404 Not Found")
                case "HEAD":
                    exchange.send(self.head(name, "200 OK", self.size(name)))
                case "GET":
                    pass
                case _:
                    return False
        if arrival.method == "GET" and name in self.stored:
            self.send(exchange, name, exchange.headers.get("range"))
        return True

    def listed(self) -> bytes:
        entries = "".join(
            f"<Contents><Key>{name}</Key><Size>{self.size(name)}</Size><ETag>{etag(self.stored[name])}</ETag>"
            f"<LastModified>2026-11-27T00:00:00.000Z</LastModified></Contents>"
            for name in self.stored
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()

    def size(self, name: str) -> int:
        return sum(piece.length for piece in self.stored[name])

    def head(self, name: str, status: str, length: int, extra: str = "") -> bytes:
        described = f"etag: {etag(self.stored[name])}\r\nlast-modified: Fri, 27 Nov 2026 00:00:00 GMT\r\n"
        kind = "content-type: application/octet-stream\r\naccept-ranges: bytes\r\nx-amz-request-id: recorded\r\n"
        return f"HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{described}{kind}{extra}\r\n".encode()

    def send(self, exchange: Exchange, name: str, asked: str | None) -> None:
        size = self.size(name)
        found = RANGE.fullmatch(asked or "")
        start, end = (int(found[1]), int(found[2] or size - 1) + 1) if found else (0, size)
        end = min(end, size)
        extra = f"content-range: bytes {start}-{end - 1}/{size}\r\n" if found else ""
        exchange.send(self.head(name, "206 Partial Content" if found else "200 OK", end - start, extra))
        for piece in content(start, end):
            exchange.send(piece)


def etag(pieces: list[Arrival]) -> str:
    """The MD5, or that of the parts' and how many there are, as S3 makes it."""
    if len(pieces) == 1 and "partNumber" not in pieces[0].target:
        return f'"{pieces[0].md5}"'
    whole = hashlib.md5(b"".join(bytes.fromhex(piece.md5) for piece in pieces)).hexdigest()
    return f'"{whole}-{len(pieces)}"'


def xml(kind: str, **members: str) -> bytes:
    return f"<{kind}>{''.join(f'<{name}>{value}</{name}>' for name, value in members.items())}</{kind}>".encode()

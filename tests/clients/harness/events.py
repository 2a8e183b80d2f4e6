"""Messages of an event stream, framed by hand: "Event stream encoding" in the documentation of Amazon Transcribe."""

import struct
import zlib

STRING = 7


def message(payload: bytes = b"", **headers: str) -> bytes:
    """`event_type="chunk"` is the header `:event-type`."""
    head = b""
    for name, value in headers.items():
        spelled, text = f":{name.replace('_', '-')}".encode(), value.encode()
        head += bytes([len(spelled)]) + spelled + bytes([STRING]) + struct.pack(">H", len(text)) + text
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    whole = prelude + head + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def event(kind: str, payload: bytes, content_type: str = "application/json") -> bytes:
    return message(payload, message_type="event", event_type=kind, content_type=content_type)


def exception(kind: str, payload: bytes) -> bytes:
    return message(payload, message_type="exception", exception_type=kind, content_type="application/json")

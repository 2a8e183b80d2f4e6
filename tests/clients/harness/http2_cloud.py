"""A cloud that takes HTTP/2 alone, as AWS does for streams both ways.

It checks the head of each stream with botocore's signer, and each message by the published algorithm: "Data frame
encoding" in the documentation of Amazon Transcribe. A test says what is answered, while the request goes on.
"""

import hashlib
import hmac
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from botocore.eventstream import EventStreamBuffer

from sigv4_verifier import signing_key

from .certificates import CloudCertificates
from .cloud import REAL_KEY
from .recording import AUTHORIZATION, Arrival, Wrong, check_signature

EVENTS = "STREAMING-AWS4-HMAC-SHA256-EVENTS"
DATE = b"\x05:date\x08"


class Broken(Exception):
    """The client broke the stream off."""


class Talk:
    """One stream."""

    def __init__(self, connection: "Connection", number: int, headers: list[tuple[str, str]]):
        self.connection, self.number = connection, number
        pseudo = {name: value for name, value in headers if name.startswith(":")}
        plain = {name: value for name, value in headers if not name.startswith(":")}
        assert "host" not in plain
        self.arrival = Arrival(
            pseudo[":method"], pseudo[":authority"], pseudo[":path"], {**plain, "host": pseudo[":authority"]}
        )
        self.data: queue.SimpleQueue[bytes | Broken | None] = queue.SimpleQueue()
        self.ended = threading.Event()
        self.broken = False  # the other side ended it before its end

    def verify_head(self) -> None:
        headers, arrival = self.arrival.headers, self.arrival
        arrival.payload = headers.get("x-amz-content-sha256", "")
        claim = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if claim:
            arrival.service, arrival.region = claim["service"], claim["region"]
            self.previous = claim["signature"]
        check_signature(arrival, claim)
        if arrival.payload not in (EVENTS, ""):  # the SDK for Rust says nothing, and signs no body
            raise Wrong(f"x-amz-content-sha256: {arrival.payload}")

    def messages(self) -> Iterator[dict]:
        """The events in the messages, as soon as each is here: their headers and `payload`. Ends with the last."""
        buffer = EventStreamBuffer()
        while (data := self.data.get()) is not None:
            if isinstance(data, Broken):
                raise data
            buffer.add_data(data)
            for message in buffer:
                self.check(message.headers, message.payload)
                if not message.payload:
                    if self.data.get() is not None:
                        raise Wrong("something follows the last message")
                    self.arrival.whole = True
                    return
                inner = EventStreamBuffer()
                inner.add_data(message.payload)
                [event] = list(inner)
                yield {**event.headers, "payload": event.payload}
        raise Wrong("ended before its last message")

    def check(self, headers: dict, payload: bytes) -> None:
        if set(headers) != {":date", ":chunk-signature"}:
            raise Wrong(f"headers of a message: {sorted(headers)}")
        at = headers[":date"]
        if not isinstance(at, datetime):
            at = datetime.fromtimestamp(at / 1000, UTC)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        scope = f"{at:%Y%m%d}/{self.arrival.region}/{self.arrival.service}/aws4_request"
        encoded = DATE + struct.pack(">q", round(at.timestamp() * 1000))
        hashes = [hashlib.sha256(part).hexdigest() for part in (encoded, payload)]
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", f"{at:%Y%m%dT%H%M%SZ}", scope, self.previous, *hashes])
        expected = hmac.new(signing_key(REAL_KEY.secret, scope), text.encode(), hashlib.sha256).hexdigest()
        self.previous = headers[":chunk-signature"].hex()
        if self.previous != expected:
            raise Wrong("the signature of a message")

    def begin(self, status: int = 200, **headers: str) -> None:
        kind = {"content-type": "application/vnd.amazon.eventstream", "x-amzn-request-id": "recorded"} | headers
        self.connection.act(lambda h2c: h2c.send_headers(self.number, [(":status", str(status)), *kind.items()]))

    def send(self, data: bytes) -> None:
        """Waits while the other side takes no more."""
        while data:
            with self.connection.lock:
                while not (room := self.room()):
                    self.connection.lock.wait(60)
            piece, data = data[:room], data[room:]
            self.connection.act(lambda h2c, piece=piece: h2c.send_data(self.number, piece))

    def room(self) -> int:
        if self.broken:
            raise Broken
        h2c = self.connection.h2
        return min(h2c.local_flow_control_window(self.number), h2c.max_outbound_frame_size)

    def end(self) -> None:
        self.connection.act(lambda h2c: h2c.end_stream(self.number))

    def reset(self) -> None:
        self.connection.act(lambda h2c: h2c.reset_stream(self.number, h2.errors.ErrorCodes.INTERNAL_ERROR))


class Connection:
    """Read by its own thread; each of its streams is served by another."""

    def __init__(self, cloud: "Http2Cloud", tls: ssl.SSLSocket):
        self.cloud, self.tls = cloud, tls
        self.lock = threading.Condition()  # told of whatever comes
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.talks: dict[int, Talk] = {}

    def act(self, do: Callable[[h2.connection.H2Connection], None]) -> None:
        with self.lock:
            try:
                do(self.h2)
                self.tls.sendall(self.h2.data_to_send())
            except (OSError, h2.exceptions.ProtocolError) as error:
                raise Broken from error

    def run(self) -> None:
        try:
            self.act(lambda h2c: h2c.initiate_connection())
            while data := self.tls.recv(1 << 16):
                with self.lock:
                    for event in self.h2.receive_data(data):
                        self.take(event)
                    self.tls.sendall(self.h2.data_to_send())
                    self.lock.notify_all()
        except (OSError, Broken, h2.exceptions.ProtocolError):
            pass
        for talk in self.talks.values():
            self.finish(talk, Broken())

    def take(self, event: h2.events.Event) -> None:
        talk = self.talks.get(getattr(event, "stream_id", None) or 0)
        match event:
            case h2.events.RequestReceived():
                talk = self.talks[event.stream_id] = Talk(self, event.stream_id, event.headers)
                self.cloud.talks.append(talk)
                threading.Thread(target=self.cloud.serve, args=(talk,), daemon=True).start()
            case h2.events.DataReceived() if talk:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.data:
                    talk.data.put(event.data)
            case h2.events.StreamEnded() if talk:
                self.finish(talk, None)
            case h2.events.StreamReset() if talk:
                self.finish(talk, Broken())

    @staticmethod
    def finish(talk: Talk, how: Broken | None) -> None:
        if not talk.ended.is_set():
            talk.broken = how is not None
            talk.ended.set()
            talk.data.put(how)


class Http2Cloud:
    """`script` answers a stream whose head was found right."""

    def __init__(self, certificates: CloudCertificates, script: Callable[[Talk], None]):
        self.script, self.talks = script, list[Talk]()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates.chain, certificates.key)
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def serve(self, talk: Talk) -> None:
        try:
            talk.verify_head()
            self.script(talk)
        except Wrong as reason:
            talk.arrival.wrong = str(reason)
            talk.reset()
        except Broken:
            talk.arrival.wrong = "broken off"

    def stop(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            tls = self.context.wrap_socket(plain, server_side=True)
        except OSError:
            return
        if tls.selected_alpn_protocol() == "h2":
            Connection(self, tls).run()
        tls.close()

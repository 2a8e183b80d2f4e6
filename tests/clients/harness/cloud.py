"""What stands in for the cloud: moto behind the strict verifier, nginx, a server that does as a test says."""

import json
import os
import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .certificates import CloudCertificates
from .paths import CLIENTS
from .process import Process, free_port
from .wire import read_chunks, read_head


@dataclass(frozen=True)
class Key:
    """An access key; `request` is the access request behind it, if the gateway gave it."""

    id: str
    secret: str
    request: str | None = None


REAL_KEY = Key("AKIAREALREALREALREAL", "realsecretrealsecretrealsecretrealsecre1")


class StrictMoto:
    """moto over TLS, behind a verifier that knows the real key only, and writes down what it saw."""

    def __init__(self, folder: Path, certificates: CloudCertificates, *options: str):
        self.port = free_port()
        self.verdict_log = folder / "verdicts.jsonl"
        self.verdict_log.touch()
        self.process = Process(
            [
                sys.executable, CLIENTS / "strict_moto.py", "--port", str(self.port), "--log", self.verdict_log,
                "--cert", certificates.chain, "--key", certificates.key, "--static", f"{REAL_KEY.id}:{REAL_KEY.secret}",
                *options,
            ],
            folder / "moto.log",
            {**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "false"},
        )  # fmt: skip
        self.process.wait_for_port(self.port, limit=120)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def verdicts(self) -> list[dict]:
        """All but the questions where a bucket is, which are the gateway's own."""
        return [seen for seen in self._log() if "asks_where" not in seen]

    def asked_where(self) -> list[str]:
        """The buckets of which it was asked, without a signature, where they are."""
        return [seen["asks_where"] for seen in self._log() if "asks_where" in seen]

    def _log(self) -> list[dict]:
        return [json.loads(line) for line in self.verdict_log.read_text().splitlines()]

    def stop(self) -> None:
        self.process.kill()


class Nginx:
    """A fast cloud that answers everything with 200: `…/output` with 8 MiB of zeroes, the rest with a few bytes."""

    DOWNLOAD_BYTES = 8 << 20

    def __init__(self, folder: Path, certificates: CloudCertificates):
        self.port = free_port()
        folder.mkdir()
        (folder / "8MiB").write_bytes(bytes(self.DOWNLOAD_BYTES))
        configuration = folder / "nginx.conf"
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration.write_text(f"""
            {"user root;" if os.getuid() == 0 else ""}
            daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 8192; pid {folder}/pid;
            error_log {folder}/error.log warn;
            events {{ worker_connections 4096; }}
            http {{
                access_log off; client_max_body_size 0; keepalive_requests 1000000; {paths}
                server {{
                    listen 127.0.0.1:{self.port} ssl backlog=4096;
                    ssl_certificate {certificates.chain}; ssl_certificate_key {certificates.key};
                    root {folder};
                    error_page 405 =200 $uri;
                    location ~ /output$ {{ rewrite ^ /8MiB break; default_type application/octet-stream; add_header x-amzn-requestid nginx; }}
                    location / {{
                        default_type application/x-amz-json-1.0;
                        add_header x-amzn-requestid nginx;
                        return 200 '{{"TableNames":[]}}';
                    }}
                }}
            }}
        """)
        self.process = Process(["nginx", "-p", folder, "-c", configuration], folder / "nginx.log")
        self.process.wait_for_port(self.port)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.kill()


class Exchange:
    """One request as it came to a scripted cloud."""

    def __init__(self, connection: ssl.SSLSocket, reader, head: bytes):
        self.connection, self.reader, self.head = connection, reader, head

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}

    def read_body(self) -> bytes:
        headers = self.headers
        if headers.get("transfer-encoding") == "chunked":
            return read_chunks(self.reader)
        return self.reader.read(int(headers.get("content-length", "0")))

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, body: bytes = b"{}", status: str = "200 OK", extra: str = "") -> None:
        kind = "content-type: application/x-amz-json-1.0\r\nx-amzn-requestid: scripted\r\n"
        self.send(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{kind}{extra}\r\n".encode() + body)

    def peer_is_gone(self, limit: float) -> bool:
        """Waits for the other side to close the connection."""
        if not select.select([self.connection], [], [], limit)[0]:
            return False
        try:
            return self.connection.recv(1) == b""
        except OSError:
            return True


class ScriptedCloud:
    """A TLS server that does with each request what the test says, and keeps what it received."""

    def __init__(self, certificates: CloudCertificates, script: Callable[[Exchange], None]):
        self.script = script
        self.exchanges: list[Exchange] = []
        self.context = certificates.server_context()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with self.context.wrap_socket(plain, server_side=True) as connection:
                reader = connection.makefile("rb")
                while head := read_head(reader):
                    exchange = Exchange(connection, reader, head)
                    self.exchanges.append(exchange)
                    self.script(exchange)
        except OSError:
            pass  # the other side went away: what the test looks at is what arrived before


class Tunnel:
    """A proxy that passes every CONNECT on to one address, untouched: the way to the cloud without the gateway."""

    def __init__(self, address: str):
        host, _, port = address.partition(":")
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.proxy_url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                return
            head += byte
        cloud = socket.create_connection(self.target)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=_copy, args=(client, cloud), daemon=True).start()
        _copy(cloud, client)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass

"""What is not HTTP, or not TLS, or neither: a clear answer or a closed connection, and the next one works."""

import socket
import ssl

import pytest

from harness.cloud import Key
from harness.gateway import Gateway
from harness.wire import DYNAMODB, Connection, list_tables, tunnel

NOISE = {
    "binary": bytes(range(256)),
    "no-http": b"hello there\r\n\r\n",
    "no-version": b"GET /\r\n\r\n",
    "odd-version": b"GET / HTTP/9.9\r\n\r\n",
    "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "spaces": b"GET  /  HTTP/1.1\r\n\r\n",
    "nul-in-header": b"GET / HTTP/1.1\r\nHost: csg\r\nX: a\0b\r\n\r\n",
    "space-before-colon": b"GET / HTTP/1.1\r\nHost : csg\r\n\r\n",
    "huge-line": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    "many-headers": b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5000)) + b"\r\n",
    "bad-length": b"POST / HTTP/1.1\r\nHost: csg\r\nContent-Length: -1\r\n\r\n",
    "two-lengths": b"POST / HTTP/1.1\r\nHost: csg\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length-and-chunked": b"POST / HTTP/1.1\r\nHost: csg\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad-chunk": b"POST / HTTP/1.1\r\nHost: csg\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "huge-chunk": b"POST / HTTP/1.1\r\nHost: csg\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "tls-record-cut-short": b"\x16\x03\x01\x02\x00",
    "tls-garbage": b"\x16\x03\x01\x00\x10" + b"\xff" * 16,
    "tls-alert": b"\x15\x03\x01\x00\x02\x02\x28",
}  # fmt: skip


def ends_cleanly(connection: Connection) -> None:
    """A clear answer, or the connection is closed; nothing that hangs."""
    connection.socket.settimeout(35)
    try:
        if not isinstance(connection.socket, ssl.SSLSocket):
            connection.socket.shutdown(socket.SHUT_WR)
        answer = connection.socket.recv(64)
    except TimeoutError:
        raise
    except OSError:
        return
    assert not answer or answer.startswith(b"HTTP/1.") or answer[0] in (0x15, 0x16), answer


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_noise_on_the_port(noise: bytes, gateway: Gateway):
    with Connection(gateway.address) as connection:
        try:
            connection.send(noise)
        except OSError:
            pass
        else:
            ends_cleanly(connection)
    assert gateway.is_healthy()


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_noise_after_connect(noise: bytes, gateway: Gateway):
    with Connection(gateway.address) as connection:
        assert connection.connect(f"{DYNAMODB}:443").status == 200
        try:
            connection.send(noise)
        except OSError:
            pass
        else:
            ends_cleanly(connection)
    assert gateway.is_healthy()


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_noise_inside_the_tunnel(noise: bytes, key: Key, gateway: Gateway):
    connection = tunnel(gateway.address, gateway.ca, DYNAMODB)
    try:
        connection.send(noise)
        ends_cleanly(connection)
    except TimeoutError:
        raise
    except OSError:
        pass
    finally:
        connection.close()
    with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
        assert connection.request(list_tables(key)).status == 200


def test_nothing_panicked(gateway: Gateway):
    assert "panicked" not in gateway.running().text()
    assert gateway.running().child.poll() is None

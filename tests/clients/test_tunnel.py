"""Inside a tunnel: keep-alive, pipelining, `Expect`, headers, streams, and what becomes of a call when one side goes."""

import contextlib
import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable

from botocore.utils import calculate_sha256, calculate_tree_hash

from harness.certificates import make_cloud_certificates
from harness.clients import Way, refusal
from harness.cloud import Exchange, Key, ScriptedCloud, StrictMoto
from harness.gateway import Gateway, Team
from harness.process import free_port, wait_until
from harness.wire import DYNAMODB, Connection, list_tables, raw_request, read_head, signed_headers, tunnel


def test_keep_alive(key: Key, gateway: Gateway):
    with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
        for _ in range(10):
            assert connection.request(list_tables(key)).status == 200


def test_pipelined_requests_are_answered_in_order(key: Key, gateway: Gateway):
    """Three in one write, the second of them refused."""
    wrong = Key(key.id, "x" * 40)
    sent = list_tables(key, body=b'{"Limit":1}') + list_tables(wrong) + list_tables(key, body=b'{"Limit":2} ')
    with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
        connection.send(sent)
        assert [connection.response().status for _ in range(3)] == [200, 403, 200]


def test_pipelined_requests_to_a_slow_cloud(scripted: Callable, make_gateway: Callable):
    """The first answer is held back until the second request is there: the order stays."""

    def script(exchange: Exchange) -> None:
        body = exchange.read_body()
        threading.Event().wait(0.3 if b"one" in body else 0)
        exchange.answer(body)

    team = Team(make_gateway({"*.amazonaws.com": scripted(script).address}))
    key = team.grant("dynamodb")
    bodies = [b'{"n":"one"}', b'{"n":"two"}', b'{"n":"three"}']
    with tunnel(team.gateway.address, team.gateway.ca, DYNAMODB) as connection:
        connection.send(b"".join(list_tables(key, body=body) for body in bodies))
        assert [connection.response().body for _ in bodies] == bodies


def test_tls_versions(key: Key, gateway: Gateway):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with Connection(gateway.address) as connection:
            connection.connect(f"{DYNAMODB}:443")
            context = ssl.create_default_context(cafile=str(gateway.ca))
            context.minimum_version = context.maximum_version = version
            connection.socket = context.wrap_socket(connection.socket, server_hostname=DYNAMODB)
            connection.reader = connection.socket.makefile("rb")
            assert connection.request(list_tables(key)).status == 200


# Expect: 100-continue


def test_continue_comes_before_the_body_and_not_for_what_is_refused(key: Key, gateway: Gateway):
    body = b"{}"
    head = list_tables(key, extra={"Expect": "100-continue"}).removesuffix(body)
    with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
        assert connection.request(head).status == 100
        connection.send(body)
        assert connection.response().status == 200, "exactly one 100"
        assert connection.request(list_tables(key)).status == 200

    stale = list_tables(Key("AKIAUNKNOWNUNKNOWN00", "x"), extra={"Expect": "100-continue"}).removesuffix(body)
    with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
        assert connection.request(stale).status == 403, "a body that would be thrown away must not be asked for"


def test_continue_for_a_streamed_upload(way: Way, gateway: Gateway, key: Key):
    """A declared hash: the head may go on before the body is there, but the cloud's 100 must not come twice."""
    way.boto3("glacier").create_vault(accountId="-", vaultName="patient")
    host, target, body = "glacier.us-east-1.amazonaws.com", "/-/vaults/patient/archives", b"x" * 300_000
    headers = {
        "Expect": "100-continue",
        "X-Amz-Content-SHA256": calculate_sha256(io.BytesIO(body), as_hex=True),
        "X-Amz-Sha256-Tree-Hash": calculate_tree_hash(io.BytesIO(body)),
        "X-Amz-Glacier-Version": "2012-06-01",
    }
    signed = signed_headers(key, "glacier", host, target=target, headers=headers, body=body)
    with tunnel(gateway.address, gateway.ca, host) as connection:
        assert connection.request(raw_request(signed, target=target, body=body).removesuffix(body)).status == 100
        connection.send(body)
        assert connection.response().status == 201


# Headers


def test_connection_header_cannot_strip_what_was_signed(key: Key, gateway: Gateway, cloud: StrictMoto):
    """A proxy that obeys `Connection: X-Amz-Date` drops its own signature's date."""
    for named in (
        "X-Amz-Date",
        "close, X-Amz-Target",
        "Authorization",
        "Host",
        "keep-alive, content-type, content-length",
    ):
        with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
            got = connection.request(list_tables(key, extra={"Connection": named}))
            assert got.status == 200, (named, got.body)
            assert {"x-amz-date", "x-amz-target", "authorization", "host"} <= set(cloud.verdicts()[-1]["headers"])


def test_hop_by_hop_headers_stay_here(key: Key, gateway: Gateway, cloud: StrictMoto):
    plain = {
        "Proxy-Connection": "keep-alive",
        "Proxy-Authorization": "Basic c2VjcmV0",
        "Keep-Alive": "timeout=5",
        "TE": "trailers",
        "X-Own": "1",
    }
    request = list_tables(key)
    head, _, body = request.partition(b"\r\n\r\n")
    head += b"".join(f"\r\n{name}: {value}".encode() for name, value in plain.items())
    with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
        assert connection.request(head + b"\r\n\r\n" + body).status == 200
    arrived = set(cloud.verdicts()[-1]["headers"])
    assert "x-own" in arrived
    assert not arrived & {"proxy-connection", "proxy-authorization", "keep-alive", "te"}


def test_the_clouds_answer_passes_untouched(scripted: Callable, make_gateway: Callable):
    """Status, headers in their own number, body. Hop-by-hop headers go, and a date may come (RFC 9110, section 6.6.1)."""
    extra = "x-amzn-requestid: abc\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-odd:\r\nconnection: x-private\r\nx-private: 1\r\n"

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(f"HTTP/1.1 418 I am a teapot\r\ncontent-length: 3\r\n{extra}\r\n".encode() + b"\x00\xff!")

    team = Team(make_gateway({"*.amazonaws.com": scripted(script).address}))
    with tunnel(team.gateway.address, team.gateway.ca, DYNAMODB) as connection:
        connection.send(list_tables(team.grant("dynamodb")))
        answer = http.client.HTTPResponse(connection.socket)
        answer.begin()
        assert answer.status == 418
        names = [name.lower() for name, _ in answer.getheaders() if name.lower() != "date"]
        assert sorted(names) == ["content-length", "set-cookie", "set-cookie", "x-amzn-requestid", "x-odd"]
        assert answer.read() == b"\x00\xff!"


# Bodies stream, connections are kept


def test_an_upload_with_a_declared_hash_streams(scripted: Callable, make_gateway: Callable):
    """Its first half is with the cloud before the client has sent the second."""
    half = 1 << 20
    more = (
        half // 2
    )  # the gateway may keep back the piece that it has last read, until it knows that it is not the last
    arrived = threading.Event()

    def script(exchange: Exchange) -> None:
        assert len(exchange.reader.read(half)) == half
        arrived.set()
        exchange.reader.read(half)
        exchange.answer()

    team = Team(make_gateway({"*.amazonaws.com": scripted(script).address}))
    body, host, target = b"x" * 2 * half, "glacier.us-east-1.amazonaws.com", "/-/vaults/papers/archives"
    headers = {"X-Amz-Content-SHA256": calculate_sha256(io.BytesIO(body), as_hex=True)}
    signed = signed_headers(team.grant("glacier"), "glacier", host, target=target, headers=headers, body=body)
    sent = raw_request(signed, target=target, body=body)
    with tunnel(team.gateway.address, team.gateway.ca, host) as connection:
        connection.send(sent[: -half + more])
        assert arrived.wait(10), "held back until it is complete"
        connection.send(sent[-half + more :])
        assert connection.response().status == 200


def test_an_answer_streams(scripted: Callable, make_gateway: Callable):
    """Each piece reaches the client before the cloud sends the next."""
    read = threading.Semaphore(0)
    pieces = [b"one", b"two", b"three"]

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            assert read.acquire(timeout=10)
        exchange.send(b"0\r\n\r\n")

    team = Team(make_gateway({"*.amazonaws.com": scripted(script).address}))
    with tunnel(team.gateway.address, team.gateway.ca, DYNAMODB) as connection:
        connection.send(list_tables(team.grant("dynamodb")))
        assert read_head(connection.reader).startswith(b"HTTP/1.1 200")
        for piece in pieces:
            assert connection.reader.readline() == b"%x\r\n" % len(piece)
            assert connection.reader.readline() == piece + b"\r\n"
            read.release()
        assert connection.reader.readline() == b"0\r\n"


def test_connections_to_the_cloud_are_kept(scripted: Callable, make_gateway: Callable):
    """Twenty calls of five clients, one after the other, over one connection to the cloud."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer()

    cloud = scripted(script)
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}))
    key = team.grant("dynamodb")
    for _ in range(5):
        with tunnel(team.gateway.address, team.gateway.ca, DYNAMODB) as connection:
            for _ in range(4):
                assert connection.request(list_tables(key)).status == 200
    assert len(cloud.exchanges) == 20
    assert len({id(exchange.connection) for exchange in cloud.exchanges}) == 1


def test_a_cloud_that_closes_kept_connections(scripted: Callable, make_gateway: Callable):
    """Without a word, after each answer, as a cloud may: no call fails for it."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer()
        exchange.connection.shutdown(socket.SHUT_RDWR)

    team = Team(make_gateway({"*.amazonaws.com": scripted(script).address}))
    key = team.grant("dynamodb")
    with tunnel(team.gateway.address, team.gateway.ca, DYNAMODB) as connection:
        for _ in range(20):
            assert connection.request(list_tables(key)).status == 200


def test_a_body_is_never_sent_twice(scripted: Callable, make_gateway: Callable):
    """What streams can't be had again. Over connections that the cloud has closed meanwhile nothing of it is sent, so all
    of it goes over another; once some has gone, the call is over, and it is the client that tries again."""
    body, host, target = bytes(range(256)) * 4096, "glacier.us-east-1.amazonaws.com", "/-/vaults/papers/archives"
    arrived: list[bytes] = []
    cut = threading.Event()

    def script(exchange: Exchange) -> None:
        if cut.is_set():
            arrived.append(exchange.reader.read(len(body) // 2))
            exchange.connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionError
        arrived.append(exchange.read_body())
        exchange.answer()
        exchange.connection.shutdown(socket.SHUT_RDWR)

    cloud = scripted(script)
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}))
    headers = {"X-Amz-Content-SHA256": calculate_sha256(io.BytesIO(body), as_hex=True)}
    signed = signed_headers(team.grant("glacier"), "glacier", host, target=target, headers=headers, body=body)
    sent = raw_request(signed, target=target, body=body)
    for _ in range(10):
        with tunnel(team.gateway.address, team.gateway.ca, host) as connection:
            assert connection.request(sent).status == 200
    assert arrived == [body] * 10
    cut.set()
    with tunnel(team.gateway.address, team.gateway.ca, host) as connection:
        with contextlib.suppress(OSError):
            connection.send(sent)
        got = connection.response()
    assert (got.status, got.headers["x-amzn-errortype"]) == (502, "ServiceUnavailable")
    assert arrived[10:] == [body[: len(body) // 2]], "not a second time"
    assert len(cloud.exchanges) == 11


def test_an_answer_cut_short_by_the_cloud_is_cut_short_for_the_client(scripted: Callable, make_gateway: Callable):
    """Half an answer must never look like a whole one."""

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        exchange.connection.shutdown(socket.SHUT_RDWR)

    team = Team(make_gateway({"*.amazonaws.com": scripted(script).address}))
    key = team.grant("dynamodb")
    with tunnel(team.gateway.address, team.gateway.ca, DYNAMODB) as connection:
        connection.send(list_tables(key))
        head = read_head(connection.reader)
        assert b"content-length: 100" in head.lower()
        with contextlib.suppress(OSError):
            assert len(connection.reader.read()) < 100
    records = wait_until(lambda: team.admin.calls(f"request={key.request}"), 10, "its record")
    assert [record["outcome"] for record in records] == ["cut"]


# Either side goes away


def test_a_client_that_goes_away_cancels_its_call(scripted: Callable, make_gateway: Callable):
    began, gone = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        began.set()
        if exchange.peer_is_gone(20):
            gone.set()

    team = Team(make_gateway({"*.amazonaws.com": scripted(script).address}))
    key = team.grant("dynamodb")
    connection = tunnel(team.gateway.address, team.gateway.ca, DYNAMODB)
    connection.send(list_tables(key))
    assert began.wait(10)
    connection.close()
    assert gone.wait(5), "the call to the cloud was left running"
    records = wait_until(lambda: team.admin.calls(f"request={key.request}"), 10, "its record")
    assert [record["outcome"] for record in records] == ["cut"]


def test_a_cloud_that_cannot_be_reached(make_gateway: Callable):
    team = Team(make_gateway({"*.amazonaws.com": f"127.0.0.1:{free_port()}"}))
    way = Way(team.gateway.proxy_url, team.gateway.ca, team.grant("dynamodb", "sns"))
    for service, call in (("dynamodb", "list_tables"), ("sns", "list_topics")):
        client = way.boto3(service, retries={"total_max_attempts": 1})
        got = refusal(getattr(client, call))
        assert (got.status, got.code) == (502, "ServiceUnavailable")
        assert f"{service}.us-east-1.amazonaws.com" in got.message


def test_a_cloud_with_a_certificate_of_another_is_not_trusted(tmp_path_factory, make_gateway: Callable):
    impostor = ScriptedCloud(make_cloud_certificates(tmp_path_factory.mktemp("impostor")), Exchange.answer)
    team = Team(make_gateway({"*.amazonaws.com": impostor.address}))
    way = Way(team.gateway.proxy_url, team.gateway.ca, team.grant("dynamodb"))
    got = refusal(way.boto3("dynamodb", retries={"total_max_attempts": 1}).list_tables)
    assert (got.status, got.code) == (502, "ServiceUnavailable")
    assert "certificate" in got.message.lower()
    assert impostor.exchanges == []

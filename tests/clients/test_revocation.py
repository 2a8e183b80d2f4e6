"""Taking access back: the next request of an open connection, a stream in flight, a restart."""

import threading
import time
from collections.abc import Callable

import pytest

from harness.cloud import Exchange
from harness.gateway import Gateway, Team
from harness.process import wait_until
from harness.wire import DYNAMODB, Connection, list_tables, raw_request, read_head, signed_headers, tunnel

LAMBDA = "lambda.us-east-1.amazonaws.com"
LIMIT_SECONDS = 5


class StreamingCloud:
    """Answers DynamoDB at once and Lambda without end: a chunk every now and then, or none after the first."""

    def __init__(self) -> None:
        self.pace = 0.05
        self.gone = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        exchange.read_body()
        if exchange.headers["host"] != LAMBDA:
            exchange.answer()
            return
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        exchange.send(b"5\r\nfirst\r\n")
        try:
            while not exchange.peer_is_gone(self.pace):
                exchange.send(b"4\r\nmore\r\n")
        finally:
            self.gone.set()


@pytest.fixture
def streaming() -> StreamingCloud:
    return StreamingCloud()


@pytest.fixture
def own(streaming: StreamingCloud, scripted: Callable, make_gateway: Callable) -> Team:
    return Team(make_gateway({"*.amazonaws.com": scripted(streaming).address}))


def open_stream(gateway: Gateway, key) -> Connection:
    """An invocation whose answer has begun and does not end."""
    target = "/2015-03-31/functions/resize/invocations"
    connection = tunnel(gateway.address, gateway.ca, LAMBDA)
    connection.send(
        raw_request(signed_headers(key, "lambda", LAMBDA, target=target, body=b"{}"), target=target, body=b"{}")
    )
    head = read_head(connection.reader)
    assert head.startswith(b"HTTP/1.1 200"), head
    assert connection.reader.readline() == b"5\r\n"
    assert connection.reader.readline() == b"first\r\n"
    return connection


def seconds_until_cut(connection: Connection, limit: float) -> float:
    """Reads on; how long it took until the stream was ended before its last chunk."""
    began = time.monotonic()
    connection.socket.settimeout(limit)
    try:
        while line := connection.reader.readline():
            assert line != b"0\r\n", "the stream must not look complete"
    except OSError as error:
        assert not isinstance(error, TimeoutError), f"still open after {limit} s"
    return time.monotonic() - began


@pytest.mark.parametrize("end", ["revoke", "archive"])
def test_next_request_on_an_open_connection(end: str, team: Team, gateway: Gateway):
    key = team.grant("dynamodb")
    with tunnel(gateway.address, gateway.ca, DYNAMODB) as connection:
        assert connection.request(list_tables(key)).status == 200
        assert connection.request(list_tables(key)).status == 200
        team.anna.post(f"/access-requests/{key.request}/{end}", comment="enough")
        got = connection.request(list_tables(key))
        assert (got.status, got.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
        assert b"Client is not Active" in got.body
        other = team.grant("dynamodb")
        assert connection.request(list_tables(other)).status == 200, "the connection itself has done nothing wrong"


@pytest.mark.parametrize("pace", [0.05, 30], ids=["flowing", "idle"])
def test_a_stream_in_flight_is_ended(pace: float, own: Team, streaming: StreamingCloud):
    streaming.pace = pace
    key = own.grant("lambda")
    with open_stream(own.gateway, key) as connection:
        own.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
        assert seconds_until_cut(connection, 10) < LIMIT_SECONDS
    assert streaming.gone.wait(LIMIT_SECONDS), "the cloud's side must be ended too"
    outcome = wait_until(lambda: [r["outcome"] for r in own.admin.calls(f"request={key.request}")], 10, "the record")
    assert outcome == ["cut"]


def test_a_stream_in_flight_ends_with_its_user(own: Team):
    key = own.grant("lambda")
    with open_stream(own.gateway, key) as connection:
        own.admin.patch("/users/dora", disabled=True)
        assert seconds_until_cut(connection, 10) < LIMIT_SECONDS


def test_another_ones_stream_goes_on(own: Team):
    """Ending one access does not touch the others."""
    key, other = own.grant("lambda"), own.grant("lambda")
    with open_stream(own.gateway, other) as staying:
        own.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
        for _ in range(20):
            assert staying.reader.readline() == b"4\r\n"
            assert staying.reader.readline() == b"more\r\n"


def test_survives_a_restart(own: Team):
    """Both: what was granted works again, what was revoked stays so."""
    kept, revoked = own.grant("dynamodb"), own.grant("dynamodb")
    own.anna.post(f"/access-requests/{revoked.request}/revoke", comment="enough")
    assert own.gateway.stop() == 0
    own.gateway.start()
    for key, status in ((kept, 200), (revoked, 403)):
        with tunnel(own.gateway.address, own.gateway.ca, DYNAMODB) as connection:
            assert connection.request(list_tables(key)).status == status


def takes_no_more(gateway: Gateway) -> bool:
    try:
        Connection(gateway.address).close()
    except OSError:
        return True
    return False


def test_sigterm_lets_a_call_finish(scripted: Callable, make_gateway: Callable):
    began, finish = threading.Event(), threading.Event()

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        began.set()
        finish.wait(20)
        exchange.answer()

    team = Team(make_gateway({"*.amazonaws.com": scripted(script).address}))
    process = team.gateway.running()
    with tunnel(team.gateway.address, team.gateway.ca, DYNAMODB) as connection:
        connection.send(list_tables(team.grant("dynamodb")))
        assert began.wait(10)
        process.child.terminate()
        wait_until(lambda: takes_no_more(team.gateway), 10, "the port to close")
        finish.set()
        assert connection.response().status == 200
        assert process.child.wait(10) == 0


def test_sigterm_waits_thirty_seconds_at_most(own: Team):
    """A stream without end is cut then, and the status is still that of an orderly stop."""
    key = own.grant("lambda")
    process = own.gateway.running()
    with open_stream(own.gateway, key) as stream:
        began = time.monotonic()
        process.child.terminate()
        wait_until(lambda: takes_no_more(own.gateway), 10, "the port to close")
        assert stream.reader.readline() == b"4\r\n", "what is in flight goes on"
        assert process.child.wait(40) == 0
        assert 20 < time.monotonic() - began < 35

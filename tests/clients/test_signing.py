"""Odd requests that are rightly signed: verified as they came, signed again so that the cloud takes them, too.

They are signed by the judge's own rules, since no SDK would send them. What moto then answers is beside the point:
the verdict is.
"""

from datetime import UTC, datetime

import pytest

from harness.cloud import REAL_KEY, Key, StrictMoto
from harness.gateway import Gateway
from harness.wire import Response, tunnel
from sigv4_verifier import Request, sign

GLACIER = "glacier.us-east-1.amazonaws.com"
LAMBDA = "lambda.us-east-1.amazonaws.com"
DYNAMODB = "dynamodb.us-east-1.amazonaws.com"

Headers = list[tuple[str, str]]


def send(
    gateway: Gateway, key: Key, service: str, target: str, headers: Headers, method: str = "GET", body: bytes = b"",
    framing: str = "length", host: str | None = None, version: str = "1.1",
) -> Response:  # fmt: skip
    """Signs every header that is given, and sends them in the order and spelling given."""
    bare = f"{service}.us-east-1.amazonaws.com"
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    sent: Headers = [("Host", host or bare), ("X-Amz-Date", date), *headers]
    joined: dict[str, str] = {}
    for name, value in sent:
        name = name.lower()
        joined[name] = f"{joined[name]},{value.strip()}" if name in joined else value.strip()
    scope = f"{date[:8]}/us-east-1/{service}/aws4_request"
    authorization = sign(Request(method, target, joined, body), key.id, key.secret, scope, date, list(joined))
    sent.append(("Authorization", authorization))
    if framing == "chunked":
        sent.append(("Transfer-Encoding", "chunked"))
        body = b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7))
        body += b"0\r\n\r\n"
    elif body:
        sent.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in sent)
    with tunnel(gateway.address, gateway.ca, bare) as connection:
        return connection.request(f"{method} {target} HTTP/{version}\r\n{head}\r\n".encode() + body)


def assert_taken(cloud: StrictMoto, seen: int, target: str, got: Response) -> dict:
    verdicts = cloud.verdicts()[seen:]
    assert len(verdicts) == 1, got
    assert verdicts[0].get("key") == REAL_KEY.id, verdicts[0]
    assert verdicts[0]["target"] == target, "the target must go on as it came"
    return verdicts[0]


@pytest.mark.parametrize(
    "query",
    [
        "MaxItems=10&Marker=",
        "Marker&MaxItems=10",
        "Marker=b&Marker=a&Marker=",
        "Marker=a%2fb%2Fc",
        "Marker=a+b%20c%2B",
        "Marker=%C3%BC~-_.*()!'",
        "Marker=a=b==",
        "&&Marker=1&",
        "B=2&a=1&A=3&b=0",
        "Marker=1?2/3:4@5",
        "",
    ],
)
def test_queries(query: str, key: Key, gateway: Gateway, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    target = f"/2015-03-31/functions/?{query}"
    assert_taken(cloud, seen, target, send(gateway, key, "lambda", target, []))


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "a%20b",
        "%7Etilde",
        "~tilde",
        "%c3%bc",
        "a+b",
        "a%2Fb",
        "a%2fb",
        "a%25b",
        "a:b@c",
        "a,b;c=d",
        "(a)!*'$",
    ],
)
def test_paths(name: str, key: Key, gateway: Gateway, cloud: StrictMoto):
    """Encoded once on the wire, and once more in the signature, in either case of the digits."""
    seen = len(cloud.verdicts())
    target = f"/-/vaults/{name}"
    got = send(gateway, key, "glacier", target, [("X-Amz-Glacier-Version", "2012-06-01")])
    assert_taken(cloud, seen, target, got)


@pytest.mark.parametrize(
    "headers",
    [
        [("x-own", "a"), ("x-own", "b"), ("X-OWN", "")],
        [("x-own", "  a   b \t")],
        [("x-own", "")],
        [("user-agent", "signed/1.0 (odd; agent)")],
        [("accept-encoding", "identity"), ("accept", "*/*")],
        [("content-type", "")],
        [("x-amz-meta-Mixed-Case", "V  v")],
        [("x-own", "x" * 8000)],
        [(f"x-own-{n}", str(n)) for n in range(60)],
        [("expect", "")],
        [("connection", "keep-alive, x-own"), ("x-own", "1")],
        [("te", "trailers"), ("x-forwarded-for", "192.0.2.1")],
    ],
    ids=lambda headers: "+".join(name for name, _ in headers)[:40],
)
def test_headers(headers: Headers, key: Key, gateway: Gateway, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    target = "/2015-03-31/functions/"
    got = send(gateway, key, "lambda", target, headers)
    verdict = assert_taken(cloud, seen, target, got)
    hop_by_hop = {"connection", "te", "expect"}
    kept = {name.lower() for name, _ in headers} - hop_by_hop
    assert kept <= set(verdict["headers"])


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("body", [b"{}", b'{"Limit": 1, "x": "' + b"y" * 300_000 + b'"}'], ids=["short", "long"])
def test_framings_of_a_body(framing: str, body: bytes, key: Key, gateway: Gateway, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    headers = [("Content-Type", "application/x-amz-json-1.0"), ("X-Amz-Target", "DynamoDB_20120810.ListTables")]
    got = send(gateway, key, "dynamodb", "/", headers, "POST", body, framing)
    assert_taken(cloud, seen, "/", got)
    assert got.status == 200


@pytest.mark.parametrize("host", [f"{LAMBDA}:443", LAMBDA.upper()])
def test_spellings_of_the_host(host: str, key: Key, gateway: Gateway, cloud: StrictMoto):
    """With the port, as some clients sign it; in capitals, which no signature hides."""
    seen = len(cloud.verdicts())
    got = send(gateway, key, "lambda", "/2015-03-31/functions/", [], host=host)
    assert_taken(cloud, seen, "/2015-03-31/functions/", got)


def test_http_1_0(key: Key, gateway: Gateway, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    got = send(gateway, key, "lambda", "/2015-03-31/functions/", [], version="1.0")
    assert_taken(cloud, seen, "/2015-03-31/functions/", got)
    assert got.status == 200


def test_an_empty_body_with_a_declared_hash(key: Key, gateway: Gateway, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    headers = [("X-Amz-Content-SHA256", empty), ("X-Amz-Glacier-Version", "2012-06-01")]
    assert_taken(cloud, seen, "/-/vaults", send(gateway, key, "glacier", "/-/vaults", headers))


@pytest.mark.parametrize("target", ["/1999-01-01/nothing", "/2015-03-31/functions/%2e%2E/x", "/", "//"])
def test_an_operation_that_cannot_be_named_is_refused(target: str, key: Key, gateway: Gateway, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    got = send(gateway, key, "lambda", target, [])
    assert (got.status, got.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert b"could not be recognised" in got.body
    assert len(cloud.verdicts()) == seen


@pytest.mark.parametrize(
    "target", ["https://sns.us-east-1.amazonaws.com/", "*", "//evil.example/x", "http://evil.example/"]
)
def test_targets_that_name_another_host(target: str, key: Key, gateway: Gateway, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    got = send(gateway, key, "lambda", target, [])
    assert 400 <= got.status < 500
    assert len(cloud.verdicts()) == seen

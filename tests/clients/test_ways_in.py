"""The gateway's port: its own pages, CONNECT, whose name a certificate is given for, and which hosts are refused."""

import ssl

import pytest
from botocore.exceptions import ProxyConnectionError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from harness.clients import Way
from harness.cloud import Key, StrictMoto
from harness.gateway import Gateway
from harness.process import wait_until
from harness.wire import DYNAMODB, Connection, list_tables, tunnel

P12_PASSWORD = b"changeit"


def plain_get(gateway: Gateway, target: str, host: str = "csg") -> tuple[int, dict[str, str], bytes]:
    with Connection(gateway.address) as connection:
        got = connection.request(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return got.status, got.headers, got.body


# The port's own pages


@pytest.mark.parametrize(
    "prefix", ["", "http://csg", "http://CSG"], ids=["on-the-port", "through-the-proxy", "any-case"]
)
def test_the_ca_certificate(prefix: str, gateway: Gateway):
    status, headers, pem = plain_get(gateway, f"{prefix}/cert/pem")
    assert status == 200
    certificate = x509.load_pem_x509_certificate(pem)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    status, headers, der = plain_get(gateway, f"{prefix}/cert/der")
    assert (status, headers["content-type"]) == (200, "application/pkix-cert")
    assert x509.load_der_x509_certificate(der) == certificate
    status, headers, bundle = plain_get(gateway, f"{prefix}/cert/p12")
    assert (status, headers["content-type"]) == (200, "application/x-pkcs12")
    key, _, others = pkcs12.load_key_and_certificates(bundle, P12_PASSWORD)
    assert key is None, "the CA's key must never leave"
    assert certificate in others


def test_the_ca_can_speak_for_the_cloud_only(gateway: Gateway):
    certificate = x509.load_pem_x509_certificate(gateway.ca.read_bytes())
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = {name.value for name in constraints.value.permitted_subtrees or [] if isinstance(name, x509.DNSName)}
    assert "amazonaws.com" in permitted
    assert not permitted & {"", "com", ".com", "example.com"}


def test_instructions(gateway: Gateway):
    for target in ("/", "http://csg/"):
        status, headers, body = plain_get(gateway, target, f"127.0.0.1:{gateway.port}")
        assert status == 200
        assert headers["content-type"].startswith("text/")
        for word in (b"HTTPS_PROXY", b"AWS_CA_BUNDLE", b"/cert/pem", b"NODE_EXTRA_CA_CERTS"):
            assert word in body


def test_health(gateway: Gateway):
    assert plain_get(gateway, "/healthz")[0] == 200


def test_several_pages_on_one_connection(gateway: Gateway):
    with Connection(gateway.address) as connection:
        for target in ("/healthz", "/cert/pem", "/nothing-here", "/healthz"):
            status = connection.request(f"GET {target} HTTP/1.1\r\nHost: csg\r\n\r\n".encode()).status
            assert status == (404 if target == "/nothing-here" else 200)


# What is not served


@pytest.mark.parametrize(
    "target",
    [
        "http://example.com/",
        "http://169.254.169.254/latest/meta-data/",
        f"http://{DYNAMODB}/",
        "http://csg.evil.example/",
    ],
)
def test_plain_http_to_other_hosts(target: str, gateway: Gateway):
    assert plain_get(gateway, target)[0] == 403


@pytest.mark.parametrize("port", ["80", "22", "8443", "0"])
def test_only_port_443(port: str, gateway: Gateway):
    with Connection(gateway.address) as connection:
        got = connection.connect(f"{DYNAMODB}:{port}")
    assert got.status == 403
    assert b"443" in got.body


@pytest.mark.parametrize(
    "target", [DYNAMODB, f"user@{DYNAMODB}:443", ":443", f"{DYNAMODB}:x", f"http://{DYNAMODB}:443/"]
)
def test_a_malformed_target_of_connect(target: str, gateway: Gateway):
    with Connection(gateway.address) as connection:
        assert connection.connect(target).status in (400, 403)


# Names


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "amazonaws.com",
        "amazonaws.com.evil.example",
        "dynamodb.us-east-1.amazonaws.com.evil.example",
        "dynamodb.us-east-1.evilamazonaws.com",
        "evildynamodb.us-east-1.amazonaws.com",
        "evil.example.us-east-1.amazonaws.com",
        "bucket.s3.amazonaws.com.evil.example",
        "lambda.us-east-1.api.aws.evil.example",
        "lambda.us-east-1.evilapi.aws",
        "abcdef.lambda-url.us-east-1.on.aws.evil.example",
        "sqs.cn-north-1.amazonaws.com.cn.evil.example",
        "ec2-198-51-100-7.compute-1.amazonaws.com",
        "internal-lb-1.us-east-1.elb.amazonaws.com",
        "bucket.s3-website-us-east-1.amazonaws.com",
        # Who has a certificate or a password gets credentials, or in, without a signature.
        "c1a2b3c4d5e6f7.credentials.iot.us-east-1.amazonaws.com",
        "email-smtp.us-east-1.amazonaws.com",
        "169.254.169.254",
        "127.0.0.1",
        "[::1]",
        "localhost",
    ],
)
def test_a_host_that_is_not_in_the_catalogue(host: str, gateway: Gateway):
    with Connection(gateway.address) as connection:
        got = connection.connect(f"{host}:443")
    assert got.status == 403
    assert host.encode() in got.body
    assert got.headers["content-type"].startswith("text/plain")


def test_the_sdk_says_so_too(way: Way):
    client = way.boto3("dynamodb", endpoint_url="https://dynamodb.example.com", retries={"total_max_attempts": 1})
    with pytest.raises(ProxyConnectionError):
        client.list_tables()


def test_sni_other_than_the_tunnels_host(gateway: Gateway):
    with Connection(gateway.address) as connection:
        assert connection.connect(f"{DYNAMODB}:443").status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connection.start_tls(gateway.ca, "sns.us-east-1.amazonaws.com")


def test_host_header_other_than_the_tunnels_host(way: Way, gateway: Gateway, cloud: StrictMoto):
    """Rightly signed, for another host than the tunnel was asked for."""
    seen = len(cloud.verdicts())
    with tunnel(gateway.address, way.ca, DYNAMODB) as connection:
        got = connection.request(list_tables(way.key, host="dynamodb.us-west-2.amazonaws.com", region="us-west-2"))
    assert got.status in (400, 403)
    assert DYNAMODB.encode() in got.body
    assert got.headers["x-amzn-requestid"]
    assert len(cloud.verdicts()) == seen


def test_no_sni(gateway: Gateway):
    """Chapter and verse of the contract: what the client sees, what the certificate says, the line in the log."""
    with Connection(gateway.address) as connection:
        assert connection.connect(f"{DYNAMODB}:443").status == 200
        with pytest.raises(ssl.SSLCertVerificationError, match="CERTIFICATE_VERIFY_FAILED"):
            connection.start_tls(gateway.ca, None)
    line = (
        f"<< Cannot establish TLS with {DYNAMODB}:443 (sni: None): "
        "TlsException('Cannot validate certificate hostname without SNI',)"
    )
    wait_until(lambda: line in gateway.running().text(), 5, "the line in the log")


def test_the_certificate_shown_without_sni_says_what_is_missing(gateway: Gateway):
    with Connection(gateway.address) as connection:
        assert connection.connect(f"{DYNAMODB}:443").status == 200
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        secured = context.wrap_socket(connection.socket)
        shown = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
        assert shown.issuer == shown.subject
        assert "SNI" in shown.subject.rfc4514_string()
        secured.sendall(list_tables(Key("AKIAUNKNOWNUNKNOWN00", "x")))
        assert secured.recv(100) == b"", "whoever accepts that certificate is not served all the same"

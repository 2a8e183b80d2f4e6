"""What is refused, and what the client reads then: status, error code and message, in each protocol's own form."""

import re
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from botocore.parsers import ResponseParserError

from harness.calls import ONE_PER_PROTOCOL, call, lister, refused, worded
from harness.clients import Way, refusal
from harness.cloud import Key, StrictMoto
from harness.gateway import NINE_SERVICES, Gateway, Team
from harness.process import wait_until
from harness.wire import DYNAMODB, list_tables, raw_request, signed_headers, tunnel

NO_ACCESS = "Client is unknown or has no access to service"
NOT_ACTIVE = "Client is not Active"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)


def access_denied(service: str) -> str:
    return worded(service, "AccessDeniedException", "AccessDenied")


def signature_wrong(service: str) -> str:
    return worded(service, "InvalidSignatureException", "SignatureDoesNotMatch")


# Keys


@pytest.mark.parametrize("service", NINE_SERVICES)
def test_wrong_secret(service: str, way: Way):
    got = refused(way.with_key(Key(way.key.id, way.key.secret[:-1] + "!")), service)
    assert (got.status, got.code, got.message) == (403, signature_wrong(service), MISMATCH)


@pytest.mark.parametrize("service", NINE_SERVICES)
def test_unknown_key(service: str, way: Way):
    got = refused(way.with_key(Key("AKIAUNKNOWNUNKNOWN00", way.key.secret)), service)
    code = worded(service, "UnrecognizedClientException", "InvalidClientTokenId")
    assert (got.status, got.code, got.message) == (403, code, NO_ACCESS)


@pytest.fixture(scope="module")
def only_sns(team: Team, way: Way) -> Way:
    return way.with_key(team.grant("sns"))


@pytest.fixture(scope="module")
def only_ecs(team: Team, way: Way) -> Way:
    return way.with_key(team.grant("ecs"))


@pytest.mark.parametrize("service", NINE_SERVICES)
def test_service_not_granted(service: str, only_sns: Way, only_ecs: Way):
    granted, other = (only_ecs, only_sns) if service != "sns" else (only_sns, only_ecs)
    got = refused(other if service != "ecs" else only_sns, service)
    assert (got.status, got.code, got.message) == (403, access_denied(service), NO_ACCESS)
    if service in ("ecs", "sns"):
        call(granted, service)


@pytest.mark.parametrize("end", ["revoke", "archive"])
def test_ended_by_an_approver(end: str, team: Team, way: Way):
    """The next call is refused, also that of a client whose connection is open."""
    key = team.grant(*NINE_SERVICES)
    ended = way.with_key(key)
    for service in ONE_PER_PROTOCOL:
        call(ended, service)
    team.anna.post(f"/access-requests/{key.request}/{end}", comment="enough")
    for service in ONE_PER_PROTOCOL:
        got = refused(ended, service)
        assert (got.status, got.code, got.message) == (403, access_denied(service), NOT_ACTIVE)


def test_an_approved_request_whose_secret_nobody_has_read_is_no_access(team: Team):
    request = team.ask("sns")
    team.approve(request)
    seen = team.dora.get(f"/access-requests/{request['id']}")
    assert (seen["status"], seen["secret_available"]) == ("approved", True)


def test_ended_by_time(team: Team, way: Way):
    end = datetime.now(UTC) + timedelta(seconds=4)
    key = team.grant(*NINE_SERVICES, expires_at=end.isoformat(timespec="seconds").replace("+00:00", "Z"))
    ended = way.with_key(key)
    call(ended, "dynamodb")

    def has_ended() -> bool:
        return team.dora.get(f"/access-requests/{key.request}")["status"] == "expired"

    wait_until(lambda: datetime.now(UTC) > end, 10, "the time to run out")
    for service in ONE_PER_PROTOCOL:
        got = refused(ended, service)
        assert (got.status, got.code, got.message) == (403, access_denied(service), NOT_ACTIVE)
    wait_until(has_ended, 70, "the request to be shown as expired")


def test_requester_disabled(team: Team, way: Way):
    ben = team.add_person("ben", "developer", team.environment)
    key = way.with_key(team.grant(*NINE_SERVICES, who=ben))
    call(key, "dynamodb")
    team.admin.patch("/users/ben", disabled=True)
    for service in ONE_PER_PROTOCOL:
        got = refused(key, service)
        assert (got.status, got.code, got.message) == (403, access_denied(service), NOT_ACTIVE)


def test_rotation_keeps_the_old_key_until_its_overlap_ends(team: Team, way: Way):
    old = team.grant("sns")
    team.dora.post(f"/access-requests/{old.request}/rotate", overlap="3s")
    new = team.reveal({"id": old.request})
    assert (new.id, new.secret) != (old.id, old.secret)
    call(way.with_key(new), "sns")

    def old_is_refused() -> bool:
        try:
            call(way.with_key(old), "sns")
        except ResponseParserError:
            return False  # it was on its way when the overlap ended, and its answer was cut off
        except Exception as error:
            assert NOT_ACTIVE in str(error) or NO_ACCESS in str(error), error
            return True
        return False

    wait_until(old_is_refused, 15, "the old key to stop working", every=0.3)
    call(way.with_key(new), "sns")


# Signatures


@pytest.mark.parametrize("minutes", [-16, 16])
@pytest.mark.parametrize("service", ONE_PER_PROTOCOL)
def test_clock_off(service: str, minutes: int, way: Way):
    there = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: there):
        got = refused(way, service)
    assert (got.status, got.code) == (403, worded(service, "InvalidSignatureException", "RequestTimeTooSkewed"))
    times = [re.sub("[-:]", "", found) for found in re.findall(r"\d{4}-?\d\d-?\d\dT\d\d:?\d\d:?\d\d", got.message)]
    assert there.strftime("%Y%m%dT%H%M%S") in times, got.message
    assert len(set(times)) >= 2, got.message


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_within_fifteen_minutes_is_fine(minutes: int, way: Way):
    there = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: there):
        call(way, "sns")


def change_body(request) -> None:
    if request.body:
        request.body = request.body[:-1] + request.body[:1]
    else:
        request.url += ("&" if "?" in request.url else "?") + "tampered=1"


def change_signed_header(request) -> None:
    request.headers["X-Amz-Date"] = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y%m%dT%H%M%SZ")


def change_path(request) -> None:
    request.url = request.url.replace(".amazonaws.com/", ".amazonaws.com/other/")


def change_method(request) -> None:
    request.method = "PUT"


@pytest.mark.parametrize("change", [change_body, change_signed_header, change_path, change_method])
@pytest.mark.parametrize("service", NINE_SERVICES)
def test_changed_after_signing(service: str, change, way: Way, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    got = refused(way, service, change)
    assert (got.status, got.code, got.message) == (403, signature_wrong(service), MISMATCH)
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"


def test_an_upload_that_is_not_what_its_hash_says_never_completes(way: Way, cloud: StrictMoto):
    """Glacier declares its hash, so the body streams: what is wrong is known only with its last byte."""
    client = way.boto3("glacier")
    client.create_vault(accountId="-", vaultName="tampered")

    def change(request, **_) -> None:
        if request.method == "POST":
            request.body = b"y" + b"x" * 999_999

    client.meta.events.register("before-send.glacier.UploadArchive", change)
    got = refusal(client.upload_archive, accountId="-", vaultName="tampered", body=b"x" * 1_000_000)
    assert (got.status, got.code) == (403, "InvalidSignatureException")
    assert got.message == "The provided 'x-amz-content-sha256' header does not match what was computed."

    def uploads() -> list[dict]:
        return [verdict for verdict in cloud.verdicts() if verdict["target"].endswith("/tampered/archives")]

    [verdict] = wait_until(uploads, 10, "the cloud to notice that the upload was cut")
    assert "refused" in verdict, "a whole upload reached the cloud"


@pytest.mark.parametrize("service", NINE_SERVICES)
def test_an_unsigned_amz_header(service: str, way: Way, cloud: StrictMoto):
    def add(request) -> None:
        request.headers["X-Amz-Expected-Bucket-Owner"] = "999999999999"

    seen = len(cloud.verdicts())
    got = refused(way, service, add)
    assert (got.status, got.code) == (400, worded(service, "IncompleteSignatureException", "IncompleteSignature"))
    told = "There were headers present in the request which were not signed: x-amz-expected-bucket-owner"
    assert got.message == told
    assert len(cloud.verdicts()) == seen


def test_an_unsigned_header_of_another_name_goes_along(way: Way, cloud: StrictMoto):
    def add(request) -> None:
        request.headers["X-Trace"] = "7"

    lister(way, "sns", add)()
    assert "x-trace" in cloud.verdicts()[-1]["headers"]
    assert "x-trace" not in cloud.verdicts()[-1]["signed_headers"]


# Ways to sign that are not taken


@pytest.mark.parametrize(
    "payload",
    [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "UNSIGNED-PAYLOAD",
    ],
)
def test_a_body_that_is_not_hashed_is_refused_with_the_reason(payload: str, way: Way, gateway: Gateway):
    body = b"2;chunk-signature=" + b"0" * 64 + b"\r\n{}\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
    with tunnel(gateway.address, way.ca, DYNAMODB) as connection:
        got = connection.request(list_tables(way.key, extra={"X-Amz-Content-SHA256": payload}, body=body))
        assert got.status == 403
        assert got.headers["x-amzn-errortype"] == "AccessDeniedException"
        assert payload.encode() in got.body
        again = connection.request(list_tables(way.key))
        assert again.status == 200, "the connection must stay usable"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "MissingAuthenticationTokenException"),
        ("AWS AKIAIOSFODNN7EXAMPLE:c2lnbmF0dXJl", "AccessDeniedException"),
        ("Bearer token", "AccessDeniedException"),
        ("AWS4-ECDSA-P256-SHA256 Credential=K/20260101/dynamodb/aws4_request, SignedHeaders=host, Signature=00",
         "IncompleteSignatureException"),
        ("AWS4-ECDSA-P384-SHA384 Credential=K/20260101/dynamodb/aws4_request, SignedHeaders=host, Signature=00",
         "AccessDeniedException"),
        ("AWS4-HMAC-SHA256", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/dynamodb/aws4_request", "IncompleteSignatureException"),
    ],
)  # fmt: skip
def test_other_authorizations(authorization: str | None, code: str, way: Way, gateway: Gateway):
    head = {
        "Host": DYNAMODB,
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.ListTables",
    }
    if authorization:
        head["Authorization"] = authorization
    with tunnel(gateway.address, way.ca, DYNAMODB) as connection:
        got = connection.request(raw_request(head, body=b"{}"))
    assert got.status in (400, 403)
    assert got.headers["x-amzn-errortype"] == code
    assert got.headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("region", "service"), [("eu-west-1", "dynamodb"), ("us-east-1", "sns"), ("us-east-1", "execute-api")]
)
def test_a_scope_that_disagrees_with_the_host(region: str, service: str, way: Way, gateway: Gateway):
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"}
    signed = signed_headers(way.key, service, DYNAMODB, headers=headers, body=b"{}", region=region)
    with tunnel(gateway.address, way.ca, DYNAMODB) as connection:
        got = connection.request(raw_request(signed, body=b"{}"))
    assert (got.status, got.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert b"Credential should be scoped to" in got.body


# Size


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_over_the_limit_in_xml_and_however_framed(framing: str, way: Way, gateway: Gateway):
    body = b"Action=Publish&Version=2010-03-31&Message=" + b"x" * (17 << 20)
    host = "sns.us-east-1.amazonaws.com"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    signed = signed_headers(way.key, "sns", host, headers=headers, body=body)
    with tunnel(gateway.address, way.ca, host) as connection:
        if framing == "length":
            data = raw_request(signed, body=body)
        else:
            head = raw_request(signed | {"Transfer-Encoding": "chunked"})
            data = head + b"".join(
                b"100000\r\n%b\r\n" % body[at : at + (1 << 20)] for at in range(0, 16 << 20, 1 << 20)
            )
            data += b"100000\r\n" + bytes(1 << 20) + b"\r\n0\r\n\r\n"
        got = connection.request(data)
    assert got.status == 413
    assert b"<Code>RequestEntityTooLarge</Code>" in got.body
    assert b"16777216" in got.body


# Operations that hand out credentials


def test_an_operation_that_hands_out_credentials(way: Way, cloud: StrictMoto):
    client = way.boto3("redshift")
    seen = len(cloud.verdicts())
    got = refusal(client.get_cluster_credentials, DbUser="dora", ClusterIdentifier="sales")
    assert (got.status, got.code) == (403, "AccessDenied")
    assert got.message == (
        "Action 'GetClusterCredentials' would hand out cloud credentials and is not allowed by this access request"
    )
    assert len(cloud.verdicts()) == seen


def test_such_an_operation_is_allowed_by_name(team: Team, way: Way):
    allowed = ["redshift:GetClusterCredentials"]
    client = way.with_key(team.grant("redshift", allow_credential_operations=allowed)).boto3("redshift")
    client.create_cluster(
        ClusterIdentifier="lent",
        NodeType="ra3.large",
        MasterUsername="dora",
        MasterUserPassword="Correct1horse",
        NumberOfNodes=2,
    )
    assert client.get_cluster_credentials(DbUser="dora", ClusterIdentifier="lent")["DbPassword"]
    client.delete_cluster(ClusterIdentifier="lent", SkipFinalClusterSnapshot=True)

"""Every refusal in every protocol: the SDK raises its typed error, with the message intact, and tries no second time."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

from harness.certificates import make_cloud_certificates
from harness.clients import Way
from harness.cloud import Key, StrictMoto
from harness.gateway import Team
from harness.paths import REPOSITORY
from harness.spoken import ACCOUNT, EVERYTHING, OTHER_ACCOUNT, SERVICES, Call, Spoken, told, type_of

NO_ACCESS = "Client is unknown or has no access to service"
NOT_ACTIVE = "Client is not Active"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
UNRECOGNISED = "The operation of this request could not be recognised, so the gateway cannot allow it"
ONCE = {"retries": {"total_max_attempts": 1}}  # where a retry may mend it, so that SDKs try again
every_protocol = pytest.mark.parametrize("spoken", EVERYTHING.values(), ids=EVERYTHING)


def those_with(wanted: str) -> Any:
    """The protocols that have such a call."""
    having = {name: spoken for name, spoken in EVERYTHING.items() if getattr(spoken, wanted)}
    return pytest.mark.parametrize("spoken", having.values(), ids=having)


@pytest.fixture(scope="module")
def granted(team: Team) -> Key:
    return team.grant(*SERVICES)


@pytest.fixture(scope="module")
def through(way: Way, granted: Key) -> Way:
    return way.with_key(granted)


@every_protocol
def test_unknown_key(spoken: Spoken, through: Way):
    got = spoken.refused(through.with_key(Key("AKIAUNKNOWNUNKNOWN00", through.key.secret)))
    code = spoken.code("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId")
    assert told(got) == (403, code, spoken.message(NO_ACCESS))


@every_protocol
def test_wrong_secret(spoken: Spoken, through: Way):
    got = spoken.refused(through.with_key(Key(through.key.id, "wrong")))
    code = spoken.code("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")
    assert told(got) == (403, code, spoken.message(MISMATCH))


@pytest.fixture(scope="module")
def other_service(team: Team, way: Way) -> Way:
    return way.with_key(team.grant("glacier"))


@every_protocol
def test_service_not_granted(spoken: Spoken, other_service: Way):
    assert told(spoken.refused(other_service)) == spoken.denied(NO_ACCESS)


@pytest.fixture(scope="module")
def ended(team: Team, way: Way) -> Way:
    key = team.grant(*SERVICES)
    team.anna.post(f"/access-requests/{key.request}/revoke", comment="enough")
    return way.with_key(key)


@every_protocol
def test_key_that_is_not_active(spoken: Spoken, ended: Way):
    assert told(spoken.refused(ended)) == spoken.denied(NOT_ACTIVE)


@every_protocol
@pytest.mark.parametrize("minutes", [-16, 16])
def test_clock_off(minutes: int, spoken: Spoken, through: Way):
    there = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: there):
        got = spoken.refused(through)
    code = spoken.code("InvalidSignatureException", "RequestTimeTooSkewed", "RequestTimeTooSkewed")
    assert (got.status, got.code) == (403, code)
    if spoken.has_body:
        times = re.findall(r"\d{4}-?\d\d-?\d\dT\d\d:?\d\d:?\d\d", got.message)
        assert there.strftime("%Y%m%dT%H%M%S") in [re.sub("[-:]", "", time) for time in times], got.message
        assert len(set(times)) == 2, got.message


@every_protocol
def test_changed_on_the_way(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["X-Amz-Date"] = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y%m%dT%H%M%SZ")

    got = spoken.refused(through, event="before-send", change=change)
    code = spoken.code("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")
    assert told(got) == (403, code, spoken.message(MISMATCH))


@every_protocol
def test_a_header_that_had_to_be_signed(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["X-Amz-Meta-Evil"] = "1"

    got = spoken.refused(through, event="before-send", change=change)
    code = spoken.code("IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed", 400)
    said = "There were headers present in the request which were not signed: x-amz-meta-evil"
    assert told(got) == (400, code, spoken.message(said, 400))


@every_protocol
def test_a_host_other_than_the_tunnels(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["Host"] = "kms.us-east-1.amazonaws.com"

    got = spoken.refused(through, event="before-send", change=change)
    code = spoken.code("SerializationException", "MalformedInput", "InvalidRequest", 400)
    assert (got.status, got.code) == (400, code)
    if spoken.has_body:
        assert re.fullmatch(r"The request must name [\w.-]+ in its one Host header, as the tunnel does", got.message)


@every_protocol
def test_not_signed(spoken: Spoken, through: Way):
    got = spoken.refused(through, signature_version=UNSIGNED)
    code = spoken.code("MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied")
    assert told(got) == (403, code, spoken.message("Missing Authentication Token"))


@every_protocol
def test_signed_in_another_way(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["Authorization"] = "AWS AKIAIOSFODNN7EXAMPLE:c2lnbmF0dXJl"

    got = spoken.refused(through, event="before-send", change=change)
    assert (got.status, got.code) == spoken.denied("")[:2]
    assert "AWS4-HMAC-SHA256" in got.message or not spoken.has_body


@every_protocol
def test_scope_of_another_service(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        authorization = request.headers["Authorization"].decode()
        request.headers["Authorization"] = re.sub(r"/[\w-]+/aws4_request", "/kms/aws4_request", authorization)

    client = spoken.client(through)
    client.meta.events.register("before-send", lambda request, **_: change(request))
    got = spoken.looked_at(client, Call(spoken.call, spoken.parameters))
    code = spoken.code("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")
    assert (got.status, got.code) == (403, code)
    assert got.message.startswith("Credential should be scoped to correct service: '") or not spoken.has_body


@every_protocol
def test_what_cannot_be_named(spoken: Spoken, through: Way):
    def change(request: Any) -> None:
        request.headers["X-HTTP-Method-Override"] = "DELETE"

    assert told(spoken.refused(through, event="before-sign", change=change)) == spoken.denied(UNRECOGNISED)


# What depends on what is called


@those_with("handing")
def test_what_hands_out_credentials(spoken: Spoken, through: Way, cloud: StrictMoto):
    assert spoken.handing
    seen = len(cloud.verdicts())
    got = spoken.looked_at(spoken.client(through, spoken.handing), spoken.handing)
    operation = spoken.handing.operation
    said = f"Action '{operation}' would hand out cloud credentials and is not allowed by this access request"
    assert told(got) == spoken.denied(said)
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"


@pytest.fixture(scope="module")
def bound(team: Team, way: Way) -> Way:
    """Access under a rule."""
    rule = {
        "type": "csg.resource.name.prefix",
        "value": "ours-",
        "status": "enforced",
        "conditions": {"cloud": "aws", "service": None, "operation": None},
    }
    group = team.admin.post("/policy-groups", name="errors", policies=[rule])["id"]
    return way.with_key(team.grant(*SERVICES, policy_group=group))


@those_with("creating")
def test_what_a_rule_forbids(spoken: Spoken, bound: Way, cloud: StrictMoto):
    assert spoken.creating
    seen = len(cloud.verdicts())
    got = spoken.looked_at(spoken.client(bound, spoken.creating), spoken.creating)
    said = f"Action '{spoken.creating.operation}' violates policy 'csg.resource.name.prefix'"
    assert told(got) == spoken.denied(said)
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"


@pytest.fixture(scope="module")
def within(team: Team, way: Way) -> Way:
    """Access to one account alone."""
    environment = team.admin.post("/environments", id="pinned", name="Pinned", accounts=[ACCOUNT])["id"]
    team.admin.patch(f"/credentials/{team.credential}", environments=[team.environment, environment])
    team.admin.post("/users", username="piet", password="correct horse battery staple", roles=[
        {"role": "developer", "environment": environment},
    ])  # fmt: skip
    piet = team.gateway.sign_in("piet")
    request = piet.post(
        f"/environments/{environment}/access-requests",
        cloud="aws",
        services=SERVICES,
        justification="the client tests need it",
        duration=None,
    )
    team.approve(request)
    return way.with_key(team.reveal(request, piet))


@those_with("elsewhere")
def test_another_account(spoken: Spoken, within: Way, cloud: StrictMoto):
    assert spoken.elsewhere
    seen = len(cloud.verdicts())
    got = spoken.looked_at(spoken.client(within, spoken.elsewhere), spoken.elsewhere)
    assert told(got) == spoken.denied(f"Account '{OTHER_ACCOUNT}' is not allowed by this access request")
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"


class Presigner(SigV4QueryAuth):
    """Of a request with a body."""

    def __init__(self, key: Key, scope: list[str], body: bytes):
        super().__init__(Credentials(key.id, key.secret), scope[3], scope[2], expires=60)
        self.body = body

    def payload(self, request: AWSRequest) -> str:
        return hashlib.sha256(self.body).hexdigest()


def content(request: Any) -> bytes:
    body = request.body or b""
    if hasattr(body, "read"):
        body.seek(0)
        request.body = body = body.read()
    return body.encode() if isinstance(body, str) else body


@every_protocol
def test_a_url_that_has_expired(spoken: Spoken, through: Way):
    """No SDK follows one; but what it makes of the answer is what its user would be told."""
    then = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)

    def change(request: Any) -> None:
        scope = re.search(rb"Credential=([^,]+)", request.headers.pop("Authorization"))[1].decode().split("/")
        for name in ("X-Amz-Date", "X-Amz-Content-SHA256"):
            request.headers.pop(name, None)
        headers = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
            if name.lower().startswith("x-amz-")
        }
        presigned = AWSRequest(request.method, request.url, headers)
        with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: then):
            Presigner(through.key, scope, content(request)).add_auth(presigned)
        request.url = presigned.url

    got = spoken.refused(through, event="before-send", change=change)
    assert (got.status, got.code) == spoken.denied("")[:2]
    ended = (then + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%S")
    expected = f"Request has expired: the URL was good until {ended}"
    assert got.message.startswith(expected) or not spoken.has_body, got.message


MODELLED = {
    "codeartifact": ("list_domains", {}, "AccessDeniedException"),
    "cloudfront": ("list_distributions", {}, "AccessDenied"),
    "kinesis": ("list_streams", {}, "AccessDeniedException"),
    "logs": ("describe_log_groups", {}, "AccessDeniedException"),
}


@pytest.mark.parametrize("service", MODELLED)
def test_the_class_of_the_services_own_model_is_raised(service: str, through: Way, other_service: Way):
    """By which programs catch it."""
    method, parameters, code = MODELLED[service]
    client = other_service.boto3(service)
    assert type_of(client, code) == code, "the model has it"
    with pytest.raises(getattr(client.exceptions, code)) as raised:
        getattr(client, method)(**parameters)
    assert raised.value.response["Error"]["Message"] == NO_ACCESS
    client = through.with_key(Key("AKIAUNKNOWNUNKNOWN00", through.key.secret)).boto3("logs")
    with pytest.raises(client.exceptions.UnrecognizedClientException):
        client.describe_log_groups()


# What has to be held


# By setting: what has to be read has to be in memory; what has to be hashed may be in a file.
LIMITS = {
    "max_buffered_body": (1 << 20, ["query", "query, once more", "ec2"]),
    "max_spooled_body": (
        2 << 20,
        [
            "json 1.0",
            "json 1.1",
            "json, once query",
            "cbor",
            "cbor, once query",
            "rest-json",
            "rest-xml",
            "rest-xml, other",
        ],
    ),
}
SPOOLED = LIMITS["max_spooled_body"][1]


@pytest.fixture(scope="module")
def frugal_team(make_gateway: Callable, cloud: StrictMoto) -> Team:
    """Of a gateway that holds little, and less in all than it would of one."""
    settings = {name: f"{limit >> 20}MiB" for name, (limit, _) in LIMITS.items()}
    settings["max_spooled_total"] = "1MiB"
    return Team(make_gateway({"*.amazonaws.com": cloud.address}, {"gateway": settings}))


@pytest.fixture(scope="module")
def frugal(frugal_team: Team) -> Way:
    key = frugal_team.grant(*SERVICES)
    return Way(frugal_team.gateway.proxy_url, frugal_team.gateway.ca, key)


def large(size: int) -> Callable[[Any], None]:
    def change(request: Any) -> None:
        request.data = b"x" * size

    return change


@pytest.mark.parametrize(
    ("name", "setting"), [(name, setting) for setting, (_, names) in LIMITS.items() for name in names]
)
def test_a_body_over_the_limit(name: str, setting: str, frugal: Way, cloud: StrictMoto):
    """Where the body has to be held."""
    limit = LIMITS[setting][0]
    seen = len(cloud.verdicts())
    got = EVERYTHING[name].refused(frugal, event="before-sign", change=large(limit + 1))
    assert (got.status, got.code) == (413, "RequestEntityTooLarge")
    assert str(limit) in got.message
    assert f"gateway.{setting}" in got.message
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"


def test_a_body_over_the_limit_that_a_rule_looks_into(frugal_team: Team, cloud: StrictMoto):
    """S3's clients declare the hash, so that nothing else has their bodies held."""
    rule = {
        "type": "csg.resource.name.prefix",
        "value": "ours-",
        "status": "enforced",
        "conditions": {"cloud": "aws", "service": "s3control", "operation": None},
    }
    group = frugal_team.admin.post("/policy-groups", name="errors", policies=[rule])["id"]
    key = frugal_team.grant("s3control", policy_group=group)
    spoken = EVERYTHING["s3control"]
    assert spoken.creating
    client = spoken.client(Way(frugal_team.gateway.proxy_url, frugal_team.gateway.ca, key))
    client.meta.events.register("before-sign", lambda request, **_: large((1 << 20) + 1)(request))
    seen = len(cloud.verdicts())
    got = spoken.looked_at(client, spoken.creating)
    assert (got.status, got.code) == (413, "RequestEntityTooLarge")
    assert "gateway.max_buffered_body" in got.message
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"


def unavailable(name: str, way: Way, cloud: StrictMoto) -> str:
    """Makes a call with a body that goes into a file, and gives what it is told by a gateway that can't have one."""
    spoken = EVERYTHING[name]
    client = spoken.client(way, **ONCE)
    client.meta.events.register("before-sign", lambda request, **_: large((1 << 20) + (1 << 19))(request))
    seen = len(cloud.verdicts())
    got = spoken.looked_at(client, Call(spoken.call, spoken.parameters), retried=True)
    assert (got.status, got.code) == (503, "ServiceUnavailable")
    assert len(cloud.verdicts()) == seen, "it must not reach the cloud"
    return got.message


@pytest.mark.parametrize("name", SPOOLED)
def test_more_bodies_than_there_is_room_for(name: str, frugal: Way, cloud: StrictMoto):
    said = "The gateway cannot take calls now: too many large requests at one time; try again"
    assert unavailable(name, frugal, cloud) == said


@pytest.fixture(scope="module")
def no_disk(frugal_team: Team) -> Iterator[None]:
    """A file stands where the folder for bodies should be."""
    folder = Path(frugal_team.gateway.folder) / "data/spool"
    aside = folder.with_name("aside")
    if folder.exists():
        folder.rename(aside)
    folder.write_text("")
    yield
    folder.unlink()
    if aside.exists():
        aside.rename(folder)


@pytest.mark.parametrize("name", SPOOLED)
def test_bodies_that_cannot_be_kept(name: str, frugal: Way, no_disk: None, cloud: StrictMoto):
    said = "The gateway cannot take calls now: large requests can't be kept on disk; tell your administrator"
    assert unavailable(name, frugal, cloud) == said


def test_an_upload_that_is_not_what_its_hash_says(through: Way):
    def change(request: Any) -> None:
        request.body = b"y" + b"x" * 999

    got = EVERYTHING["s3 put"].refused(through, event="before-send", change=change)
    said = "The provided 'x-amz-content-sha256' header does not match what was computed."
    assert told(got) == (403, "XAmzContentSHA256Mismatch", said)


# The cloud


def at_the_cloud(spoken: Spoken, way: Way, words: str) -> None:
    client = spoken.client(way, **ONCE)
    got = spoken.looked_at(client, Call(spoken.call, spoken.parameters), retried=True)
    assert (got.status, got.code) == (502, "ServiceUnavailable" if spoken.has_body else "502")
    host = client.meta.endpoint_url.removeprefix("https://")
    assert not spoken.has_body or (host.split(".")[0] in got.message and words in got.message), got.message


@pytest.fixture(scope="module")
def nowhere(make_gateway: Callable) -> Way:
    """Through a gateway that can't reach the cloud."""
    team = Team(make_gateway({"*.amazonaws.com": "127.0.0.1:1"}))
    return Way(team.gateway.proxy_url, team.gateway.ca, team.grant(*SERVICES))


@every_protocol
def test_the_cloud_cannot_be_reached(spoken: Spoken, nowhere: Way):
    at_the_cloud(spoken, nowhere, "could not be reached: it can't be connected to")


@pytest.fixture(scope="module")
def distrustful(make_gateway: Callable, cloud: StrictMoto, tmp_path_factory: pytest.TempPathFactory) -> Way:
    """Through a gateway that trusts another authority than the cloud's."""
    others = make_cloud_certificates(tmp_path_factory.mktemp("others"))
    team = Team(make_gateway({"*.amazonaws.com": cloud.address}, {"upstream": {"ca_file": str(others.ca)}}))
    return Way(team.gateway.proxy_url, team.gateway.ca, team.grant(*SERVICES))


@every_protocol
def test_the_clouds_certificate_is_refused(spoken: Spoken, distrustful: Way, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    at_the_cloud(spoken, distrustful, "could not be reached: its certificate is not accepted")
    assert len(cloud.verdicts()) == seen


# What botocore's parsers are called, by the catalogue's names.
PARSERS = {
    "Cbor": "smithy-rpc-v2-cbor",
    "Ec2": "ec2",
    "Json10": "json",
    "Json11": "json",
    "Query": "query",
    "RestJson": "rest-json",
    "RestXml": "rest-xml",
}
RENDERED = REPOSITORY / "tests/it/snapshots/it__errors__each_is_as_botocore_was_shown_it.snap"


def test_each_that_can_be_rendered_is_read_by_botocore():
    """Also those that can't be brought on here: a cloud that is silent for a quarter of an hour, an audit log that takes
    nothing more, a credential that can't be used. tests/it/errors.rs holds the snapshot to what the gateway says."""
    rows = [json.loads(line) for line in RENDERED.read_text().split("\n---\n", 1)[1].splitlines() if line]
    # botocore has never spoken the CBOR of Kinesis from before Smithy's.
    rows = [row for row in rows if row["protocol"] != "CBOR, of old"]
    assert len(rows) == 23 * 11 and {row["protocol"] for row in rows} == set(PARSERS)
    models, loader = {}, Loader()
    for row in rows:
        name = row["service"]
        if name not in models:
            model = ServiceModel(loader.load_service_model(name, "service-2"), name)
            models[name] = model, ClientExceptionsFactory().create_client_exceptions(model)
        model, exceptions = models[name]
        operation = model.operation_model(model.operation_names[0])
        for status in (403, 503):
            answer = {
                "status_code": status,
                "headers": row["headers"],
                "body": base64.b64decode(row["body"]),
                "context": {},
            }
            parsed = create_parser(PARSERS[row["protocol"]]).parse(answer, operation.output_shape)
            error = parsed["Error"]
            raised = exceptions.from_code(error["Code"])(parsed, operation.name)
            assert isinstance(raised, ClientError) and row["message"] in str(raised), (row, parsed)
            # Services that spoke the query protocol before are known by their codes of then.
            code = row["headers"].get("x-amzn-query-error", row["code"]).split(";")[0]
            assert (error["Code"], error["Message"]) == (code, row["message"]), (row, parsed)
            assert raised.response["ResponseMetadata"]["RequestId"] == "r-1", (row, parsed)

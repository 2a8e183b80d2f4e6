"""One signed call of boto3 for every service of the catalogue: its cheapest operation that reads, its parameters made
from the model.

The cloud is the recording one: it knows no service, and takes what botocore's own signer says is rightly signed under
the real key. Host, service and region have to be those that boto3 chose, and the audit log has to name the operation.
"""

import copy
import re
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.model import OperationModel, ServiceModel

from harness.certificates import CloudCertificates
from harness.clients import CBOR, REGION, Way, environment, speaking
from harness.cloud import Key
from harness.crt import CRT, call_with_crt
from harness.gateway import Team
from harness.parameters import parameters, weight
from harness.process import wait_until
from harness.recording import Arrival, RecordingCloud
from harness.wire import raw_request, signed_headers, tunnel

# Every DNS suffix of the eight partitions.
SUFFIXES = (
    "amazonaws.com", "api.aws", "on.aws", "amazonaws.com.cn", "api.amazonwebservices.com.cn", "amazonaws.eu",
    "api.amazonwebservices.eu", "c2s.ic.gov", "api.aws.ic.gov", "sc2s.sgov.gov", "api.aws.scloud", "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk", "csp.hci.ic.gov", "api.aws.hci.ic.gov",
)  # fmt: skip
# Services that no model of botocore describes: whatever people put behind these hosts.
BY_HAND = {
    "appsync-api": ("appsync", "a1b2c3d4e5.appsync-api.us-east-1.amazonaws.com"),
    "execute-api": ("execute-api", "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"),
    "lambda-url": ("lambda", "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"),
    "opensearch-collection": ("aoss", "1tg2xudton46knx2a95g.us-east-1.aoss.amazonaws.com"),
    "opensearch-domain": ("es", "search-orders-abcdef.us-east-1.es.amazonaws.com"),
}
# Services that botocore leaves out, as it can't stream both ways.
BOTH_WAYS = ("rekognitionstreaming", "transcribestreaming")
# What boto3's one call does not show, and what does.
SHOWN_ELSEWHERE = {
    **dict.fromkeys(BY_HAND, "no model has it; called by hand, in test_services_without_a_model"),
    "rekognitionstreaming": "boto3 lacks it; its one operation is recognised in tests/it/recognition.rs",
    "transcribestreaming": "boto3 lacks it; called by the SDKs for JavaScript and Go, in test_http2.py",
}
# The services that can't be shown so, and how that looks: no more and no fewer.
NO_SIGNED = "it has no operation that is signed"
NOT_SHOWN = {
    "account-access-runtime": NO_SIGNED,
    "codecatalyst": NO_SIGNED,  # bearer tokens of its own
    "sdb": "Missing Authentication Token",  # it knows SigV2 only, which AWS has given up everywhere else
    "sso": NO_SIGNED,  # bearer tokens of its own
}
# Services that have nothing else: the approver allows it by name.
ONLY_HANDS_OUT = [
    "eks-auth:AssumeRoleForPodIdentity",
    "marketplace-reporting:GetBuyerDashboard",
    "sso-oidc:CreateTokenWithIAM",
]
# Where the cheapest operation that reads hands out credentials, although its name does not say so.
RATHER = {
    "fsx": "DescribeDataRepositoryTasks",
    "kinesis-video-signaling": "SendAlexaOfferToMaster",
    "m2": "ListEnvironments",
    "mediapackage": "ListHarvestJobs",
}
# All that these services have looks on the wire as the operations of another service do: it is told as the other's.
TWINS = {"signer-data": "signer", "sms-voice": "pinpoint-sms-voice", "wisdom": "qconnect"}
# Signed with SigV4A, for which boto3 wants awscrt.
ASYMMETRIC = ("cloudfront-keyvaluestore",)
# What no model can say.
GIVEN = {
    "cloudfront-keyvaluestore": {"KvsARN": "arn:aws:cloudfront::123456789012:key-value-store/0a1b2c3d"},
}
READS = ("List", "Describe", "Get", "BatchGet", "Search", "Query", "Lookup")
# These hand out credentials, and are refused by default.
HANDS_OUT = re.compile(r"Credential|Token|Password|Secret|Login|AccessKey|Session")
# (region, configuration of the client): the other partitions, and the other forms of hosts.
ELSEWHERE = {
    "China": ("cn-north-1", {}),
    "GovCloud": ("us-gov-west-1", {}),
    "Europe's own": ("eusc-de-east-1", {}),
    "iso": ("us-iso-east-1", {}),
    "iso-b": ("us-isob-east-1", {}),
    "iso-e": ("eu-isoe-west-1", {}),
    "iso-f": ("us-isof-south-1", {}),
    "FIPS": ("us-east-1", {"use_fips_endpoint": True}),
    "dual stack": ("eu-west-1", {"use_dualstack_endpoint": True}),
    "FIPS, dual stack": ("us-east-2", {"use_fips_endpoint": True, "use_dualstack_endpoint": True}),
    "China, dual stack": ("cn-northwest-1", {"use_dualstack_endpoint": True}),
    "GovCloud, FIPS": ("us-gov-east-1", {"use_fips_endpoint": True}),
}
ELSEWHERE_SERVICES = (
    "cloudwatch",
    "dynamodb",
    "ec2",
    "iam",
    "kms",
    "lambda",
    "logs",
    "route53",
    "s3",
    "sns",
    "sqs",
    "sts",
)


@dataclass
class Call:
    """A call of boto3, and what became of it."""

    service: str
    operation: str
    run: Callable[[], Any]
    host: str = ""
    scope: tuple[str, str] = ("", "")  # service and region, as boto3 signed them
    failure: str | None = None

    def make(self) -> None:
        try:
            self.run()
        except Exception as error:  # whatever it is, it is told as this service's
            self.failure = f"{type(error).__name__}: {error}"

    def note(self, request: Any, **_: Any) -> None:
        self.host = request.url.split("/")[2]
        authorization = request.headers.get("Authorization", b"")
        text = authorization.decode() if isinstance(authorization, bytes) else authorization
        found = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request", text)
        if found:
            self.scope = (found[2], found[1])


class Caller:
    """Makes clients of one session, whose loader keeps what several of them read."""

    def __init__(self, way: Way):
        self.way = way
        with environment(way.environment()):
            self.session = boto3.Session(region_name=REGION)
        self.loader = self.session._loader
        models = {service: self.loader.load_service_model(service, "service-2") for service in self.services()}
        self.shared = shared_operations(models)

    def services(self) -> list[str]:
        return self.session.get_available_services()

    def speaks(self, service: str, protocol: str) -> bool:
        metadata = self.loader.load_service_model(service, "service-2")["metadata"]
        return protocol in metadata.get("protocols", [metadata["protocol"]])

    def prepare(self, service: str, region: str = REGION, **options: Any) -> Call | None:
        model = ServiceModel(self.loader.load_service_model(service, "service-2"), service)
        operation = cheapest(model, self.shared.get(service, ()))
        if operation is None:
            return None
        once = {"total_max_attempts": 1}
        config = Config(retries=once, read_timeout=20, user_agent_extra=f"shows/{service}", **options)
        with environment(self.way.environment()):
            client = self.session.client(service, region_name=region, config=config)
        method = next(name for name, known in client.meta.method_to_api_mapping.items() if known == operation.name)
        given = parameters(operation) | GIVEN.get(service, {})
        call = Call(service, operation.name, lambda: getattr(client, method)(**given))
        client.meta.events.register("before-send", call.note)
        if service in ASYMMETRIC:

            def run() -> None:
                call.scope = (client.meta.service_model.signing_name, "*")
                call.host = call_with_crt(self.way, service, method, given, f"shows/{service}").split("/")[2]

            call.run = run
        return call


def cheapest(model: ServiceModel, shared: Collection[str] = ()) -> OperationModel | None:
    """The operation that reads and for which the least has to be made up; rather none that another service has, too."""
    if model.metadata.get("signatureVersion") == "bearer":
        return None
    signed = [
        operation
        for operation in map(model.operation_model, model.operation_names)
        if "none" not in (operation.auth_type, *(operation.auth or []))
        and "smithy.api#noAuth" not in (operation.auth or [])
        and not operation.has_event_stream_input
        and not operation.has_event_stream_output
        and not (operation.endpoint_discovery or {}).get("required")
    ]

    def cost(operation: OperationModel) -> tuple:
        rather = operation.name != RATHER.get(model.service_name, operation.name)
        hands_out = HANDS_OUT.search(operation.name) is not None
        reads = operation.name.startswith(READS)
        return rather, operation.name in shared, hands_out, not reads, weight(operation), operation.name

    return min(signed, key=cost, default=None)


def shared_operations(models: dict[str, dict]) -> dict[str, set[str]]:
    """By service, the operations that look on the wire as those of another service do."""
    known: dict[tuple, list[tuple[str, str]]] = {}
    for service, model in models.items():
        metadata = model["metadata"]
        signing_name = metadata.get("signingName", metadata["endpointPrefix"])
        for name, operation in model["operations"].items():
            path = re.sub(r"{[^}]*}", "{}", operation["http"]["requestUri"])
            target = (metadata.get("targetPrefix"), metadata["apiVersion"], name) if path == "/" else None
            known.setdefault((signing_name, operation["http"]["method"], path, target), []).append((service, name))
    found: dict[str, set[str]] = {}
    for group in known.values():
        for service, name in group if len(group) > 1 else []:
            found.setdefault(service, set()).add(name)
    return found


@pytest.fixture(scope="module")
def recording(certificates: CloudCertificates) -> Iterator[RecordingCloud]:
    cloud = RecordingCloud(certificates)
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def team(make_gateway: Callable, recording: RecordingCloud) -> Team:
    return Team(make_gateway({f"*.{suffix}": recording.address for suffix in SUFFIXES}))


@pytest.fixture(scope="module")
def catalogue(team: Team) -> list[str]:
    [aws] = [cloud for cloud in team.admin.get("/clouds") if cloud["id"] == "aws"]
    return [service["id"] for service in aws["services"]]


@pytest.fixture(scope="module")
def key(team: Team, catalogue: list[str]) -> Key:
    """A key for every service there is."""
    return team.grant(*catalogue, allow_credential_operations=ONLY_HANDS_OUT)


@pytest.fixture(scope="module")
def caller(team: Team, key: Key) -> Caller:
    return Caller(Way(team.gateway.proxy_url, team.gateway.ca, key))


def failures(calls: list[Call], recording: RecordingCloud, team: Team, key: Key) -> dict[str, str]:
    """Makes the calls, and says for each service that did not arrive as it should what is wrong."""
    seen = len(recording.arrivals)
    before = len(team.admin.calls(f"request={key.request}"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Call.make, calls))
    arrived = {shown(arrival): arrival for arrival in recording.arrivals[seen:]}
    records = wait_until(
        lambda: (found := team.admin.calls(f"request={key.request}")) and len(found) - before >= len(arrived) and found,
        20,
        "a record of each call",
    )
    audited = {record["cloud_request_id"]: record for record in records[: len(records) - before]}
    found = {}
    for call in calls:
        wrong = fault(call, arrived.get(call.service), audited)
        if wrong:
            found[call.service] = f"{call.operation} at {call.host}: {wrong}"
    return found


def shown(arrival: Arrival) -> str:
    found = re.search(r"shows/(\S+)", arrival.headers.get("user-agent", ""))
    return found[1] if found else ""


def fault(call: Call, arrival: Arrival | None, audited: dict[str, dict]) -> str | None:
    if arrival and arrival.wrong:
        return arrival.wrong
    if call.failure or arrival is None:
        return call.failure or "did not arrive"
    if (arrival.host, arrival.service, arrival.region) != (call.host, *call.scope):
        return f"arrived at {arrival.host} for {arrival.service} in {arrival.region}, not {call.host} {call.scope}"
    record = audited.get(arrival.id)
    if record is None:
        return "the audit log has no record of it"
    named = tuple(record[name] for name in ("host", "service", "region", "operation"))
    if named != (call.host, TWINS.get(call.service, call.service), call.scope[1], call.operation):
        return f"the audit log has {named}"
    return None


def test_the_catalogue_has_every_service_of_botocore(catalogue: list[str], caller: Caller):
    assert sorted(catalogue) == sorted({*caller.services(), *BY_HAND, *BOTH_WAYS})


def test_every_service(
    caller: Caller, catalogue: list[str], recording: RecordingCloud, team: Team, key: Key, say: Callable
):
    calls, wrong = [], {}
    without_crt = {} if CRT.is_dir() else dict.fromkeys(ASYMMETRIC, "awscrt could not be installed")
    for service in sorted(set(catalogue) - set(SHOWN_ELSEWHERE) - set(without_crt)):
        call = caller.prepare(service)
        if call:
            calls.append(call)
        else:
            wrong[service] = NO_SIGNED
    wrong |= failures(calls, recording, team, key)
    twins = {
        twin: f"arrived, but looks as a call of {other} does, and is told as that" for twin, other in TWINS.items()
    }
    others = SHOWN_ELSEWHERE | without_crt | twins | wrong
    shown = len(catalogue) - len(others)
    assert shown == len({call.service for call in calls} - set(others))
    say(f"{shown} of {len(catalogue)} services: one call each of boto3, verified by botocore's signer, told as itself")
    for service, reason in sorted(others.items()):
        say(f"  not {service}: {reason.splitlines()[0]}")
    unexpected = {
        service: reason
        for service, reason in wrong.items()
        if service not in NOT_SHOWN or NOT_SHOWN[service] not in reason
    }
    assert unexpected == {}
    assert sorted(wrong) == sorted(NOT_SHOWN), "those that are shown by now have to leave the list"


def test_every_service_that_also_speaks_cbor(
    caller: Caller, recording: RecordingCloud, team: Team, key: Key, say: Callable
):
    """No client's default by now, but what botocore does when it is told to."""
    with speaking(CBOR):
        calls = [caller.prepare(service) for service in caller.services() if caller.speaks(service, CBOR)]
    calls = [call for call in calls if call]
    seen = len(recording.arrivals)
    assert failures(calls, recording, team, key) == {}
    arrived = recording.arrivals[seen:]
    assert {arrival.headers.get("smithy-protocol") for arrival in arrived} == {"rpc-v2-cbor"}
    assert all(re.fullmatch(r"/service/[^/]+/operation/\w+", arrival.path) for arrival in arrived)
    say(f"{len(arrived)} services, one call each in CBOR")
    assert len(arrived) >= 40


# All whose model lets them be (`v4-unsigned-body`); and what no model can say.
UNSIGNED_BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "ebs": ("PutSnapshotBlock", {}),
    "lex-runtime": ("PostContent", {}),
    "lexv2-runtime": ("RecognizeUtterance", {}),
    "mediastore-data": ("PutObject", {}),
    "omics": ("UploadReadSetPart", {}),
    "s3": ("WriteGetObjectResponse", {"RequestRoute": "route"}),
}


def test_the_operations_whose_bodies_are_not_signed_are_these(caller: Caller):
    found = set()
    for service in caller.services():
        model = ServiceModel(caller.loader.load_service_model(service, "service-2"), service)
        for operation in map(model.operation_model, model.operation_names):
            if operation.auth_type == "v4-unsigned-body" or operation.unsigned_payload:
                found.add((service, operation.name))
    assert found == {(service, name) for service, (name, _) in UNSIGNED_BODIES.items()}


@pytest.mark.parametrize("service", UNSIGNED_BODIES)
def test_a_body_that_is_not_signed(service: str, caller: Caller, recording: RecordingCloud, team: Team, key: Key):
    name, more = UNSIGNED_BODIES[service]
    with environment(caller.way.environment()):
        # S3's clients sign this one nevertheless, unless they are told not to.
        config = Config(retries={"total_max_attempts": 1}, s3={"payload_signing_enabled": False})
        client = caller.session.client(service, config=config)
    operation = client.meta.service_model.operation_model(name)
    body = b"\0\xff" * 50_000
    given = parameters(operation) | more | {operation.input_shape.serialization["payload"]: body}
    method = next(python for python, known in client.meta.method_to_api_mapping.items() if known == name)
    getattr(client, method)(**given)
    arrival = recording.arrivals[-1]
    assert (arrival.wrong, arrival.whole, arrival.payload) == (None, True, "UNSIGNED-PAYLOAD")
    assert arrival.body == body
    records = wait_until(
        lambda: [one for one in team.admin.calls(f"request={key.request}") if one["cloud_request_id"] == arrival.id],
        10,
        "its record",
    )
    assert [(one["service"], one["operation"], one["outcome"]) for one in records] == [(service, name, "allowed")]


@pytest.mark.parametrize("place", ELSEWHERE)
def test_other_partitions_and_forms(place: str, caller: Caller, recording: RecordingCloud, team: Team, key: Key):
    region, options = ELSEWHERE[place]
    calls = [caller.prepare(service, region, **options) for service in ELSEWHERE_SERVICES]
    assert failures([call for call in calls if call], recording, team, key) == {}


@pytest.mark.parametrize("service", TWINS)
def test_a_twin_that_is_granted_alone(service: str, caller: Caller, team: Team):
    """What looks as the other's is allowed to whoever has either."""
    alone = copy.copy(caller)
    alone.way = caller.way.with_key(team.grant(service))
    call = alone.prepare(service)
    assert call is not None
    call.make()
    assert call.failure is None


@pytest.mark.parametrize("service", BY_HAND)
def test_services_without_a_model(service: str, recording: RecordingCloud, team: Team, key: Key):
    """Whatever the path: they have no operations of AWS's."""
    signing_name, host = BY_HAND[service]
    target = "/prod/orders/a%20b?x=1"
    headers = signed_headers(key, signing_name, host, "PUT", target, {"Content-Type": "text/plain"}, b"body")
    with tunnel(team.gateway.address, team.gateway.ca, host) as connection:
        assert connection.request(raw_request(headers, "PUT", target, b"body")).status == 200
    arrival = recording.arrivals[-1]
    assert (arrival.wrong, arrival.host, arrival.target, arrival.body) == (None, host, target, b"body")
    assert (arrival.service, arrival.region) == (signing_name, "us-east-1")
    [record] = wait_until(
        lambda: [record for record in team.admin.calls(f"request={key.request}") if record["host"] == host],
        10,
        "its record",
    )
    assert record["service"] == service

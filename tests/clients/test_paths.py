"""Paths that are hard to sign: S3 encodes once and leaves a path alone, everybody else encodes twice and normalises.

The cloud is the recording one: what botocore signs there has to be what botocore signed here, byte by byte.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from harness.certificates import CloudCertificates
from harness.clients import Way, refusal
from harness.cloud import Key
from harness.gateway import Team
from harness.process import wait_until
from harness.recording import Arrival, RecordingCloud
from harness.wire import raw_request, signed_headers, tunnel
from test_s3 import HARD_KEYS

ACCOUNT = "123456789012"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:orders"
API = "arn:aws:apigateway:us-east-1::/restapis/a1b2c3/stages/test stage"


@dataclass
class Call:
    service: str
    operation: str  # as boto3 spells it
    name: str  # as AWS does
    given: dict = field(default_factory=dict)


CALLS = [
    Call("lambda", "get_function", "GetFunction", {"FunctionName": "orders"}),
    Call("lambda", "get_function", "GetFunction", {"FunctionName": FUNCTION}),
    Call("lambda", "get_function", "GetFunction", {"FunctionName": f"{FUNCTION}:$LATEST"}),
    Call("lambda", "get_function", "GetFunction", {"FunctionName": "orders:$LATEST", "Qualifier": "$LATEST"}),
    Call("lambda", "invoke", "Invoke", {"FunctionName": f"{ACCOUNT}:function:orders:live", "Payload": b"{}"}),
    Call("lambda", "list_tags", "ListTags", {"Resource": FUNCTION}),
    Call("lambda", "get_policy", "GetPolicy", {"FunctionName": "orders", "Qualifier": "a~b+c d"}),
    Call("lambda", "get_alias", "GetAlias", {"FunctionName": "orders", "Name": "ümlaut/100%?&=#"}),
    Call("apigateway", "get_tags", "GetTags", {"resourceArn": API}),
    Call("apigateway", "get_resource", "GetResource", {"restApiId": "a b", "resourceId": "c+d@e:f"}),
    Call("apigateway", "get_model", "GetModel", {"restApiId": "a", "modelName": "with/slash%2F and space"}),
    Call("apigateway", "get_domain_name", "GetDomainName", {"domainName": "*.example.org"}),
    Call("apigatewayv2", "get_tags", "GetTags", {"ResourceArn": API}),
    Call("kafka", "describe_cluster", "DescribeCluster", {"ClusterArn": f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/a/b-1"}),
    Call("iot-data", "get_thing_shadow", "GetThingShadow", {"thingName": "a:b-c_d", "shadowName": "s"}),
    Call("iot-data", "publish", "Publish", {"topic": "a/b c/+d/%/$x", "payload": b"hello"}),
    Call("glacier", "list_tags_for_vault", "ListTagsForVault", {"accountId": "-", "vaultName": "a.b-c_d"}),
    Call("eks", "list_tags_for_resource", "ListTagsForResource", {"resourceArn": f"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/a"}),
    Call("bedrock-runtime", "converse", "Converse", {
        "modelId": f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.anthropic.model-v1:0",
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
    }),
    Call("iot-data", "publish", "Publish", {"topic": "ü/" * 256, "payload": b"x"}),
    Call("apigateway", "get_model", "GetModel", {"restApiId": "a", "modelName": "x" * 1024}),
    Call("apigateway", "get_model", "GetModel", {"restApiId": "a", "modelName": "..."}),
    Call("lambda", "get_alias", "GetAlias", {"FunctionName": "orders", "Name": "//"}),
    Call("lambda", "get_alias", "GetAlias", {"FunctionName": "orders", "Name": "%2e%2E"}),
    Call("route53", "get_hosted_zone", "GetHostedZone", {"Id": "Z0123/456"}),
    Call("xray", "list_tags_for_resource", "ListTagsForResource", {"ResourceARN": f"arn:aws:xray:us-east-1:{ACCOUNT}:group/a/b"}),
]  # fmt: skip
# Whatever somebody's own API may be asked for.
TARGETS = [
    "/",
    "/prod",
    "/prod/",
    "/prod/a%20b",
    "/prod/a+b",
    "/prod/a%2Fb",
    "/prod/a%2fb",
    "/prod/a%252Fb",
    "/prod//double//",
    "/prod/%C3%BC/%c3%bc",
    "/prod/~tilde/%7Etilde",
    "/prod/a:b@c!d$e&f'g(h)*i,j;k=l",
    "/prod/a?b=c&b=a&B=&d",
    "/prod/a?x=%2F%2B%20&y=a%2Fb%3Fc",
    # In the order of what is written, which is not that of what it means: %2F before "-", %7B before "a".
    "/prod/a?x-=1&x%2F=2&x=3&x%20=4&x=%7B&x=a&x=-&x=%2F",
    "/@connections/abc%3D",
    "/prod/" + "x" * 1024,
    "/prod/" + "%C3%BC" * 512,
    "/prod/..",
    "/prod/../other/./x/",
    "/prod/a/./b",
    "/prod/%2E%2E/x",
    "//prod",
]
# Names that make two paths of one. What is but dots is not even encoded: boto3 sends it, and signs the path without it.
DOTS = [
    Call("lambda", "get_function", "GetFunction", {"FunctionName": ".."}),
    Call("lambda", "delete_function", "DeleteFunction", {"FunctionName": "."}),
    Call("lambda", "get_alias", "GetAlias", {"FunctionName": "orders", "Name": ".."}),
    Call("apigateway", "get_model", "GetModel", {"restApiId": "a", "modelName": ".."}),
    Call("apigateway", "delete_rest_api", "DeleteRestApi", {"restApiId": "."}),
    Call("apigateway", "get_model", "GetModel", {"restApiId": "a", "modelName": "../b"}),
    Call("apigateway", "get_model", "GetModel", {"restApiId": "a", "modelName": "a/./b//c/.."}),
    Call("mediastore-data", "get_object", "GetObject", {"Path": "a//b"}),
    Call("mediastore-data", "get_object", "GetObject", {"Path": "a/../b"}),
]


@pytest.fixture(scope="module")
def recording(certificates: CloudCertificates) -> Iterator[RecordingCloud]:
    cloud = RecordingCloud(certificates)
    yield cloud
    cloud.stop()


@pytest.fixture(scope="module")
def team(make_gateway: Callable, recording: RecordingCloud) -> Team:
    return Team(make_gateway({"*.amazonaws.com": recording.address}))


@pytest.fixture(scope="module")
def key(team: Team) -> Key:
    return team.grant("s3", "execute-api", "apigatewaymanagementapi", *{call.service for call in CALLS + DOTS})


@pytest.fixture(scope="module")
def way(team: Team, key: Key) -> Way:
    return Way(team.gateway.proxy_url, team.gateway.ca, key)


def sent_and_arrived(client, recording: RecordingCloud, operation: str, given: dict) -> tuple[str, Arrival]:
    """The URL that boto3 sent, and what came of it."""
    sent: list[str] = []

    def note(request, **_) -> None:
        sent.append(request.url)

    client.meta.events.register("before-send", note)
    seen = len(recording.arrivals)
    getattr(client, operation)(**given)
    client.meta.events.unregister("before-send", note)
    [arrival] = recording.arrivals[seen:]
    return sent[0], arrival


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.service}-{call.name}")
def test_what_is_encoded_twice(call: Call, way: Way, recording: RecordingCloud, team: Team, key: Key):
    client = way.boto3(call.service, retries={"total_max_attempts": 1})
    query = f"request={key.request}&service={call.service}"
    before = len(team.admin.calls(query))
    url, arrival = sent_and_arrived(client, recording, call.operation, call.given)
    assert arrival.wrong is None
    assert f"https://{arrival.host}{arrival.target}" == url
    record = wait_until(
        lambda: (found := team.admin.calls(query)) and len(found) > before and found[0], 10, "its record"
    )
    assert (record["service"], record["operation"]) == (call.service, call.name)


@pytest.mark.parametrize("call", DOTS, ids=lambda call: f"{call.service}-{call.name}-{[*call.given.values()][-1]}")
def test_names_that_are_dots_are_refused(call: Call, way: Way, recording: RecordingCloud):
    """A cloud that decodes the path, or normalises it as the signature has it, reads another call than one that does not."""
    client = way.boto3(call.service, retries={"total_max_attempts": 1}, parameter_validation=False)
    seen = len(recording.arrivals)
    got = refusal(getattr(client, call.operation), **call.given)
    assert (got.status, got.retries) == (403, 0)
    # Where the path ends in dots, botocore leaves out the slash before them, which RFC 3986 keeps.
    if [*call.given.values()][-1] in (".", ".."):
        assert got.code == "InvalidSignatureException"
    else:
        assert got.message == "The operation of this request could not be recognised, so the gateway cannot allow it"
    assert recording.arrivals[seen:] == []


@pytest.mark.parametrize("target", TARGETS)
def test_apis_of_ones_own(target: str, recording: RecordingCloud, team: Team, key: Key):
    host = "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com"
    headers = signed_headers(key, "execute-api", host, "GET", target)
    with tunnel(team.gateway.address, team.gateway.ca, host) as connection:
        assert connection.request(raw_request(headers, "GET", target)).status == 200
    arrival = recording.arrivals[-1]
    assert (arrival.wrong, arrival.host, arrival.target) == (None, host, target)


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_keys_of_s3(style: str, way: Way, recording: RecordingCloud):
    client = way.boto3("s3", s3={"addressing_style": style}, retries={"total_max_attempts": 1})
    for key in HARD_KEYS:
        for operation, more in (("put_object", {"Body": b"x"}), ("head_object", {}), ("delete_object", {})):
            url, arrival = sent_and_arrived(client, recording, operation, {"Bucket": "papers", "Key": key, **more})
            assert arrival.wrong is None, key
            assert f"https://{arrival.host}{arrival.target}" == url

"""Every way of speaking with the cloud, and how its errors are worded there."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from .clients import CBOR, Refusal, Way, refusal, speaking

ACCOUNT, OTHER_ACCOUNT = "123456789012", "210987654321"


@dataclass(frozen=True)
class Call:
    """One call; `service` and `endpoint_url` where they are not those that its protocol is shown with."""

    method: str
    parameters: dict[str, Any] = field(default_factory=dict)
    operation: str = ""
    service: str = ""
    endpoint_url: str | None = None


@dataclass(frozen=True)
class Spoken:
    """A way of speaking with the cloud, and how its errors are worded: json, xml or s3; head and json head where there
    is no body, and so no message and no code but the status, or that of a header."""

    service: str
    call: str
    words: str
    parameters: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    protocol: str | None = None
    # One that hands out credentials; one that creates what has a name; one that names another account.
    handing: Call | None = None
    creating: Call | None = None
    elsewhere: Call | None = None

    def client(self, way: Way, call: Call | None = None, **settings: Any):
        service, endpoint_url = (call.service or self.service, call.endpoint_url) if call else (self.service, None)
        with speaking(self.protocol) if self.protocol else nullcontext():
            client = way.boto3(service, endpoint_url=endpoint_url, **(self.settings | settings))
        if self.protocol:
            assert client.meta.service_model.resolved_protocol == self.protocol
        return client

    def code(self, in_json: str, in_xml: str, in_s3: str, status: int = 403) -> str:
        return {"json": in_json, "xml": in_xml, "s3": in_s3, "head": str(status), "json head": in_json}[self.words]

    def message(self, message: str, status: int = 403) -> str:
        if self.has_body:
            return message
        return "" if self.words == "json head" else {400: "Bad Request", 403: "Forbidden"}[status]

    @property
    def has_body(self) -> bool:
        return self.words not in ("head", "json head")

    def refused(
        self, way: Way, *, event: str | None = None, change: Callable[[Any], None] | None = None, **settings: Any
    ) -> Refusal:
        """Makes the call, which has to fail with a typed error, at once; `change` changes its request at this event."""
        client = self.client(way, **settings)
        if event and change:
            client.meta.events.register(event, lambda request, **_: change(request))
        return self.looked_at(client, Call(self.call, self.parameters))

    def looked_at(self, client: Any, call: Call, retried: bool = False) -> Refusal:
        """Makes the call, which has to fail with a typed error: at once, unless a retry could mend it."""
        got = refusal(getattr(client, call.method), **call.parameters)
        if not retried:
            assert 400 <= got.status < 500
            assert got.retries == 0, "no retry can mend it"
        # Of a failure without a body botocore reads the status alone.
        request_id = got.request_id if self.has_body or got.status < 500 else got.headers["x-amzn-requestid"]
        assert request_id
        assert got.headers["x-amzn-requestid"] == request_id
        assert got.type == type_of(client, got.code)
        if self.words in ("s3", "head"):
            assert got.headers["x-amz-request-id"] == request_id
            assert got.headers["x-amz-id-2"]
        return got

    def denied(self, message: str) -> tuple[int, str, str]:
        return 403, self.code("AccessDeniedException", "AccessDenied", "AccessDenied"), self.message(message)


def told(got: Refusal) -> tuple[int, str, str]:
    return got.status, got.code, got.message


def type_of(client: Any, code: str) -> str:
    """The class that has to be raised: the one of the service's own model, where it has one for this code."""
    modelled = [shape.name for shape in client.meta.service_model.error_shapes if shape.error_code == code]
    return modelled[0] if modelled else "ClientError"


S3 = {
    "s3": {"addressing_style": "path", "payload_signing_enabled": True},
    "request_checksum_calculation": "when_required",
}
OBJECT = {"Bucket": "bucket", "Key": "key"}
ARN = f"arn:aws:service:us-east-1:{OTHER_ACCOUNT}:thing/x"
WRONG_NAME = "mine"  # where a rule demands another beginning
EVERYTHING = {
    "json 1.0": Spoken(
        "dynamodb",
        "list_tables",
        "json",
        handing=Call("create_airflow_ui_url", {}, "CreateAirflowUiUrl", "mwaa-serverless"),
        creating=Call(
            "create_table",
            {
                "TableName": WRONG_NAME,
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
            "CreateTable",
        ),
        elsewhere=Call("list_tables", endpoint_url=f"https://{OTHER_ACCOUNT}.ddb.us-east-1.amazonaws.com"),
    ),
    "json 1.1": Spoken(
        "ecr",
        "describe_repositories",
        "json",
        handing=Call("get_authorization_token", {}, "GetAuthorizationToken"),
        creating=Call("create_repository", {"repositoryName": WRONG_NAME}, "CreateRepository"),
    ),
    "json, once query": Spoken(
        "sqs",
        "list_queues",
        "xml",
        creating=Call("create_queue", {"QueueName": WRONG_NAME}, "CreateQueue"),
    ),
    "cbor": Spoken(
        "codebuild",
        "list_projects",
        "json",
        protocol=CBOR,
        handing=Call("start_sandbox_connection", {"sandboxId": "s"}, "StartSandboxConnection"),
        creating=Call(
            "create_report_group", {"name": WRONG_NAME, "type": "TEST", "exportConfig": {}}, "CreateReportGroup"
        ),
    ),
    "cbor, once query": Spoken(
        "cloudwatch",
        "list_metrics",
        "xml",
        protocol=CBOR,
        creating=Call("put_dashboard", {"DashboardName": WRONG_NAME, "DashboardBody": "{}"}, "PutDashboard"),
    ),
    "rest-json": Spoken(
        "codeartifact",
        "list_domains",
        "json",
        handing=Call("get_authorization_token", {"domain": "domain"}, "GetAuthorizationToken"),
        creating=Call("create_domain", {"domain": WRONG_NAME}, "CreateDomain"),
        elsewhere=Call("describe_domain", {"domain": "papers", "domainOwner": OTHER_ACCOUNT}),
    ),
    "rest-json head": Spoken("mediastore-data", "describe_object", "json head", {"Path": "a/b"}),
    "query": Spoken(
        "sts",
        "get_caller_identity",
        "xml",
        handing=Call(
            "assume_role",
            {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "session"},
            "AssumeRole",
        ),
        creating=Call("create_topic", {"Name": WRONG_NAME}, "CreateTopic", "sns"),
    ),
    "query, once more": Spoken(
        "cloudwatch",
        "list_metrics",
        "xml",
        protocol="query",
        creating=Call("put_dashboard", {"DashboardName": WRONG_NAME, "DashboardBody": "{}"}, "PutDashboard"),
    ),
    "ec2": Spoken(
        "ec2",
        "describe_regions",
        "xml",
        handing=Call("get_password_data", {"InstanceId": "i-0123456789abcdef0"}, "GetPasswordData"),
        creating=Call(
            "allocate_address",
            {
                "TagSpecifications": [
                    {"ResourceType": "elastic-ip", "Tags": [{"Key": "Name", "Value": WRONG_NAME}]},
                ]
            },
            "AllocateAddress",
        ),
    ),
    "rest-xml": Spoken(
        "route53",
        "list_hosted_zones",
        "xml",
        creating=Call("create_hosted_zone", {"Name": WRONG_NAME, "CallerReference": "1"}, "CreateHostedZone"),
    ),
    "rest-xml, other": Spoken(
        "cloudfront",
        "list_distributions",
        "xml",
        creating=Call("create_key_group", {"KeyGroupConfig": {"Name": WRONG_NAME, "Items": ["k"]}}, "CreateKeyGroup"),
        elsewhere=Call("list_tags_for_resource", {"Resource": ARN}),
    ),
    "s3control": Spoken(
        "s3control",
        "list_regional_buckets",
        "xml",
        {"AccountId": ACCOUNT},
        handing=Call(
            "get_data_access",
            {"AccountId": ACCOUNT, "Target": "s3://bucket/*", "Permission": "READ"},
            "GetDataAccess",
        ),
        creating=Call(
            "create_multi_region_access_point",
            {
                "AccountId": ACCOUNT,
                "ClientToken": "token",
                "Details": {"Name": WRONG_NAME, "Regions": [{"Bucket": "bucket"}]},
            },
            "CreateMultiRegionAccessPoint",
        ),
        elsewhere=Call("list_regional_buckets", {"AccountId": OTHER_ACCOUNT}),
    ),
    "s3 get": Spoken(
        "s3",
        "get_object",
        "s3",
        OBJECT,
        S3,
        handing=Call("create_session", {"Bucket": "b"}, "CreateSession"),
        elsewhere=Call("get_object", OBJECT | {"ExpectedBucketOwner": OTHER_ACCOUNT}),
    ),
    "s3 put": Spoken(
        "s3",
        "put_object",
        "s3",
        OBJECT | {"Body": b"x" * 1000},
        S3,
        creating=Call("create_bucket", {"Bucket": WRONG_NAME}, "CreateBucket"),
        elsewhere=Call("put_object", OBJECT | {"Body": b"x", "ExpectedBucketOwner": OTHER_ACCOUNT}),
    ),
    "s3 head": Spoken(
        "s3",
        "head_object",
        "head",
        OBJECT,
        S3,
        elsewhere=Call("head_object", OBJECT | {"ExpectedBucketOwner": OTHER_ACCOUNT}),
    ),
    "s3 head of a bucket": Spoken(
        "s3",
        "head_bucket",
        "head",
        {"Bucket": "bucket"},
        S3,
        elsewhere=Call("head_bucket", {"Bucket": "bucket", "ExpectedBucketOwner": OTHER_ACCOUNT}),
    ),
}
SERVICES = sorted(
    {spoken.service for spoken in EVERYTHING.values()}
    | {call.service for one in EVERYTHING.values() for call in (one.handing, one.creating) if call and call.service}
)

"""Typed round trips in every protocol: what goes in comes back out, with its types, and in the way that was asked for.

Against moto where it has the service. Event streams, and CBOR, which moto lacks, come from the recording cloud.
"""

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EventStreamError
from botocore.parsers import RpcV2CBORParser
from botocore.serialize import RpcV2CBORSerializer

from harness.certificates import CloudCertificates
from harness.clients import CBOR, Way, refusal, speaking
from harness.cloud import REAL_KEY, Exchange, Key, StrictMoto
from harness.events import event, exception
from harness.gateway import Team
from harness.process import wait_until
from harness.recording import Arrival, RecordingCloud
from harness.wire import raw_request, signed_headers, tunnel

SERVICES = ["cloudfront", "cloudwatch", "ec2", "kinesis", "route53", "sqs"]
ODD = "ümläut & <angle> \"quote\" 'n' =+%20 🦀"


@pytest.fixture(scope="module")
def way(request: pytest.FixtureRequest) -> Way:
    if request.config.getoption("--straight"):
        return request.getfixturevalue("straight")
    team: Team = request.getfixturevalue("team")
    return Way(team.gateway.proxy_url, team.gateway.ca, team.grant(*SERVICES))


@pytest.fixture(autouse=True)
def well_signed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever reached moto during a test was rightly signed, with the real key."""
    cloud: StrictMoto = request.getfixturevalue("cloud")
    seen = len(cloud.verdicts())
    yield
    for verdict in cloud.verdicts()[seen:]:
        assert "refused" not in verdict, verdict
        assert verdict["key"] == REAL_KEY.id


# --- moto -----------------------------------------------------------------------------------------------------------


def test_sqs(way: Way):
    """JSON."""
    client = way.boto3("sqs")
    queue = client.create_queue(QueueName="orders.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    attributes = {
        "text": {"DataType": "String", "StringValue": ODD},
        "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
        "number": {"DataType": "Number", "StringValue": "1.5"},
    }
    sent = client.send_message(
        QueueUrl=queue, MessageBody=ODD, MessageAttributes=attributes, MessageGroupId="g", MessageDeduplicationId="1"
    )
    [got] = client.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    assert (got["Body"], got["MessageId"], got["MD5OfBody"]) == (ODD, sent["MessageId"], sent["MD5OfMessageBody"])
    assert got["MessageAttributes"] == attributes
    client.delete_message(QueueUrl=queue, ReceiptHandle=got["ReceiptHandle"])
    assert "Messages" not in client.receive_message(QueueUrl=queue)
    client.delete_queue(QueueUrl=queue)
    got = refusal(client.get_queue_attributes, QueueUrl=queue)
    assert got.type == "QueueDoesNotExist", "an error of the cloud keeps its type"


def test_kinesis(way: Way):
    """JSON, with bytes in it."""
    client = way.boto3("kinesis")
    client.create_stream(StreamName="clicks", ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName="clicks", WaiterConfig={"Delay": 1})
    data = bytes(range(256)) * 100
    client.put_record(StreamName="clicks", Data=data, PartitionKey=ODD)
    records = [{"Data": f"{n}".encode(), "PartitionKey": f"{n}"} for n in range(50)]
    assert client.put_records(StreamName="clicks", Records=records)["FailedRecordCount"] == 0
    [shard] = client.list_shards(StreamName="clicks")["Shards"]
    iterator = client.get_shard_iterator(
        StreamName="clicks", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    got = client.get_records(ShardIterator=iterator)["Records"]
    assert [record["Data"] for record in got] == [data, *(record["Data"] for record in records)]
    assert got[0]["PartitionKey"] == ODD
    assert isinstance(got[0]["ApproximateArrivalTimestamp"], datetime)
    client.delete_stream(StreamName="clicks")


@pytest.mark.parametrize("protocol", ["json", "query"])
def test_cloudwatch(protocol: str, way: Way):
    with speaking(protocol):
        client = way.boto3("cloudwatch")
    now = datetime.now(UTC).replace(microsecond=0)
    data = [
        {"MetricName": "latency", "Timestamp": now, "Value": value, "Unit": "Milliseconds",
         "Dimensions": [{"Name": "host", "Value": ODD}]}
        for value in (1.5, 2.5, 1e-3)
    ]  # fmt: skip
    space = f"own/{protocol}"
    client.put_metric_data(Namespace=space, MetricData=data)
    [metric] = client.list_metrics(Namespace=space)["Metrics"]
    assert metric["Dimensions"] == [{"Name": "host", "Value": ODD}]
    [point] = client.get_metric_statistics(
        Namespace=space, MetricName="latency", StartTime=now - timedelta(hours=1), EndTime=now + timedelta(hours=1),
        Period=60, Statistics=["Maximum", "Minimum"], Dimensions=metric["Dimensions"],
    )["Datapoints"]  # fmt: skip
    assert (point["Maximum"], point["Minimum"]) == (2.5, 0.001)


def test_ec2(way: Way):
    client = way.boto3("ec2")
    image = client.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    tags = [{"Key": "Name", "Value": ODD}, {"Key": "empty", "Value": ""}]
    [machine] = client.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro", UserData="#!/bin/sh\necho ü && true\n",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"]  # fmt: skip
    name = machine["InstanceId"]
    found = client.describe_instances(Filters=[{"Name": "tag:Name", "Values": [ODD]}])["Reservations"]
    assert [instance["InstanceId"] for reservation in found for instance in reservation["Instances"]] == [name]
    assert isinstance(found[0]["Instances"][0]["LaunchTime"], datetime)
    key = lambda tag: tag["Key"]  # noqa: E731
    assert sorted(found[0]["Instances"][0]["Tags"], key=key) == sorted(tags, key=key)
    data = client.describe_instance_attribute(InstanceId=name, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(data).decode() == "#!/bin/sh\necho ü && true\n"
    pages = client.get_paginator("describe_instance_types").paginate(
        PaginationConfig={"PageSize": 100, "MaxItems": 250}
    )
    assert sum(len(page["InstanceTypes"]) for page in pages) == 250
    client.terminate_instances(InstanceIds=[name])
    got = refusal(client.describe_instances, InstanceIds=["i-0123456789abcdef0"])
    assert (got.code, got.status) == ("InvalidInstanceID.NotFound", 400)


def test_route53(way: Way):
    client = way.boto3("route53")
    zone = client.create_hosted_zone(
        Name="round.example.org", CallerReference="trip", HostedZoneConfig={"Comment": ODD}
    )
    name = zone["HostedZone"]["Id"]
    record = {
        "Name": "*.round.example.org.", "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": '"a <b> & c"'}],
    }  # fmt: skip
    client.change_resource_record_sets(
        HostedZoneId=name, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )
    sets = client.list_resource_record_sets(HostedZoneId=name)["ResourceRecordSets"]
    [found] = [item for item in sets if item["Type"] == "TXT"]
    assert found["ResourceRecords"] == record["ResourceRecords"]
    assert client.get_hosted_zone(Id=name)["HostedZone"]["Config"]["Comment"] == ODD
    client.change_resource_record_sets(
        HostedZoneId=name, ChangeBatch={"Changes": [{"Action": "DELETE", "ResourceRecordSet": found}]}
    )
    client.delete_hosted_zone(Id=name)
    assert refusal(client.get_hosted_zone, Id=name).type == "NoSuchHostedZone"


def test_cloudfront(way: Way):
    client = way.boto3("cloudfront")
    config = {
        "CallerReference": "round trip", "Comment": ODD, "Enabled": False,
        "Origins": {"Quantity": 1, "Items": [{
            "Id": "o", "DomainName": "a.example.org",
            "CustomOriginConfig": {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"},
        }]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "MinTTL": 1,
            "ForwardedValues": {"QueryString": True, "Cookies": {"Forward": "none"}},
        },
    }  # fmt: skip
    made = client.create_distribution(DistributionConfig=config)
    name, etag = made["Distribution"]["Id"], made["ETag"]
    got = client.get_distribution(Id=name)
    assert got["Distribution"]["DistributionConfig"]["Comment"] == ODD
    assert (got["ETag"], isinstance(got["Distribution"]["LastModifiedTime"], datetime)) == (etag, True)
    assert name in [item["Id"] for item in client.list_distributions()["DistributionList"]["Items"]]
    client.delete_distribution(Id=name, IfMatch=etag)
    assert refusal(client.get_distribution, Id=name).type == "NoSuchDistribution"


# --- The recording cloud --------------------------------------------------------------------------------------------


class Answering:
    """A recording cloud whose answers a test gives."""

    def __init__(self, certificates: CloudCertificates):
        self.answer: Callable[[Exchange, Arrival], None] | None = None
        self.cloud = RecordingCloud(certificates, self.serve)

    def serve(self, exchange: Exchange, arrival: Arrival) -> bool:
        if self.answer is None:
            return False
        self.answer(exchange, arrival)
        return True


@pytest.fixture(scope="module")
def answering(certificates: CloudCertificates) -> Iterator[Answering]:
    made = Answering(certificates)
    yield made
    made.cloud.stop()


@pytest.fixture(scope="module")
def recorded_team(make_gateway: Callable, answering: Answering) -> Team:
    return Team(make_gateway({"*.amazonaws.com": answering.cloud.address}))


@pytest.fixture(scope="module")
def recorded_key(recorded_team: Team) -> Key:
    return recorded_team.grant("bedrock-runtime", "cloudwatch", "kinesis", "lambda", "s3")


@pytest.fixture(scope="module")
def recorded(recorded_team: Team, recorded_key: Key) -> Way:
    return Way(recorded_team.gateway.proxy_url, recorded_team.gateway.ca, recorded_key)


def test_cloudwatch_in_cbor(recorded: Way, answering: Answering):
    """botocore writes and reads it on both sides; the gateway names the operation by its path, and carries it."""
    with speaking(CBOR):
        client = recorded.boto3("cloudwatch")
    operation = client.meta.service_model.operation_model("GetMetricStatistics")
    when = datetime(2026, 11, 25, tzinfo=UTC)
    told = {"Label": ODD, "Datapoints": [{"Timestamp": when, "Maximum": 2.5, "Unit": "Bytes"}]}
    asked = {
        "Namespace": "own", "MetricName": ODD, "StartTime": when - timedelta(hours=1), "EndTime": when, "Period": 60,
        "Statistics": ["Maximum"], "Dimensions": [],
    }  # fmt: skip

    def answer(exchange: Exchange, arrival: Arrival) -> None:
        body = bytearray()
        RpcV2CBORSerializer()._serialize_data_item(body, told, operation.output_shape)
        kind = "content-type: application/cbor\r\nsmithy-protocol: rpc-v2-cbor\r\n"
        exchange.send(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n{kind}\r\n".encode() + bytes(body))

    answering.answer = answer
    got = client.get_metric_statistics(**asked)
    assert (got["Label"], got["Datapoints"]) == (ODD, told["Datapoints"])
    arrival = answering.cloud.arrivals[-1]
    assert (arrival.wrong, arrival.headers["smithy-protocol"]) == (None, "rpc-v2-cbor")
    assert arrival.path == "/service/GraniteServiceVersion20100801/operation/GetMetricStatistics"
    read = RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(arrival.body)))
    assert read["MetricName"] == ODD


def test_kinesis_in_the_older_cbor(recorded_team: Team, recorded_key: Key, answering: Answering):
    """As Java's SDK sends it: the operation in a header, its input in CBOR."""
    host, body = "kinesis.us-east-1.amazonaws.com", b"\xbf\x65Limit\x01\xff"
    named = {"Content-Type": "application/x-amz-cbor-1.1", "X-Amz-Target": "Kinesis_20131202.ListStreams"}
    told = b"\xbf\x6bStreamNames\x80\x6eHasMoreStreams\xf4\xff"
    answering.answer = lambda exchange, _: exchange.send(
        f"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-cbor-1.1\r\ncontent-length: {len(told)}\r\n\r\n".encode()
        + told
    )
    headers = signed_headers(recorded_key, "kinesis", host, headers=named, body=body)
    gateway = recorded_team.gateway
    with tunnel(gateway.address, gateway.ca, host) as connection:
        got = connection.request(raw_request(headers, body=body))
    assert (got.status, got.body) == (200, told)
    assert (answering.cloud.arrivals[-1].wrong, answering.cloud.arrivals[-1].body) == (None, body)


@dataclass
class Stream:
    service: str
    operation: str
    name: str  # AWS's
    given: dict[str, Any]
    member: str  # where the stream is in the answer
    first: bytes  # what the cloud may have to say before
    events: list[bytes]
    read: Callable[[dict], Any]
    told: list[Any]


def as_json(kind: str, value: dict) -> bytes:
    return event(kind, json.dumps(value).encode())


STREAMS = {
    "Bedrock": Stream(
        "bedrock-runtime", "invoke_model_with_response_stream", "InvokeModelWithResponseStream",
        {"modelId": "anthropic.a-model-v1:0", "body": b'{"prompt": "hello"}'}, "body", b"",
        [as_json("chunk", {"bytes": base64.b64encode(text.encode()).decode()}) for text in ("one", ODD, "three")],
        lambda got: got["chunk"]["bytes"].decode(), ["one", ODD, "three"],
    ),
    "Bedrock, converse": Stream(
        "bedrock-runtime", "converse_stream", "ConverseStream",
        {"modelId": "arn:aws:bedrock:us-east-1::foundation-model/a.b:0",
         "messages": [{"role": "user", "content": [{"text": ODD}]}]}, "stream", b"",
        [as_json("contentBlockDelta", {"contentBlockIndex": n, "delta": {"text": ODD}}) for n in range(3)],
        lambda got: (got["contentBlockDelta"]["contentBlockIndex"], got["contentBlockDelta"]["delta"]["text"]),
        [(0, ODD), (1, ODD), (2, ODD)],
    ),
    "Lambda": Stream(
        "lambda", "invoke_with_response_stream", "InvokeWithResponseStream",
        {"FunctionName": "orders:$LATEST", "Payload": b"{}"}, "EventStream", b"",
        [event("PayloadChunk", data, "application/octet-stream") for data in (b"\x00\xff", b"x" * 100_000)]
        + [as_json("InvokeComplete", {"ErrorCode": "none"})],
        lambda got: got.get("PayloadChunk", {}).get("Payload") or got["InvokeComplete"]["ErrorCode"],
        [b"\x00\xff", b"x" * 100_000, "none"],
    ),
    "Kinesis": Stream(
        "kinesis", "subscribe_to_shard", "SubscribeToShard",
        {"ConsumerARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1", "ShardId": "shard-0",
         "StartingPosition": {"Type": "LATEST"}}, "EventStream", as_json("initial-response", {}),
        [as_json("SubscribeToShardEvent",
                 {"Records": [], "ContinuationSequenceNumber": str(n), "MillisBehindLatest": n}) for n in range(3)],
        lambda got: got["SubscribeToShardEvent"]["MillisBehindLatest"], [0, 1, 2],
    ),
    "S3": Stream(
        "s3", "select_object_content", "SelectObjectContent",
        {"Bucket": "papers", "Key": "a b.csv", "ExpressionType": "SQL", "Expression": "select * from s3object where a < 1 & b",
         "InputSerialization": {"CSV": {}}, "OutputSerialization": {"CSV": {}}}, "Payload", b"",
        [event("Records", data, "application/octet-stream") for data in (b"a,b\n", b"\xff")] + [event("End", b"")],
        lambda got: got["Records"]["Payload"] if "Records" in got else "end", [b"a,b\n", b"\xff", "end"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_event_streams(name: str, recorded: Way, answering: Answering, recorded_team: Team, recorded_key: Key):
    """Each event reaches the SDK before the cloud sends the next."""
    it = STREAMS[name]
    read, waited = threading.Semaphore(0), []

    def answer(exchange: Exchange, _: Arrival) -> None:
        exchange.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for number, data in enumerate(it.events):
            data = (it.first if number == 0 else b"") + data
            exchange.send(b"%x\r\n%b\r\n" % (len(data), data))
            waited.append(read.acquire(timeout=10))
        exchange.send(b"0\r\n\r\n")

    answering.answer = answer
    client = recorded.boto3(it.service, retries={"total_max_attempts": 1})
    got = []
    for item in getattr(client, it.operation)(**it.given)[it.member]:
        got.append(it.read(item))
        read.release()
    assert got == it.told
    assert waited == [True] * len(it.events), "held back"
    assert answering.cloud.arrivals[-1].wrong is None
    query = f"request={recorded_key.request}&operation={it.name}"
    [record] = wait_until(lambda: recorded_team.admin.calls(query), 10, "its record")
    assert (record["service"], record["outcome"]) == (it.service, "allowed")


def test_an_exception_within_an_event_stream(recorded: Way, answering: Answering):
    """After the first event the cloud has no status left: its error is an event, and stays typed."""
    events = as_json("chunk", {"bytes": "AA=="}) + exception("throttlingException", b'{"message": "slow down"}')

    def answer(exchange: Exchange, _: Arrival) -> None:
        kind = "content-type: application/vnd.amazon.eventstream\r\n"
        exchange.send(f"HTTP/1.1 200 OK\r\n{kind}content-length: {len(events)}\r\n\r\n".encode() + events)

    answering.answer = answer
    client = recorded.boto3("bedrock-runtime", retries={"total_max_attempts": 1})
    stream = iter(client.invoke_model_with_response_stream(modelId="a.b", body=b"{}")["body"])
    assert next(stream)["chunk"]["bytes"] == b"\x00"
    with pytest.raises(EventStreamError, match=r"throttlingException.*slow down"):
        next(stream)

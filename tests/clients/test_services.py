"""boto3 with nothing but proxy address, CA file, key and secret: create, list, read and delete on nine services."""

import io
import zipfile
from collections.abc import Callable

import pytest

from harness.clients import Way, refusal
from harness.cloud import REAL_KEY, Key, StrictMoto
from harness.process import wait_until


def apigateway(way: Way, _: str) -> None:
    """CreateRestApi, GetRestApis, GetRestApi, CreateResource, GetResources, UpdateRestApi (PATCH), DeleteRestApi."""
    client = way.boto3("apigateway")
    api = client.create_rest_api(name="orders", description="made through the gateway")["id"]
    assert api in [item["id"] for item in client.get_rest_apis(limit=100)["items"]]
    assert client.get_rest_api(restApiId=api)["name"] == "orders"
    root = client.get_resources(restApiId=api)["items"][0]["id"]
    client.create_resource(restApiId=api, parentId=root, pathPart="{proxy+}")
    changed = [{"op": "replace", "path": "/description", "value": "ümlaut & space"}]
    assert client.update_rest_api(restApiId=api, patchOperations=changed)["description"] == "ümlaut & space"
    assert client.get_resources(restApiId=api)["items"][1]["path"] == "/{proxy+}"
    client.delete_rest_api(restApiId=api)
    assert api not in [item["id"] for item in client.get_rest_apis()["items"]]


def dynamodb(way: Way, _: str) -> None:
    """CreateTable, ListTables (paged), DescribeTable, PutItem, GetItem, Query, Scan, BatchWriteItem, UpdateItem,
    DeleteItem, DeleteTable."""
    client = way.boto3("dynamodb")
    for table in ("orders", "people"):
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    pages = client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 1})
    assert {"orders", "people"} <= {name for page in pages for name in page["TableNames"]}
    assert client.describe_table(TableName="orders")["Table"]["TableStatus"] == "ACTIVE"
    item = {"id": {"S": "ü/1"}, "blob": {"B": bytes(range(256))}}
    client.put_item(TableName="orders", Item=item)
    assert client.get_item(TableName="orders", Key={"id": item["id"]})["Item"] == item
    batch = [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in range(20)]
    client.batch_write_item(RequestItems={"orders": batch})
    assert client.scan(TableName="orders")["Count"] == 21
    client.update_item(
        TableName="orders",
        Key={"id": {"S": "1"}},
        UpdateExpression="SET amount = :a",
        ExpressionAttributeValues={":a": {"N": "7"}},
    )
    found = client.query(
        TableName="orders", KeyConditionExpression="id = :i", ExpressionAttributeValues={":i": {"S": "1"}}
    )
    assert found["Items"] == [{"id": {"S": "1"}, "amount": {"N": "7"}}]
    client.delete_item(TableName="orders", Key={"id": {"S": "1"}})
    for table in ("orders", "people"):
        client.delete_table(TableName=table)
    assert not {"orders", "people"} & set(client.list_tables()["TableNames"])


def ecs(way: Way, _: str) -> None:
    """CreateCluster, ListClusters, DescribeClusters, RegisterTaskDefinition, ListTaskDefinitions,
    DescribeTaskDefinition, DeregisterTaskDefinition, DeleteCluster."""
    client = way.boto3("ecs")
    arn = client.create_cluster(clusterName="web")["cluster"]["clusterArn"]
    assert arn in client.list_clusters()["clusterArns"]
    assert client.describe_clusters(clusters=["web"])["clusters"][0]["status"] == "ACTIVE"
    container = {"name": "app", "image": "nginx", "memory": 64}
    task = client.register_task_definition(family="web", containerDefinitions=[container])["taskDefinition"]
    assert task["taskDefinitionArn"] in client.list_task_definitions()["taskDefinitionArns"]
    assert client.describe_task_definition(taskDefinition="web")["taskDefinition"]["family"] == "web"
    client.deregister_task_definition(taskDefinition=task["taskDefinitionArn"])
    client.delete_cluster(cluster="web")
    assert client.describe_clusters(clusters=["web"])["clusters"][0]["status"] == "INACTIVE"


def glacier(way: Way, _: str) -> None:
    """CreateVault, ListVaults, DescribeVault, UploadArchive, InitiateJob, ListJobs, DescribeJob, GetJobOutput,
    DeleteArchive, DeleteVault."""
    client = way.boto3("glacier")
    client.create_vault(accountId="-", vaultName="papers")
    assert "papers" in [vault["VaultName"] for vault in client.list_vaults(accountId="-")["VaultList"]]
    assert client.describe_vault(accountId="-", vaultName="papers")["VaultName"] == "papers"
    content = b"signed in triplicate" * 1000
    archive = client.upload_archive(accountId="-", vaultName="papers", archiveDescription="a paper", body=content)
    wish = {"Type": "archive-retrieval", "ArchiveId": archive["archiveId"], "Tier": "Expedited"}
    job = client.initiate_job(accountId="-", vaultName="papers", jobParameters=wish)["jobId"]
    assert job in [item["JobId"] for item in client.list_jobs(accountId="-", vaultName="papers")["JobList"]]

    def completed() -> bool:
        return client.describe_job(accountId="-", vaultName="papers", jobId=job)["Completed"]

    wait_until(completed, 20, "moto to fetch the archive", every=0.5)
    output = client.get_job_output(accountId="-", vaultName="papers", jobId=job)
    assert output["body"].read() == content
    client.delete_archive(accountId="-", vaultName="papers", archiveId=archive["archiveId"])
    client.delete_vault(accountId="-", vaultName="papers")
    assert "papers" not in [vault["VaultName"] for vault in client.list_vaults(accountId="-")["VaultList"]]


def lambda_(way: Way, role: str) -> None:
    """CreateFunction, ListFunctions, GetFunction, GetFunction by ARN (encoded twice in the signature),
    UpdateFunctionConfiguration, TagResource, ListTags, DeleteFunction."""
    client = way.boto3("lambda")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as package:
        package.writestr("app.py", "def handler(event, context): return event\n")
    made = client.create_function(
        FunctionName="resize", Runtime="python3.12", Role=role, Handler="app.handler", Code={"ZipFile": code.getvalue()}
    )
    assert "resize" in [function["FunctionName"] for function in client.list_functions()["Functions"]]
    assert client.get_function(FunctionName="resize")["Configuration"]["Role"] == role
    assert client.get_function(FunctionName=made["FunctionArn"])["Configuration"]["FunctionName"] == "resize"
    changed = client.update_function_configuration(FunctionName="resize", MemorySize=256)
    assert changed["MemorySize"] == 256
    client.tag_resource(Resource=made["FunctionArn"], Tags={"team": "dora"})
    assert client.list_tags(Resource=made["FunctionArn"])["Tags"] == {"team": "dora"}
    client.delete_function(FunctionName="resize")
    assert "resize" not in [function["FunctionName"] for function in client.list_functions()["Functions"]]


def redshift(way: Way, _: str) -> None:
    """CreateCluster, DescribeClusters, CreateTags, DescribeTags, ModifyCluster, DeleteCluster."""
    client = way.boto3("redshift")
    client.create_cluster(
        ClusterIdentifier="sales",
        NodeType="ra3.large",
        MasterUsername="dora",
        MasterUserPassword="Correct1&horse+=",
        NumberOfNodes=2,
    )
    assert "sales" in [cluster["ClusterIdentifier"] for cluster in client.describe_clusters()["Clusters"]]
    arn = "arn:aws:redshift:us-east-1:123456789012:cluster:sales"
    client.create_tags(ResourceName=arn, Tags=[{"Key": "team", "Value": "dora & anna"}])
    tags = client.describe_tags(ResourceName=arn)["TaggedResources"]
    assert [tag["Tag"]["Value"] for tag in tags] == ["dora & anna"]
    client.modify_cluster(ClusterIdentifier="sales", NodeType="ra3.xlplus")
    client.delete_cluster(ClusterIdentifier="sales", SkipFinalClusterSnapshot=True)
    assert "sales" not in [cluster["ClusterIdentifier"] for cluster in client.describe_clusters()["Clusters"]]


def route53(way: Way, _: str) -> None:
    """CreateHostedZone, ListHostedZones, GetHostedZone, ChangeResourceRecordSets, ListResourceRecordSets,
    ListHostedZonesByName, DeleteHostedZone."""
    client = way.boto3("route53")
    zone = client.create_hosted_zone(Name="example.org", CallerReference="csg")["HostedZone"]["Id"]
    assert zone in [item["Id"] for item in client.list_hosted_zones()["HostedZones"]]
    assert client.get_hosted_zone(Id=zone)["HostedZone"]["Name"] == "example.org."
    record = {
        "Name": "*.www.example.org",
        "Type": "TXT",
        "TTL": 60,
        "ResourceRecords": [{"Value": '"<a & b>"'}],
    }
    for action in ("CREATE", "DELETE"):
        changes = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
        records = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        assert ("TXT" in [found["Type"] for found in records]) == (action == "CREATE")
    assert client.list_hosted_zones_by_name(DNSName="example.org")["HostedZones"][0]["Id"] == zone
    client.delete_hosted_zone(Id=zone)
    assert zone not in [item["Id"] for item in client.list_hosted_zones()["HostedZones"]]


def ses(way: Way, _: str) -> None:
    """VerifyEmailIdentity, ListIdentities, GetIdentityVerificationAttributes, SendEmail, SendRawEmail, GetSendQuota,
    DeleteIdentity. (Signed as `ses` at email.us-east-1.amazonaws.com.)"""
    client = way.boto3("ses")
    address = "dora+test@example.org"
    client.verify_email_identity(EmailAddress=address)
    assert address in client.list_identities()["Identities"]
    attributes = client.get_identity_verification_attributes(Identities=[address])["VerificationAttributes"]
    assert attributes[address]["VerificationStatus"] == "Success"
    text = {"Subject": {"Data": "Grüße & more"}, "Body": {"Text": {"Data": "100 % = ~all* of it"}}}
    assert client.send_email(Source=address, Destination={"ToAddresses": ["anna@example.org"]}, Message=text)[
        "MessageId"
    ]
    raw = f"From: {address}\r\nTo: anna@example.org\r\nSubject: raw\r\n\r\nhello\r\n".encode()
    assert client.send_raw_email(RawMessage={"Data": raw})["MessageId"]
    assert client.get_send_quota()["SentLast24Hours"] >= 2
    client.delete_identity(Identity=address)
    assert address not in client.list_identities()["Identities"]


def sns(way: Way, _: str) -> None:
    """CreateTopic, ListTopics, GetTopicAttributes, SetTopicAttributes, Publish, PublishBatch, DeleteTopic."""
    client = way.boto3("sns")
    topic = client.create_topic(Name="news", Tags=[{"Key": "team", "Value": "dora"}])["TopicArn"]
    assert topic in [item["TopicArn"] for item in client.list_topics()["Topics"]]
    client.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="News & views")
    assert client.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "News & views"
    assert client.publish(TopicArn=topic, Message="a=b&c=d%20e\nü*~", Subject="s")["MessageId"]
    entries = [{"Id": str(n), "Message": f"message {n}"} for n in range(10)]
    assert len(client.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Successful"]) == 10
    client.delete_topic(TopicArn=topic)
    assert topic not in [item["TopicArn"] for item in client.list_topics()["Topics"]]


SERVICES = [apigateway, dynamodb, ecs, glacier, lambda_, redshift, route53, ses, sns]


@pytest.mark.parametrize("exercise", SERVICES, ids=lambda exercise: exercise.__name__.rstrip("_"))
def test_service(exercise: Callable, way: Way, role: str, cloud: StrictMoto):
    seen = len(cloud.verdicts())
    exercise(way, role)
    verdicts = cloud.verdicts()[seen:]
    service = exercise.__name__.rstrip("_")
    assert len(verdicts) >= 5
    for verdict in verdicts:
        assert "refused" not in verdict, verdict
        assert verdict["key"] == REAL_KEY.id
        assert verdict["scope"].split("/")[2] == service
        leaked = {name for name in verdict["headers"] if name.startswith(("proxy-", "x-forwarded", "via", "x-csg"))}
        assert not leaked, leaked


@pytest.mark.parametrize("region", ["us-west-2", "eu-central-1"])
def test_other_regions(region: str, way: Way, cloud: StrictMoto):
    """The region of the scope is signed again as it was, and each region has its own tables."""
    client = way.boto3("dynamodb", region)
    client.create_table(
        TableName=region,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert client.list_tables()["TableNames"] == [region]
    assert cloud.verdicts()[-1]["scope"].split("/")[1] == region
    client.delete_table(TableName=region)


def test_an_error_of_the_cloud_reaches_the_client_as_it_is(way: Way):
    client = way.boto3("dynamodb")
    got = refusal(client.describe_table, TableName="no-such-table")
    assert (got.status, got.code, got.type) == (400, "ResourceNotFoundException", "ResourceNotFoundException")
    got = refusal(way.boto3("sns").get_topic_attributes, TopicArn="arn:aws:sns:us-east-1:123456789012:nothing")
    assert (got.status, got.code) == (404, "NotFound")


def test_the_gateways_key_is_worth_nothing_to_the_cloud(key: Key, way: Way, straight: Way, cloud: StrictMoto):
    """The same call with the same key: refused by the cloud itself, answered through the gateway."""
    got = refusal(straight.with_key(key).boto3("dynamodb").list_tables)
    assert got.status == 403
    assert cloud.verdicts()[-1]["refused"] == f"UnknownAccessKey {key.id}"
    way.boto3("dynamodb").list_tables()
    assert cloud.verdicts()[-1]["key"] == REAL_KEY.id


def test_nothing_ever_reached_the_cloud_under_the_clients_own_key(way: Way, cloud: StrictMoto):
    """Over all that this run has done through the gateway so far."""
    way.boto3("sns").list_topics()
    through = [verdict for verdict in cloud.verdicts() if not verdict.get("refused", "").startswith("UnknownAccessKey")]
    assert through
    assert {verdict.get("key") for verdict in through} == {REAL_KEY.id}

// One service with the AWS SDK for JavaScript v3: create, list, read, delete. Ends with 0 only if all went well.
//
//     node exercise.mjs SERVICE        operations, one to a line, as they are done
//
// This SDK ignores HTTPS_PROXY, so it is given an agent; the CA comes from NODE_EXTRA_CA_CERTS, key and region from
// the environment. Nothing else.

import assert from "node:assert/strict";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { HttpsProxyAgent } from "https-proxy-agent";
import * as apigateway from "@aws-sdk/client-api-gateway";
import * as dynamodb from "@aws-sdk/client-dynamodb";
import * as ecs from "@aws-sdk/client-ecs";
import * as glacier from "@aws-sdk/client-glacier";
import * as lambda from "@aws-sdk/client-lambda";
import * as redshift from "@aws-sdk/client-redshift";
import * as route53 from "@aws-sdk/client-route-53";
import * as ses from "@aws-sdk/client-ses";
import * as sns from "@aws-sdk/client-sns";

const httpsAgent = new HttpsProxyAgent(process.env.HTTPS_PROXY, { keepAlive: true });

/** A function that sends a command of the service and gives the answer. */
function connect(Client) {
  const client = new Client({ requestHandler: new NodeHttpHandler({ httpsAgent }) });
  return (Command, input = {}) => {
    console.log(Command.name.replace(/Command$/, ""));
    return client.send(new Command(input));
  };
}

const services = {
  async apigateway() {
    const send = connect(apigateway.APIGatewayClient);
    const { id: restApiId } = await send(apigateway.CreateRestApiCommand, { name: "js-orders" });
    const { items } = await send(apigateway.GetRestApisCommand, { limit: 100 });
    assert(items.some((item) => item.id === restApiId));
    assert.equal((await send(apigateway.GetRestApiCommand, { restApiId })).name, "js-orders");
    const patchOperations = [{ op: "replace", path: "/description", value: "ümlaut & space" }];
    const changed = await send(apigateway.UpdateRestApiCommand, { restApiId, patchOperations });
    assert.equal(changed.description, "ümlaut & space");
    await send(apigateway.DeleteRestApiCommand, { restApiId });
  },

  async dynamodb() {
    const send = connect(dynamodb.DynamoDBClient);
    const TableName = "js-orders";
    await send(dynamodb.CreateTableCommand, {
      TableName,
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      BillingMode: "PAY_PER_REQUEST",
    });
    assert((await send(dynamodb.ListTablesCommand)).TableNames.includes(TableName));
    const Item = { id: { S: "ü/1" }, amount: { N: "7" } };
    await send(dynamodb.PutItemCommand, { TableName, Item });
    assert.deepEqual((await send(dynamodb.GetItemCommand, { TableName, Key: { id: Item.id } })).Item, Item);
    assert.equal((await send(dynamodb.ScanCommand, { TableName })).Count, 1);
    await send(dynamodb.DeleteItemCommand, { TableName, Key: { id: Item.id } });
    await send(dynamodb.DeleteTableCommand, { TableName });
  },

  async ecs() {
    const send = connect(ecs.ECSClient);
    const { cluster } = await send(ecs.CreateClusterCommand, { clusterName: "js-web" });
    assert((await send(ecs.ListClustersCommand)).clusterArns.includes(cluster.clusterArn));
    const { clusters } = await send(ecs.DescribeClustersCommand, { clusters: ["js-web"] });
    assert.equal(clusters[0].status, "ACTIVE");
    await send(ecs.DeleteClusterCommand, { cluster: "js-web" });
  },

  async glacier() {
    const send = connect(glacier.GlacierClient);
    const vault = { accountId: "-", vaultName: "js-papers" };
    await send(glacier.CreateVaultCommand, vault);
    const { VaultList } = await send(glacier.ListVaultsCommand, { accountId: "-" });
    assert(VaultList.some((found) => found.VaultName === "js-papers"));
    assert.equal((await send(glacier.DescribeVaultCommand, vault)).VaultName, "js-papers");
    const body = Buffer.alloc(100_000, "paper");
    const { archiveId } = await send(glacier.UploadArchiveCommand, { ...vault, body });
    await send(glacier.DeleteArchiveCommand, { ...vault, archiveId });
    await send(glacier.DeleteVaultCommand, vault);
  },

  async lambda() {
    const send = connect(lambda.LambdaClient);
    const FunctionName = "js-resize";
    const { FunctionArn } = await send(lambda.CreateFunctionCommand, {
      FunctionName,
      Runtime: "python3.12",
      Role: process.env.TEST_ROLE,
      Handler: "app.handler",
      Code: { ZipFile: Buffer.from(process.env.TEST_CODE, "base64") },
    });
    const { Functions } = await send(lambda.ListFunctionsCommand);
    assert(Functions.some((found) => found.FunctionName === FunctionName));
    const { Configuration } = await send(lambda.GetFunctionCommand, { FunctionName: FunctionArn });
    assert.equal(Configuration.FunctionName, FunctionName);
    await send(lambda.DeleteFunctionCommand, { FunctionName });
  },

  async redshift() {
    const send = connect(redshift.RedshiftClient);
    const ClusterIdentifier = "js-sales";
    await send(redshift.CreateClusterCommand, {
      ClusterIdentifier,
      NodeType: "ra3.large",
      MasterUsername: "dora",
      MasterUserPassword: "Correct1&horse+=",
      NumberOfNodes: 2,
    });
    const { Clusters } = await send(redshift.DescribeClustersCommand);
    assert(Clusters.some((found) => found.ClusterIdentifier === ClusterIdentifier));
    const one = await send(redshift.DescribeClustersCommand, { ClusterIdentifier });
    assert.equal(one.Clusters[0].NodeType, "ra3.large");
    await send(redshift.DeleteClusterCommand, { ClusterIdentifier, SkipFinalClusterSnapshot: true });
  },

  async route53() {
    const send = connect(route53.Route53Client);
    const made = await send(route53.CreateHostedZoneCommand, { Name: "js.example.org", CallerReference: "js" });
    const Id = made.HostedZone.Id;
    const { HostedZones } = await send(route53.ListHostedZonesCommand);
    assert(HostedZones.some((zone) => zone.Id === Id));
    assert.equal((await send(route53.GetHostedZoneCommand, { Id })).HostedZone.Name, "js.example.org.");
    const Change = {
      Action: "CREATE",
      ResourceRecordSet: { Name: "*.js.example.org", Type: "A", TTL: 60, ResourceRecords: [{ Value: "192.0.2.1" }] },
    };
    for (const Action of ["CREATE", "DELETE"]) {
      const ChangeBatch = { Changes: [{ ...Change, Action }] };
      await send(route53.ChangeResourceRecordSetsCommand, { HostedZoneId: Id, ChangeBatch });
    }
    await send(route53.DeleteHostedZoneCommand, { Id });
  },

  async ses() {
    const send = connect(ses.SESClient);
    const EmailAddress = "js+dora@example.org";
    await send(ses.VerifyEmailIdentityCommand, { EmailAddress });
    assert((await send(ses.ListIdentitiesCommand)).Identities.includes(EmailAddress));
    const Identities = [EmailAddress];
    const { VerificationAttributes } = await send(ses.GetIdentityVerificationAttributesCommand, { Identities });
    assert.equal(VerificationAttributes[EmailAddress].VerificationStatus, "Success");
    const sent = await send(ses.SendEmailCommand, {
      Source: EmailAddress,
      Destination: { ToAddresses: ["anna@example.org"] },
      Message: { Subject: { Data: "Grüße & more" }, Body: { Text: { Data: "100 % = ~all* of it" } } },
    });
    assert(sent.MessageId);
    await send(ses.DeleteIdentityCommand, { Identity: EmailAddress });
  },

  async sns() {
    const send = connect(sns.SNSClient);
    const { TopicArn } = await send(sns.CreateTopicCommand, { Name: "js-news" });
    const { Topics } = await send(sns.ListTopicsCommand);
    assert(Topics.some((topic) => topic.TopicArn === TopicArn));
    assert.equal((await send(sns.GetTopicAttributesCommand, { TopicArn })).Attributes.TopicArn, TopicArn);
    assert((await send(sns.PublishCommand, { TopicArn, Message: "a=b&c=d%20e\nü*~" })).MessageId);
    await send(sns.DeleteTopicCommand, { TopicArn });
  },

  /** One call in each protocol, all of which have to be refused: prints the typed errors as the SDK gives them. */
  async refused() {
    for (const [protocol, Client, Command] of [
      ["json 1.0", dynamodb.DynamoDBClient, dynamodb.ListTablesCommand],
      ["json 1.1", ecs.ECSClient, ecs.ListClustersCommand],
      ["rest-json", lambda.LambdaClient, lambda.ListFunctionsCommand],
      ["query", sns.SNSClient, sns.ListTopicsCommand],
      ["rest-xml", route53.Route53Client, route53.ListHostedZonesCommand],
    ]) {
      const error = await connect(Client)(Command).then(() => assert.fail("was let through"), (error) => error);
      const { name, message, $fault, $metadata } = error;
      const { httpStatusCode: status, attempts, requestId } = $metadata;
      const told = { protocol, name, message, fault: $fault, status, attempts, identified: Boolean(requestId) };
      console.log(JSON.stringify(told));
    }
  },
};

await services[process.argv[2]]();

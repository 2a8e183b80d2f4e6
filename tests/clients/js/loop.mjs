// The same call again and again with the AWS SDK for JavaScript v3, on connections that are kept, without a second try.
//
//     node loop.mjs        until its input ends; then how many calls were made, and the errors
//
// Agent, CA, key and region are given as to exercise.mjs.

import { NodeHttpHandler } from "@smithy/node-http-handler";
import { HttpsProxyAgent } from "https-proxy-agent";
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";

const httpsAgent = new HttpsProxyAgent(process.env.HTTPS_PROXY, { keepAlive: true });
const client = new DynamoDBClient({ maxAttempts: 1, requestHandler: new NodeHttpHandler({ httpsAgent }) });

let ended = false;
process.stdin.resume().on("end", () => (ended = true));
let calls = 0;
const errors = [];
while (!ended) {
  calls += 1;
  await client.send(new ListTablesCommand({})).catch((error) => errors.push(`${error.name}: ${error.message}`));
}
console.log(JSON.stringify({ calls, errors }));

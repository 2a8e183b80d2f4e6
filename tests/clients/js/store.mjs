// S3 with the AWS SDK for JavaScript v3, checksums as it makes them: up as a buffer and as a stream, and down again.
//
//     node store.mjs BUCKET
//
// Agent, CA, key and region are given as to exercise.mjs. Of "default", the SDK itself chooses the checksum.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { HttpsProxyAgent } from "https-proxy-agent";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";

const httpsAgent = new HttpsProxyAgent(process.env.HTTPS_PROXY, { keepAlive: true });
const client = new S3Client({ maxAttempts: 1, requestHandler: new NodeHttpHandler({ httpsAgent }) });
const Bucket = process.argv[2];
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

for (const ContentLength of [1, 8 << 20]) {
  const data = randomBytes(ContentLength);
  for (const ChecksumAlgorithm of [undefined, "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
    for (const form of ["buffer", "stream"]) {
      const Key = `${ChecksumAlgorithm ?? "default"}/${form} ${ContentLength}`;
      const Body = form === "buffer" ? data : Readable.from([data.subarray(0, 1), data.subarray(1)].filter((piece) => piece.length));
      await client.send(new PutObjectCommand({ Bucket, Key, Body, ContentLength, ChecksumAlgorithm }));
      const got = await client.send(new GetObjectCommand({ Bucket, Key }));
      assert.equal(sha256(await got.Body.transformToByteArray()), sha256(data), Key);
      console.log(Key);
    }
  }
}

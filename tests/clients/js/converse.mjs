// A conversation with Transcribe: each word is sent once the one before was answered, and the answers are printed.
//
//     node converse.mjs WORD...              as it is meant
//     node converse.mjs --lose WORD WORD...  the message with the first of these words gets lost on the way
//     node converse.mjs --pieces N           N pieces of 64 KiB, as fast as they go; then how many were answered
//
// This SDK's handler for HTTP/2 knows no proxy at all, so Node's http2 is given a connection that came through it.

import http from "node:http";
import http2 from "node:http2";
import tls from "node:tls";
import { once } from "node:events";
import { Transform } from "node:stream";
import { NodeHttp2Handler } from "@smithy/node-http-handler";
import { StartStreamTranscriptionCommand, TranscribeStreamingClient } from "@aws-sdk/client-transcribe-streaming";

const host = `transcribestreaming.${process.env.AWS_REGION}.amazonaws.com`;

/** A TLS connection to `host` through the proxy, for HTTP/2. */
async function tunnel() {
  const proxy = new URL(process.env.HTTPS_PROXY);
  const request = http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: `${host}:443` });
  request.end();
  const [answer, socket] = await once(request, "connect");
  if (answer.statusCode !== 200) throw new Error(`the proxy says ${answer.statusCode}`);
  const secure = tls.connect({ socket, servername: host, ALPNProtocols: ["h2"] });
  await once(secure, "secureConnect");
  return secure;
}

const secure = await tunnel();
const { connect } = http2;
http2.connect = (url) => connect(url, { createConnection: () => secure });

const words = process.argv.slice(2);
const lost = words[0] === "--lose" ? words.splice(0, 2)[1] : undefined;
let answered;

/** Someone on the way. */
class Losing extends NodeHttp2Handler {
  handle(request, options) {
    const transform = (message, _, done) => done(null, message.includes(lost) ? undefined : message);
    request.body = request.body.pipe(new Transform({ transform }));
    return super.handle(request, options);
  }
}

const pieces = words[0] === "--pieces" ? Number(words.splice(0, 2)[1]) : 0;

async function* audio() {
  for (let piece = 0; piece < pieces; piece++) yield { AudioEvent: { AudioChunk: Buffer.alloc(65536, "a") } };
  for (const word of words) {
    const before = new Promise((resolve) => (answered = resolve));
    yield { AudioEvent: { AudioChunk: Buffer.from(word) } };
    if (word !== lost) await before;
  }
}

try {
  const client = new TranscribeStreamingClient(lost ? { requestHandler: new Losing() } : {});
  const { TranscriptResultStream } = await client.send(
    new StartStreamTranscriptionCommand({
      LanguageCode: "en-GB",
      MediaEncoding: "pcm",
      MediaSampleRateHertz: 16000,
      AudioStream: audio(),
    }),
  );
  let count = 0;
  for await (const event of TranscriptResultStream) {
    count++;
    if (pieces) continue;
    console.log(event.TranscriptEvent.Transcript.Results[0].Alternatives[0].Transcript);
    answered();
  }
  console.log(pieces ? count : "ended");
} catch (error) {
  console.log(`refused: ${error.name}: ${error.message}`);
  process.exit(1);
}
process.exit(0);

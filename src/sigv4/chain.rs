//! Signatures that follow from one another: those of a body's chunks and of its trailer, each over the one before, the
//! first over that of the request's head.
//!
//! Specification: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and, with a trailer,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>.

use ring::digest;

use super::{EventChain, Payload, SigningKey, date::Moment, hex};
use crate::secret::Secret;

const CHUNK: &str = "AWS4-HMAC-SHA256-PAYLOAD";
const TRAILER: &str = "AWS4-HMAC-SHA256-TRAILER";

/// Where a chain of signatures has come to.
#[derive(Clone, Debug)]
pub struct Chain {
    key: SigningKey,
    at: Moment,
    /// The last one, in hex.
    previous: [u8; 64],
}

impl Chain {
    /// A chain that begins with the signature of a request's head, in hex.
    pub(super) fn new(key: SigningKey, at: Moment, head: &str) -> Self {
        Self { key, at, previous: head.as_bytes().try_into().unwrap_or([b'0'; 64]) }
    }

    /// The chain of the messages of an event stream instead, under the `secret` that the key is of.
    pub fn of_events(&self, secret: &Secret) -> EventChain {
        EventChain::new(
            secret.clone(),
            self.key.scope().clone(),
            std::str::from_utf8(&self.previous).unwrap_or_default(),
        )
    }

    /// Is `signature` (in hex) that of the next chunk, whose data has this SHA-256?
    pub fn verify_chunk(&mut self, sha256: &[u8], signature: &[u8]) -> bool {
        let text = self.chunk(sha256);
        self.verify(&text, signature)
    }

    /// Is `signature` (in hex) that of the trailer, which consists of these `lines`, each with a line feed behind it?
    pub fn verify_trailer(&mut self, lines: &[u8], signature: &[u8]) -> bool {
        let text = self.trailer(lines);
        self.verify(&text, signature)
    }

    /// The signature of the next chunk, whose data has this SHA-256.
    pub fn sign_chunk(&mut self, sha256: &[u8]) -> [u8; 64] {
        let text = self.chunk(sha256);
        self.sign(&text)
    }

    /// The signature of the trailer, which consists of these `lines`, each with a line feed behind it.
    pub fn sign_trailer(&mut self, lines: &[u8]) -> [u8; 64] {
        let text = self.trailer(lines);
        self.sign(&text)
    }

    fn verify(&mut self, text: &[u8], signature: &[u8]) -> bool {
        let Some(bytes) = hex::decode(signature) else { return false };
        self.previous = hex::encode(&bytes);
        self.key.verify(text, &bytes)
    }

    fn sign(&mut self, text: &[u8]) -> [u8; 64] {
        self.previous = hex::encode(&self.key.sign_in_bytes(text));
        self.previous
    }

    fn chunk(&self, sha256: &[u8]) -> Vec<u8> {
        let mut text = self.begin(CHUNK);
        // The hash of the chunk's headers, which it hasn't.
        Payload::EMPTY.write(&mut text);
        text.push(b'\n');
        text.extend_from_slice(&hex::encode(sha256));
        text
    }

    fn trailer(&self, lines: &[u8]) -> Vec<u8> {
        let mut text = self.begin(TRAILER);
        text.extend_from_slice(&hex::encode(digest::digest(&digest::SHA256, lines).as_ref()));
        text
    }

    fn begin(&self, what: &str) -> Vec<u8> {
        let mut text = Vec::with_capacity(320);
        for part in [what, "\n", self.at.as_str(), "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        self.key.scope().write(&mut text);
        text.push(b'\n');
        text.extend_from_slice(&self.previous);
        text.push(b'\n');
        text
    }
}

//! Signatures that follow from one another: those of a body's chunks and of its trailer, each over the one before, the
//! first over that of the request's head.
//!
//! Specification: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and, with a trailer,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>. What these leave open of SigV4A is as
//! AWS's own signer has it (`aws_signing.c` of `awslabs/aws-c-auth`): on the wire a signature is filled up with `*`, so
//! that the length of a body is known beforehand; in what the next one is over, it stands without them.

use ring::digest;

use super::{Algorithm, EventChain, Payload, SigningKey, claim, date::Moment, hex};
use crate::secret::Secret;

const CHUNK: &str = "-PAYLOAD";
const TRAILER: &str = "-TRAILER";
/// What a signature of SigV4A is filled up with.
const FILLING: char = '*';

/// Where a chain of signatures has come to.
#[derive(Clone, Debug)]
pub struct Chain {
    key: SigningKey,
    at: Moment,
    /// The last one, in hex, without what fills it up.
    previous: String,
}

impl Chain {
    /// A chain that begins with the signature of a request's head, in hex.
    pub(super) fn new(key: SigningKey, at: Moment, head: &str) -> Self {
        Self { key, at, previous: head.to_owned() }
    }

    /// The chain of the messages of an event stream instead, under the `secret` that the key is of.
    pub fn of_events(&self, secret: &Secret) -> EventChain {
        EventChain::new(secret.clone(), self.key.scope().clone(), &self.previous)
    }

    /// Is `signature` (as on the wire) that of the next chunk, whose data has this SHA-256?
    pub fn verify_chunk(&mut self, sha256: &[u8], signature: &[u8]) -> bool {
        let text = self.chunk(sha256);
        self.verify(&text, signature)
    }

    /// Is `signature` (as on the wire) that of the trailer, which consists of these `lines`, each with a line feed behind it?
    pub fn verify_trailer(&mut self, lines: &[u8], signature: &[u8]) -> bool {
        let text = self.trailer(lines);
        self.verify(&text, signature)
    }

    /// The signature of the next chunk, whose data has this SHA-256, as on the wire.
    pub fn sign_chunk(&mut self, sha256: &[u8]) -> String {
        let text = self.chunk(sha256);
        self.sign(&text)
    }

    /// The signature of the trailer, which consists of these `lines`, each with a line feed behind it, as on the wire.
    pub fn sign_trailer(&mut self, lines: &[u8]) -> String {
        let text = self.trailer(lines);
        self.sign(&text)
    }

    fn verify(&mut self, text: &[u8], signature: &[u8]) -> bool {
        let algorithm = self.algorithm();
        let is_whole = signature.len() == algorithm.chunk_signature_length();
        let Some(mut digits) = std::str::from_utf8(signature).ok().filter(|_| is_whole) else { return false };
        if algorithm == Algorithm::EcdsaP256 {
            digits = digits.trim_end_matches(FILLING);
        }
        let Ok(signature) = claim::signature(digits, algorithm) else { return false };
        digits.clone_into(&mut self.previous);
        self.key.verify(text, signature.as_slice())
    }

    /// Of SigV4A without a random number there is nothing but what fills it up, which no cloud takes for a signature.
    fn sign(&mut self, text: &[u8]) -> String {
        self.previous = self.key.sign(text).unwrap_or_default();
        let length = self.algorithm().chunk_signature_length();
        let filling = std::iter::repeat_n(FILLING, length.saturating_sub(self.previous.len()));
        self.previous.chars().chain(filling).collect()
    }

    fn algorithm(&self) -> Algorithm {
        self.key.scope().algorithm()
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
        let mut text = Vec::with_capacity(400);
        for part in [self.algorithm().name(), what, "\n", self.at.as_str(), "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        self.key.scope().write(&mut text);
        text.push(b'\n');
        text.extend_from_slice(self.previous.as_bytes());
        text.push(b'\n');
        text
    }
}

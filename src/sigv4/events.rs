//! Event streams whose messages are signed one by one: each verified as it arrives, and signed anew.
//!
//! A signed message is a frame of `application/vnd.amazon.eventstream` around the frame that is meant: two headers,
//! `:date` and `:chunk-signature`, and as its payload the other frame, which is nobody's business here. The last one
//! has no payload.
//!
//! ```text
//! length of all │ of headers │ CRC-32 of both │ headers │ payload │ CRC-32 of all before
//! ```
//!
//! Specification: <https://smithy.io/2.0/aws/amazon-eventstream.html>

use bytes::{Buf, Bytes, BytesMut};
use ring::digest::{SHA256, digest};

use super::{Scope, SigningKey, date::Moment, hex};
use crate::{clock::Timestamp, secret::Secret};

/// A message is held until its signature was verified; none that is sent to AWS has reason to be larger.
const LONGEST_EVENT: usize = 1024 * 1024;

const KIND: &str = "AWS4-HMAC-SHA256-PAYLOAD";
const DATE: &[u8] = b"\x05:date\x08";
const SIGNATURE: &[u8] = b"\x10:chunk-signature\x06\x00\x20";
const PRELUDE: usize = 12;
const CRC: usize = 4;
const DATE_HEADER: usize = DATE.len() + 8;
const HEADERS: usize = DATE_HEADER + SIGNATURE.len() + 32;

/// How far the date of a message may be from the gateway's.
const TOLERANCE: std::time::Duration = std::time::Duration::from_mins(15);

/// Why a stream does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Something follows the last message.
    #[error("The event stream goes on after its last message")]
    AfterEnd,
    /// A check sum of a frame is wrong, or its lengths make no sense.
    #[error("A message of the event stream is malformed")]
    Frame,
    /// A message is not signed as it should be: `:date` and `:chunk-signature`, and no other header.
    #[error("A message of the event stream must have the headers ':date' and ':chunk-signature', and no others")]
    Headers,
    /// A signature is not that of its message in its place, or its date is too far off.
    #[error("The signature of a message of the event stream does not match")]
    Signature,
    /// The stream ended without its last message, which is empty.
    #[error("The event stream ended before its last message")]
    Truncated,
    /// A message is larger than can be held.
    #[error("A message of the event stream is larger than {LONGEST_EVENT} bytes")]
    TooLong,
}

/// The chain of signatures of one stream's messages. A stream may last beyond midnight, and its key is then another.
pub struct EventChain {
    secret: Secret,
    key: SigningKey,
    previous: [u8; 64],
}

impl EventChain {
    /// Begins with the signature of the request's head, in hex, under the key of `secret` for `scope`.
    pub(super) fn new(secret: Secret, scope: Scope, head: &str) -> Self {
        let key = SigningKey::derive(&secret, scope);
        Self { secret, key, previous: head.as_bytes().try_into().unwrap_or([b'0'; 64]) }
    }

    fn verify(&mut self, date: &[u8], at: Timestamp, payload: &[u8], signature: &[u8]) -> bool {
        let text = self.text(date, at, payload);
        self.previous = hex::encode(signature);
        self.key.verify(&text, signature)
    }

    fn sign(&mut self, date: &[u8], at: Timestamp, payload: &[u8]) -> [u8; 32] {
        let text = self.text(date, at, payload);
        let signature = self.key.sign_in_bytes(&text);
        self.previous = hex::encode(&signature);
        signature
    }

    fn text(&mut self, date: &[u8], at: Timestamp, payload: &[u8]) -> Vec<u8> {
        let scope = Scope::at(at, self.key.scope().region(), self.key.scope().service());
        if self.key.scope() != &scope {
            self.key = SigningKey::derive(&self.secret, scope);
        }
        let mut text = Vec::with_capacity(320);
        for part in [KIND, "\n", Moment::of(at).as_str(), "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        self.key.scope().write(&mut text);
        for part in [self.previous, hex::encode(digest(&SHA256, date).as_ref())] {
            text.push(b'\n');
            text.extend_from_slice(&part);
        }
        text.push(b'\n');
        text.extend_from_slice(&hex::encode(digest(&SHA256, payload).as_ref()));
        text
    }
}

/// Takes a client's signed messages, and gives them out with signatures of our own.
pub struct Events {
    client: EventChain,
    cloud: EventChain,
    /// What has come and was not looked at yet: less than one message, once [`Events::next`] gives none.
    waiting: BytesMut,
    ended: bool,
}

impl Events {
    /// Verifies with the chain of the client, signs with that for the cloud.
    pub fn new(client: EventChain, cloud: EventChain) -> Self {
        Self { client, cloud, waiting: BytesMut::new(), ended: false }
    }

    /// Takes in what comes next.
    pub fn push(&mut self, data: &[u8]) {
        self.waiting.extend_from_slice(data);
    }

    /// The next message, if it is wholly here and found right; `now` is its new date.
    pub fn next(&mut self, now: Timestamp) -> Result<Option<Bytes>, EventError> {
        if self.ended {
            return if self.waiting.is_empty() { Ok(None) } else { Err(EventError::AfterEnd) };
        }
        let Some(length) = frame_length(&self.waiting)? else { return Ok(None) };
        if self.waiting.len() < length {
            return Ok(None);
        }
        let frame = self.waiting.split_to(length);
        let message = Message::read(&frame)?;
        let is_current = message.at >= now.minus(TOLERANCE) && message.at <= now.plus(TOLERANCE);
        if !self.client.verify(message.date, message.at, message.payload, message.signature) || !is_current {
            return Err(EventError::Signature);
        }
        self.ended = message.payload.is_empty();
        Ok(Some(write(&mut self.cloud, message.payload, now)))
    }

    /// Was the last message among those that came? To be asked when there is no more.
    pub fn finish(&self) -> Result<(), EventError> {
        if self.ended && self.waiting.is_empty() { Ok(()) } else { Err(EventError::Truncated) }
    }
}

/// How long the frame is that begins here; none if its first bytes are not here. Those are checked before a byte is
/// waited for because of what they say.
fn frame_length(bytes: &[u8]) -> Result<Option<usize>, EventError> {
    let Some(mut prelude) = bytes.get(..PRELUDE) else { return Ok(None) };
    let sum = crc32(prelude.get(..8).unwrap_or_default());
    let (length, headers) = (prelude.get_u32() as usize, prelude.get_u32() as usize);
    if prelude.get_u32() != sum {
        return Err(EventError::Frame);
    }
    if length > LONGEST_EVENT {
        return Err(EventError::TooLong);
    }
    if headers != HEADERS {
        return Err(EventError::Headers);
    }
    if length < PRELUDE + HEADERS + CRC { Err(EventError::Frame) } else { Ok(Some(length)) }
}

struct Message<'f> {
    /// The header as it stands there, which is signed.
    date: &'f [u8],
    at: Timestamp,
    signature: &'f [u8],
    payload: &'f [u8],
}

impl<'f> Message<'f> {
    fn read(frame: &'f [u8]) -> Result<Self, EventError> {
        let (content, mut sum) = frame.split_at_checked(frame.len() - CRC).ok_or(EventError::Frame)?;
        if sum.get_u32() != crc32(content) {
            return Err(EventError::Frame);
        }
        let (headers, payload) =
            content.get(PRELUDE..).and_then(|rest| rest.split_at_checked(HEADERS)).ok_or(EventError::Frame)?;
        // In either order.
        let (date, signature) = if headers.starts_with(DATE) {
            headers.split_at_checked(DATE_HEADER)
        } else {
            headers.split_at_checked(HEADERS - DATE_HEADER).map(|(signature, date)| (date, signature))
        }
        .ok_or(EventError::Headers)?;
        let mut millis = date.strip_prefix(DATE).ok_or(EventError::Headers)?;
        let signature = signature.strip_prefix(SIGNATURE).ok_or(EventError::Headers)?;
        Ok(Self { date, at: Timestamp::from_millis(millis.get_i64()), signature, payload })
    }
}

/// Its date has whole seconds: what is signed of it has no others.
fn write(chain: &mut EventChain, payload: &[u8], now: Timestamp) -> Bytes {
    let now = Timestamp::from_millis(now.seconds() * 1000);
    let mut date = DATE.to_vec();
    date.extend_from_slice(&now.millis().to_be_bytes());
    let signature = chain.sign(&date, now, payload);
    let length = PRELUDE + HEADERS + payload.len() + CRC;
    let mut frame = BytesMut::with_capacity(length);
    for number in [length, HEADERS] {
        frame.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    }
    let sum = crc32(&frame);
    // In the order of AWS's own code.
    for part in [&sum.to_be_bytes()[..], SIGNATURE, &signature, &date, payload] {
        frame.extend_from_slice(part);
    }
    let sum = crc32(&frame);
    frame.extend_from_slice(&sum.to_be_bytes());
    frame.freeze()
}

fn crc32(bytes: &[u8]) -> u32 {
    u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_credential_types::Credentials;
    use aws_sigv4::{
        event_stream::{sign_empty_message, sign_message},
        sign::v4,
    };
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue, Message as Reference};

    use super::*;

    const HEAD: &str = "58b3c2e7d1a94c6f0e8b7a6d5c4b3a29180716f5e4d3c2b1a09f8e7d6c5b4a39";

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-25T23:59:50.123Z").unwrap()
    }

    fn chain(secret: &str) -> EventChain {
        EventChain::new(Secret::new(secret), Scope::at(now(), "us-east-1", "bedrock"), HEAD)
    }

    /// What AWS's own code makes of these payloads, a few seconds apart, and of the end.
    fn reference(secret: &str, payloads: &[&[u8]], step: Duration) -> Vec<Vec<u8>> {
        let identity = Credentials::new("AKID", secret, None, None, "test").into();
        let (mut previous, mut at, mut frames) = (HEAD.to_owned(), now(), Vec::new());
        for payload in payloads.iter().map(Some).chain([None]) {
            let params = v4::SigningParams::builder()
                .identity(&identity)
                .region("us-east-1")
                .name("bedrock")
                .time(SystemTime::from(at))
                .settings(())
                .build()
                .unwrap();
            let signed = match payload {
                Some(payload) => {
                    let inner = Reference::new(payload.to_vec()).add_header(Header::new("a", HeaderValue::Bool(true)));
                    sign_message(&inner, &previous, &params)
                }
                None => sign_empty_message(&previous, &params),
            };
            let (message, signature) = signed.unwrap().into_parts();
            let mut frame = Vec::new();
            write_message_to(&message, &mut frame).unwrap();
            frames.push(frame);
            (previous, at) = (signature, at.plus(step));
        }
        frames
    }

    fn run(frames: &[Vec<u8>], step: Duration, piece: usize) -> Result<Vec<Bytes>, EventError> {
        let mut events = Events::new(chain("client"), chain("cloud"));
        let mut out = Vec::new();
        for piece in frames.concat().chunks(piece) {
            events.push(piece);
            while let Some(frame) = events.next(now().plus(step * u32::try_from(out.len()).unwrap()))? {
                out.push(frame);
            }
        }
        events.finish().map(|()| out)
    }

    /// Both ways: what AWS's code has signed is found right, and what we sign is what it would have signed.
    #[test]
    fn agrees_with_the_reference_also_beyond_midnight() {
        let long = vec![7; 70_000];
        let payloads: [&[u8]; 4] = [b"one", b"", &long, b"four"];
        for step in [Duration::ZERO, Duration::from_secs(7)] {
            let expected = reference("cloud", &payloads, step);
            for piece in [1, 100, 1_000_000] {
                assert!(run(&reference("client", &payloads, step), step, piece).unwrap() == expected);
            }
        }
    }

    #[test]
    fn what_was_tampered_with_ends_the_stream() {
        let step = Duration::ZERO;
        let good = reference("client", &[b"one", b"two"], step);
        let order = |order: &[usize]| order.iter().map(|&at| good[at].clone()).collect::<Vec<_>>();
        assert!(run(&order(&[0, 1, 2]), step, 50).is_ok());
        for (frames, error) in [
            (order(&[1, 0, 2]), EventError::Signature),
            (order(&[0, 0, 1, 2]), EventError::Signature),
            (order(&[1, 2]), EventError::Signature),
            (order(&[0, 2]), EventError::Signature),
            (order(&[0, 1]), EventError::Truncated),
            (order(&[]), EventError::Truncated),
            (order(&[0, 1, 2, 0]), EventError::AfterEnd),
            (reference("another", &[b"one"], step), EventError::Signature),
        ] {
            assert_eq!(run(&frames, step, 50), Err(error));
        }
        assert_eq!(run(&[good[0][..40].to_vec()], step, 50), Err(EventError::Truncated));
        // Every changed bit of a message, its check sums made right again where they hide it.
        for at in 0..good[0].len() {
            let mut frame = good[0].clone();
            frame[at] ^= 4;
            assert!(run(&[frame.clone(), good[1].clone(), good[2].clone()], step, 1_000).is_err(), "{at}");
            let prelude = crc32(&frame[..8]).to_be_bytes();
            frame[8..12].copy_from_slice(&prelude);
            let end = frame.len() - 4;
            let sum = crc32(&frame[..end]).to_be_bytes();
            frame[end..].copy_from_slice(&sum);
            // Not the check sums themselves.
            if !(8..12).contains(&at) && at < end {
                assert!(run(&[frame, good[1].clone(), good[2].clone()], step, 1_000).is_err(), "{at}");
            }
        }
    }

    /// Announced, not sent: nothing is waited for because of it.
    #[test]
    fn a_message_that_is_too_long_is_refused_by_its_first_bytes() {
        for (length, headers, error) in [
            (u32::MAX, HEADERS, EventError::TooLong),
            (2 << 20, HEADERS, EventError::TooLong),
            (1000, 1, EventError::Headers),
            (1000, usize::MAX >> 33, EventError::Headers),
            (0, HEADERS, EventError::Frame),
            (20, HEADERS, EventError::Frame),
        ] {
            let mut frame = length.to_be_bytes().to_vec();
            frame.extend_from_slice(&u32::try_from(headers).unwrap().to_be_bytes());
            frame.extend_from_slice(&crc32(&frame).to_be_bytes());
            assert_eq!(run(&[frame], Duration::ZERO, 5), Err(error), "{length} {headers}");
        }
        assert_eq!(run(&[vec![0; 12]], Duration::ZERO, 5), Err(EventError::Frame));
    }

    /// A message of half an hour ago is somebody's record of it.
    #[test]
    fn an_old_message_is_refused() {
        let frames = reference("client", &[b"one"], Duration::ZERO);
        let mut events = Events::new(chain("client"), chain("cloud"));
        events.push(&frames[0]);
        assert_eq!(events.next(now().plus(Duration::from_mins(16))), Err(EventError::Signature));
    }
}

//! Event streams (`application/vnd.amazon.eventstream`): where one event ends, and how to say in one that no more come.
//!
//! An event is `total length, length of the headers, CRC of these two, headers, payload, CRC of all before`, with lengths
//! and CRC-32s of four bytes each (Smithy, "Event stream message encoding").

use bytes::{Bytes, BytesMut};

/// The type of such an answer.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// An event with neither headers nor payload.
const SMALLEST: usize = 16;

/// So much of an event that has not come whole yet is kept back. A larger one goes on as it comes.
const KEPT: usize = 64 * 1024;

/// The value of a header is a text.
const TEXT: u8 = 7;

/// Lets whole events through, so that another one can be put behind them at any time.
#[derive(Debug, Default)]
pub struct Events {
    /// The beginning of an event.
    begun: BytesMut,
    /// What is still to come of an event too large to be kept back.
    passing: usize,
    /// What came is no event stream: nothing can be put into it.
    lost: bool,
}

impl Events {
    /// What can be given out once `data` has come, too.
    pub fn take(&mut self, mut data: Bytes) -> Bytes {
        if self.lost {
            return data;
        }
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(&data);
            data = self.begun.split().freeze();
        }
        let mut whole = self.passing.min(data.len());
        self.passing -= whole;
        while let Some(length) = data.get(whole..).and_then(length) {
            if length < SMALLEST {
                self.lost = true;
                return data;
            }
            let there = data.len() - whole;
            if length <= there {
                whole += length;
            } else if length > KEPT {
                self.passing = length - there;
                return data;
            } else {
                break;
            }
        }
        self.begun.extend_from_slice(&data.split_off(whole));
        data
    }

    /// What was kept back of an event that will not become whole.
    pub fn rest(&mut self) -> Bytes {
        self.begun.split().freeze()
    }

    /// Would another event be read as one behind what was given out so far?
    pub const fn is_between(&self) -> bool {
        !self.lost && self.passing == 0
    }
}

/// The length of the event that `data` begins with.
fn length(data: &[u8]) -> Option<usize> {
    data.first_chunk().map(|length| u32::from_be_bytes(*length) as usize)
}

/// The event that tells of an error: an SDK raises it as an error of that code.
pub fn error(code: &str, message: &str) -> Bytes {
    event(&[(":message-type", "error"), (":error-code", code), (":error-message", message)], b"")
}

/// What comes before all events where an operation is called by its name and not by a path: the answer's members beside
/// the stream (Smithy, "Initial response"). An SDK looks for nothing else before it has come.
pub fn initial_response(content_type: &str, payload: &[u8]) -> Bytes {
    let kind = (":event-type", "initial-response");
    event(&[(":message-type", "event"), kind, (":content-type", content_type)], payload)
}

fn event(texts: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut headers = Vec::new();
    for (name, value) in texts {
        headers.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        headers.extend(name.bytes());
        headers.push(TEXT);
        let value = value.get(..value.floor_char_boundary(i16::MAX as usize)).unwrap_or_default();
        headers.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        headers.extend(value.bytes());
    }
    let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let total = SMALLEST + headers.len() + payload.len();
    let mut event = Vec::with_capacity(total);
    event.extend(size(total));
    event.extend(size(headers.len()));
    event.extend(crc32fast::hash(&event).to_be_bytes());
    event.extend(headers);
    event.extend(payload);
    event.extend(crc32fast::hash(&event).to_be_bytes());
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of an empty message in Smithy's specification.
    #[test]
    fn a_message_is_framed_as_specified() {
        let empty = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(crc32fast::hash(&empty[..8]).to_be_bytes(), empty[8..12]);
        assert_eq!(crc32fast::hash(&empty[..12]).to_be_bytes(), empty[12..]);
        let event = error("AccessDenied", "no");
        assert_eq!(length(&event), Some(event.len()));
        assert_eq!(
            &event[12..event.len() - 4],
            b"\x0d:message-type\x07\0\x05error\x0b:error-code\x07\0\x0cAccessDenied\x0e:error-message\x07\0\x02no"
        );
        assert_eq!(event[4..8], u32::try_from(event.len() - 16).unwrap().to_be_bytes());
        assert_eq!(event[8..12], crc32fast::hash(&event[..8]).to_be_bytes());
        assert_eq!(event[event.len() - 4..], crc32fast::hash(&event[..event.len() - 4]).to_be_bytes());
        let first = initial_response("application/json", b"{}");
        assert_eq!(length(&first), Some(first.len()));
        assert_eq!(&first[first.len() - 6..first.len() - 4], b"{}");
        assert_eq!(first[first.len() - 4..], crc32fast::hash(&first[..first.len() - 4]).to_be_bytes());
        // The length of a header's value has two bytes, of which a signed reader takes fifteen bits.
        assert!(error("A", &"ä".repeat(40_000)).len() < 33_000);
    }

    #[test]
    fn only_whole_events_go_on_however_they_come() {
        let (one, two) = (error("One", "1"), error("Two", &"2".repeat(500)));
        let all = [&one[..], &two[..], &one[..]].concat();
        for size in [1, 3, 4, 5, 16, 64, 100, all.len()] {
            let (mut events, mut out) = (Events::default(), Vec::new());
            for part in all.chunks(size) {
                out.extend(events.take(Bytes::copy_from_slice(part)));
                let whole = [0, one.len(), one.len() + two.len(), all.len()];
                assert!(whole.contains(&out.len()) && events.is_between(), "{size}");
            }
            assert_eq!((out, events.rest().len()), (all.clone(), 0), "{size}");
        }
        let mut events = Events::default();
        assert_eq!(events.take(Bytes::copy_from_slice(&all[..one.len() + 7])), one);
        assert_eq!(events.rest(), two[..7]);
    }

    #[test]
    fn a_large_event_goes_on_as_it_comes_and_nothing_is_put_into_it() {
        let mut large = vec![0; KEPT + 100];
        large[..4].copy_from_slice(&u32::try_from(KEPT + 100).unwrap().to_be_bytes());
        let mut events = Events::default();
        assert_eq!(events.take(Bytes::copy_from_slice(&large[..3])).len(), 0);
        assert_eq!(events.take(Bytes::copy_from_slice(&large[3..1000])).len(), 1000);
        assert!(!events.is_between());
        let small = error("A", "b");
        let end = [&large[1000..], &small[..5]].concat();
        assert_eq!(events.take(end.into()).len(), large.len() - 1000);
        assert!(events.is_between());
        assert_eq!(events.take(small.slice(5..)), small);
    }

    #[test]
    fn what_is_no_event_stream_goes_on_as_it_is() {
        let mut events = Events::default();
        for part in ["\0\0\0\x0f what is this", "and this"] {
            assert_eq!(events.take(Bytes::from_static(part.as_bytes())), part);
            assert!(!events.is_between());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_lost_or_added(parts in proptest::collection::vec("[\0\x01\x10a]{0,40}", 0..20)) {
            let (mut events, mut out) = (Events::default(), Vec::new());
            for part in &parts {
                out.extend(events.take(Bytes::copy_from_slice(part.as_bytes())));
            }
            out.extend(events.rest());
            assert_eq!(out, parts.concat().into_bytes());
        }
    }
}

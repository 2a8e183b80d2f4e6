//! A client of HTTP/2 that writes frame by frame what no library would.

use super::{Site, Tls};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// What becomes of a stream, or of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answer(u16),
    Goaway(u32),
    Reset(u32),
}

/// A client that sends what it likes.
pub(crate) struct Raw {
    pub(crate) wire: Tls,
    /// The next stream.
    next: u32,
}

impl Raw {
    /// After the preface with `host`.
    pub(crate) async fn new(site: &Site, host: &str) -> Self {
        let mut wire = site.tunnel_offering_h2(host).await;
        wire.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, b"")[..]].concat()).await;
        Self { wire, next: 1 }
    }

    /// Of the next stream.
    pub(crate) fn number(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// A request without a body.
    pub(crate) async fn ask(&mut self, headers: &[(String, String)]) -> End {
        let number = self.number();
        let block = block(headers);
        let mut pieces = block.chunks(16_000).peekable();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            let flags = if kind == HEADERS { flags | END_STREAM } else { flags };
            self.wire.send(frame(kind, flags, number, piece)).await;
            kind = CONTINUATION;
        }
        self.end(number).await
    }

    /// What becomes of stream `number`.
    pub(crate) async fn end(&mut self, number: u32) -> End {
        loop {
            let head = self.wire.bytes(9).await;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let payload = self.wire.bytes(length).await;
            let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match (head[3], u32::from_be_bytes(head[5..9].try_into().unwrap())) {
                (GOAWAY, _) if word(4) != 0 => return End::Goaway(word(4)),
                (RST_STREAM, of) if of == number => return End::Reset(word(0)),
                (HEADERS, of) if of == number => return End::Answer(status(payload[0])),
                _ => {}
            }
        }
    }
}

/// By the static table of HPACK; 0 for what is not in it.
fn status(first: u8) -> u16 {
    match first {
        0x88 => 200,
        0x8c => 400,
        _ => 0,
    }
}

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Each header as it is, for no table.
pub(crate) fn block(headers: &[(String, String)]) -> Vec<u8> {
    let text = |text: &str| {
        let mut out = vec![u8::try_from(text.len().min(127)).unwrap()];
        if text.len() >= 127 {
            let mut rest = text.len() - 127;
            while rest >= 128 {
                out.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            out.push(u8::try_from(rest).unwrap());
        }
        out.extend_from_slice(text.as_bytes());
        out
    };
    headers.iter().flat_map(|(name, value)| [&[0][..], &text(name), &text(value)].concat()).collect()
}

/// One header.
pub(crate) fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

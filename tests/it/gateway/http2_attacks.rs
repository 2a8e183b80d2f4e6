//! What a client may not do over HTTP/2, written frame by frame, as no library would.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::http2::{KINESIS, list_streams};
use crate::harness::{DYNAMODB, Site, Tls, until};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// What is done to a head that was right.
type Change = Box<dyn Fn(&mut Vec<(String, String)>)>;

/// What becomes of a stream, or of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Answer(u16),
    Goaway(u32),
    Reset(u32),
}

/// A client that sends what it likes.
struct Raw {
    wire: Tls,
    /// The next stream.
    next: u32,
}

impl Raw {
    async fn new(site: &Site) -> Self {
        let mut wire = site.tunnel_offering_h2(KINESIS).await;
        wire.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, b"")[..]].concat()).await;
        Self { wire, next: 1 }
    }

    fn number(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// A request without a body.
    async fn ask(&mut self, headers: &[(String, String)]) -> End {
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

    async fn end(&mut self, number: u32) -> End {
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

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Each header as it is, for no table.
fn block(headers: &[(String, String)]) -> Vec<u8> {
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

/// A signed request to list streams.
fn right(site: &Site) -> Vec<(String, String)> {
    let head = list_streams(site).h2_head();
    let of_uri = [(":method", "POST"), (":scheme", "https"), (":authority", KINESIS), (":path", "/")];
    let headers = head.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    of_uri
        .into_iter()
        .chain(headers)
        .filter(|(name, _)| *name != "content-length")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn heads_that_are_refused() {
    let with =
        |name: &'static str, value: &'static str| move |head: &mut Vec<(String, String)>| head.push(pair(name, value));
    let instead = |name: &'static str, value: &'static str| {
        move |head: &mut Vec<(String, String)>| {
            head.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
        }
    };
    let without = |name: &'static str| move |head: &mut Vec<(String, String)>| head.retain(|(known, _)| known != name);
    let before = |name: &'static str, value: &'static str| {
        move |head: &mut Vec<(String, String)>| head.insert(0, pair(name, value))
    };
    let malformed = End::Reset(PROTOCOL_ERROR);
    // What can't be read as headers may have confused their table: the connection ends.
    let no_header = End::Goaway(PROTOCOL_ERROR);
    let cases: Vec<(&str, Change, End)> = vec![
        ("another authority", Box::new(instead(":authority", "dynamodb.us-east-1.amazonaws.com")), End::Answer(400)),
        ("a port", Box::new(instead(":authority", "kinesis.us-east-1.amazonaws.com:8443")), End::Answer(400)),
        ("a user", Box::new(instead(":authority", "a@kinesis.us-east-1.amazonaws.com")), End::Answer(400)),
        ("no authority", Box::new(without(":authority")), End::Answer(400)),
        ("a host instead", Box::new(|head| head[2].0 = "host".to_owned()), malformed),
        ("another host", Box::new(with("host", "dynamodb.us-east-1.amazonaws.com")), End::Answer(400)),
        ("another spelling", Box::new(with("host", "KINESIS.us-east-1.amazonaws.com")), End::Answer(400)),
        ("plain HTTP", Box::new(instead(":scheme", "http")), End::Answer(400)),
        ("a path of another kind", Box::new(instead(":path", "*")), End::Answer(400)),
        ("no path", Box::new(without(":path")), malformed),
        ("an empty path", Box::new(instead(":path", "")), malformed),
        ("no method", Box::new(without(":method")), malformed),
        ("two paths", Box::new(before(":path", "/other")), malformed),
        ("an unknown pseudo-header", Box::new(before(":protocol", "websocket")), malformed),
        ("a pseudo-header too late", Box::new(with(":path", "/")), malformed),
        ("upper case", Box::new(with("X-Custom", "1")), no_header),
        ("a space in a name", Box::new(with("x custom", "1")), no_header),
        ("a line's end in a value", Box::new(with("x-custom", "1\r\nx-amz-target: other")), no_header),
        ("connection", Box::new(with("connection", "x-amz-target")), malformed),
        ("keep-alive", Box::new(with("keep-alive", "timeout=5")), malformed),
        ("proxy-connection", Box::new(with("proxy-connection", "close")), malformed),
        ("transfer-encoding", Box::new(with("transfer-encoding", "chunked")), malformed),
        ("upgrade", Box::new(with("upgrade", "h2c")), malformed),
        ("te", Box::new(with("te", "gzip")), malformed),
        ("a length that it has not", Box::new(with("content-length", "5")), malformed),
        (
            "two lengths",
            Box::new(|head| head.extend([pair("content-length", "0"), pair("content-length", "5")])),
            malformed,
        ),
        ("more headers than are read", Box::new(|head| head.extend(vec![pair("x", "y"); 100])), End::Answer(400)),
        (
            "a list that is too long",
            Box::new(|head| head.extend(vec![pair("x", &"y".repeat(4000)); 20])),
            End::Answer(0),
        ),
    ];
    let site = Site::start().await;
    let mut client = Raw::new(&site).await;
    let (mut found, mut all_expected) = (Vec::new(), Vec::new());
    for (what, change, expected) in cases {
        let mut head = right(&site);
        // Its body is empty, not what was signed: what is refused for its head is not told so.
        change(&mut head);
        let end = client.ask(&head).await;
        assert!(site.cloud.is_quiet().await, "{what}");
        if let End::Goaway(_) = end {
            client = Raw::new(&site).await;
        }
        // The connection is as good as before.
        works(&site, &mut client).await;
        found.push((what, end));
        all_expected.push((what, expected));
    }
    assert_eq!(found, all_expected);
}

/// The next stream is served.
async fn works(site: &Site, client: &mut Raw) {
    let number = client.number();
    client.wire.send(frame(HEADERS, END_HEADERS, number, &block(&right(site)))).await;
    client.wire.send(frame(DATA, END_STREAM, number, b"{}")).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.end(number).await, End::Answer(200));
}

#[tokio::test]
async fn what_is_harmless_is_taken() {
    let site = Site::start().await;
    let mut client = Raw::new(&site).await;
    for (name, value) in [("host", KINESIS), ("te", "trailers"), ("content-length", "2"), ("cookie", "a=1")] {
        let number = client.number();
        let head = [right(&site), vec![pair(name, value)]].concat();
        client.wire.send(frame(HEADERS, END_HEADERS, number, &block(&head))).await;
        client.wire.send(frame(DATA, END_STREAM, number, b"{}")).await;
        let call = site.cloud.call().await;
        assert_eq!(call.head.all("host").collect::<Vec<_>>(), [KINESIS], "{name}");
        assert_eq!(call.head.header("te"), None);
        call.ok().await;
        assert_eq!(client.end(number).await, End::Answer(200), "{name}");
    }
}

#[tokio::test]
async fn a_tunnel_within_the_tunnel_is_refused() {
    let site = Site::start().await;
    let mut client = Raw::new(&site).await;
    assert_eq!(client.ask(&[pair(":method", "CONNECT"), pair(":authority", KINESIS)]).await, End::Answer(400));
    works(&site, &mut client).await;
}

#[tokio::test]
async fn one_stream_too_many_is_refused_and_the_others_go_on() {
    let site = Site::start().await;
    let mut client = Raw::new(&site).await;
    let head = block(&right(&site));
    let mut first = 0;
    for _ in 0..100 {
        // Each waits for its body.
        first = client.number();
        client.wire.send(frame(HEADERS, END_HEADERS, first, &head)).await;
    }
    let number = client.number();
    client.wire.send(frame(HEADERS, END_HEADERS, number, &head)).await;
    assert_eq!(client.end(number).await, End::Reset(REFUSED_STREAM));
    client.wire.send(frame(DATA, END_STREAM, first, b"{}")).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.end(first).await, End::Answer(200));
}

#[tokio::test]
async fn floods_end_the_connection_and_no_other() {
    let site = Site::start().await;
    let head = block(&right(&site));
    let resets = (0..200).flat_map(|count| {
        let number = count * 2 + 1;
        let reset = frame(RST_STREAM, 0, number, &8_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS | END_STREAM, number, &head), reset].concat()
    });
    let errors = (0..1000).flat_map(|count| {
        frame(HEADERS, END_HEADERS | END_STREAM, count * 2 + 1, &block(&[right(&site), vec![pair("te", "x")]].concat()))
    });
    let continuations = [frame(HEADERS, 0, 1, &head)]
        .into_iter()
        .chain((0..100).map(|_| frame(CONTINUATION, 0, 1, &block(&[pair("x", "y")]))))
        .flatten();
    let endless = [frame(HEADERS, 0, 1, &head)]
        .into_iter()
        .chain((0..100).map(|_| frame(CONTINUATION, 0, 1, &block(&[pair("x", &"y".repeat(16_000))]))))
        .flatten();
    let bombs: [(&str, Vec<u8>, u32); 7] = [
        ("resets", resets.collect(), ENHANCE_YOUR_CALM),
        ("errors", errors.collect(), ENHANCE_YOUR_CALM),
        ("continuations", continuations.collect(), ENHANCE_YOUR_CALM),
        ("a head without end", endless.collect(), ENHANCE_YOUR_CALM),
        ("a window beyond all", frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()), FLOW_CONTROL_ERROR),
        ("a promise", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), PROTOCOL_ERROR),
        ("data for no stream", frame(DATA, 0, 1, b"x"), PROTOCOL_ERROR),
    ];
    let mut other = Raw::new(&site).await;
    let (mut found, mut all_expected) = (Vec::new(), Vec::new());
    for (what, bytes, expected) in bombs {
        let mut client = Raw::new(&site).await;
        // It may be told to go before it has sent all.
        let _ = client.wire.try_send(bytes).await;
        found.push((what, client.end(u32::MAX).await));
        all_expected.push((what, End::Goaway(expected)));
        client.wire.drain().await;
        works(&site, &mut other).await;
    }
    assert_eq!(found, all_expected);
}

/// Who does not read its answers is not read.
#[tokio::test]
async fn floods_of_pings_and_settings_meet_a_wall() {
    let site = Site::start().await;
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, b"")] {
        let mut client = Raw::new(&site).await;
        let (sent, piece) = (Arc::new(AtomicUsize::new(0)), flood.repeat(5_000));
        let count = Arc::clone(&sent);
        let flooding = tokio::spawn(async move {
            while client.wire.push(&piece).await.is_ok() {
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
        });
        let (mut before, mut still) = (0, 0);
        until("all buffers to be full, or the end", || {
            let now = sent.load(Ordering::SeqCst);
            still = if now == before { still + 1 } else { 0 };
            before = now;
            (still > 100 || flooding.is_finished()).then_some(())
        })
        .await;
        assert!(before < 32 * 1024 * 1024, "{before} bytes were read, and their answers kept");
        flooding.abort();
    }
    works(&site, &mut Raw::new(&site).await).await;
}

/// HTTP/2 where it was not chosen is not HTTP.
#[tokio::test]
async fn without_being_offered_it_is_not_understood() {
    let site = Site::start().await;
    for host in [DYNAMODB, KINESIS] {
        let mut client = site.tunnel(host).await;
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let head = client.try_head().await;
        assert!(head.is_none_or(|head| head.first.starts_with("HTTP/1.1 400")), "{host}");
    }
    let mut client = site.tunnel_offering_h2(KINESIS).await;
    client.send(list_streams(&site).bytes()).await;
    client.drain().await;
    assert!(site.cloud.is_quiet().await);
}

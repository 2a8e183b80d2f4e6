//! What a client may not say in a request over HTTP/2, written frame by frame, as no library would.

use super::http2::{KINESIS, list_streams};
use crate::harness::{
    DYNAMODB, Site,
    frames::{DATA, END_HEADERS, END_STREAM, End, HEADERS, PROTOCOL_ERROR, Raw, block, frame, pair},
};

/// What is done to a head that was right.
type Change = Box<dyn Fn(&mut Vec<(String, String)>)>;

/// A signed request to list streams.
pub(super) fn right(site: &Site) -> Vec<(String, String)> {
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
        ("another scheme", Box::new(instead(":scheme", "ftp")), End::Answer(400)),
        ("a scheme in capitals", Box::new(instead(":scheme", "HTTPS")), End::Answer(400)),
        ("no scheme", Box::new(without(":scheme")), malformed),
        ("two schemes", Box::new(before(":scheme", "http")), malformed),
        ("two authorities", Box::new(before(":authority", DYNAMODB)), malformed),
        ("two methods", Box::new(before(":method", "GET")), malformed),
        ("a method that is none", Box::new(instead(":method", "PO ST")), no_header),
        ("a status", Box::new(before(":status", "200")), malformed),
        ("a path of absolute form", Box::new(instead(":path", "https://kinesis.us-east-1.amazonaws.com/")), malformed),
        ("a path without a slash", Box::new(instead(":path", "other")), malformed),
        ("a path with a space", Box::new(instead(":path", "/a b")), malformed),
        ("a path with a line's end", Box::new(instead(":path", "/\r\nx: y")), malformed),
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
        ("te with more than trailers", Box::new(with("te", "trailers, gzip")), malformed),
        ("a header without a name", Box::new(with("", "x")), no_header),
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
    let mut client = Raw::new(&site, KINESIS).await;
    let (mut found, mut all_expected) = (Vec::new(), Vec::new());
    for (what, change, expected) in cases {
        let mut head = right(&site);
        // Its body is empty, not what was signed: what is refused for its head is not told so.
        change(&mut head);
        let end = client.ask(&head).await;
        assert!(site.cloud.is_quiet().await, "{what}");
        if let End::Goaway(_) = end {
            client = Raw::new(&site, KINESIS).await;
        }
        // The connection is as good as before.
        works(&site, &mut client).await;
        found.push((what, end));
        all_expected.push((what, expected));
    }
    assert_eq!(found, all_expected);
}

/// The next stream is served.
pub(super) async fn works(site: &Site, client: &mut Raw) {
    let number = client.number();
    client.wire.send(frame(HEADERS, END_HEADERS, number, &block(&right(site)))).await;
    client.wire.send(frame(DATA, END_STREAM, number, b"{}")).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.end(number).await, End::Answer(200));
}

#[tokio::test]
async fn what_is_harmless_is_taken() {
    let site = Site::start().await;
    let mut client = Raw::new(&site, KINESIS).await;
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
    let mut client = Raw::new(&site, KINESIS).await;
    assert_eq!(client.ask(&[pair(":method", "CONNECT"), pair(":authority", KINESIS)]).await, End::Answer(400));
    works(&site, &mut client).await;
    // Nobody said that it may be extended (RFC 8441, section 3).
    let mut head = right(&site);
    head[0].1 = "CONNECT".to_owned();
    head.insert(1, pair(":protocol", "websocket"));
    assert_eq!(client.ask(&head).await, End::Reset(PROTOCOL_ERROR));
    works(&site, &mut client).await;
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

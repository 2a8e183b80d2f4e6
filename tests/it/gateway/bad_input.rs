//! Input that makes no sense, on every way in: it gets a clear answer or a closed connection, nothing panics, nothing
//! wrong reaches the cloud, and the next connection works.

use std::time::Duration;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::LIST_TABLES;
use crate::harness::{DYNAMODB, Head, Log, Site, Wire, handshake, within};

/// Long enough for an answer, if one comes at all; many of these inputs leave the gateway waiting for more.
const PATIENCE: Duration = Duration::from_millis(250);

/// What comes back for `bytes` before the connection ends: the head of an answer, or nothing.
async fn told<S: AsyncRead + AsyncWrite + Unpin>(mut client: Wire<S>, bytes: &[u8], waits: bool) -> Option<Head> {
    let sending = client.try_send(bytes).await;
    let told = if waits { client.try_head().await } else { timeout(PATIENCE, client.try_head()).await.ok().flatten() };
    if sending.is_ok() {
        client.finish().await;
    }
    client.drain().await;
    told
}

/// Does the gateway still do what it is there for?
async fn assert_well(site: &Site) {
    let mut client = site.connect().await;
    client.send("GET /healthz HTTP/1.1\r\nHost: csg\r\n\r\n").await;
    assert_eq!(client.answer().await.status(), 200);
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

/// Requests that no server should take, and what HTTP has as an answer to them; none if a closed connection will do.
fn malformed_requests() -> Vec<(Vec<u8>, &'static [u16])> {
    let host = "Host: dynamodb.us-east-1.amazonaws.com\r\n";
    let with = |header: &str| format!("GET / HTTP/1.1\r\n{host}{header}\r\n\r\n").into_bytes();
    let refused: &[u16] = &[400, 403, 404];
    vec![
        (b"\r\n\r\n\r\n\r\n".to_vec(), &[]),
        (b"\0\0\0\0\r\n\r\n".to_vec(), &[400]),
        (b"GET\r\n\r\n".to_vec(), &[400]),
        (b"GET /\r\n\r\n".to_vec(), &[400]),
        (b"GET / HTTP/9.9\r\n\r\n".to_vec(), &[400]),
        (b"GET / HTTP/2.0\r\n\r\n".to_vec(), &[400]),
        (b"GET / http/1.1\r\n\r\n".to_vec(), &[400]),
        (b"GET  /  HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (b"GE\tT / HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (b"G\xc3\x84T / HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (b"GET /\x01 HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (b"GET /a b HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (b"GET http:// HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (b"GET http://[::1 HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (b"GET ://x HTTP/1.1\r\n\r\n".to_vec(), refused),
        (b"GET * HTTP/1.1\r\nHost: csg\r\n\r\n".to_vec(), refused),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[]),
        (b"SSH-2.0-OpenSSH_10.0\r\n\r\n".to_vec(), &[400]),
        (b"CONNECT\r\n\r\n".to_vec(), &[400]),
        (b"CONNECT  HTTP/1.1\r\n\r\n".to_vec(), &[400]),
        (b"CONNECT :443 HTTP/1.1\r\n\r\n".to_vec(), refused),
        (b"CONNECT [::1 HTTP/1.1\r\n\r\n".to_vec(), refused),
        (b"CONNECT dynamodb.us-east-1.amazonaws.com:443:443 HTTP/1.1\r\n\r\n".to_vec(), refused),
        (b"CONNECT dynamodb.us-east-1.amazonaws.com%00.evil.example:443 HTTP/1.1\r\n\r\n".to_vec(), refused),
        (with("No colon"), &[400]),
        (with(": no name"), &[400]),
        (with("Space : before"), &[400]),
        (with("Sp ace: inside"), &[400]),
        (with("N\u{fc}me: x"), &[400]),
        (with("Nul: a\0b"), &[400]),
        (with("Return: a\rb"), &[400]),
        (with("Folded: a\r\n b"), &[400]),
        (with("Content-Length: x"), &[400]),
        (with("Content-Length: -1"), &[400]),
        (with("Content-Length: +1"), &[400]),
        (with("Content-Length: 1, 2"), &[400]),
        (with("Content-Length: 99999999999999999999"), &[400]),
        (with("Transfer-Encoding: x"), &[400]),
        (with(&vec!["X: y"; 200].join("\r\n")), &[431]),
        (with(&format!("X: {}", "y".repeat(200 * 1024))), &[431]),
        (with(&vec![format!("X: {}", "y".repeat(7000)); 60].join("\r\n")), &[431]),
        (format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(70_000)).into_bytes(), &[400, 414]),
        (format!("{} / HTTP/1.1\r\n{host}\r\n", "A".repeat(200_000)).into_bytes(), &[400, 431]),
        (format!("GET / HTTP/1.1\n{host}\n\n").replace('\r', "").into_bytes(), &[200, 403]),
    ]
}

#[tokio::test]
async fn malformed_requests_get_a_clear_answer_on_the_port_and_inside_tls() {
    let site = Site::start().await;
    for (request, expected) in malformed_requests() {
        let shown = String::from_utf8_lossy(&request[..request.len().min(70)]).into_owned();
        let answered = !expected.is_empty();
        for inside in [false, true] {
            let head = if inside {
                told(site.tunnel(DYNAMODB).await, &request, answered).await
            } else {
                told(site.connect().await, &request, answered).await
            };
            let status = head.map(|head| head.status());
            // The outer port takes longer heads than the inner one; that they end is all that counts.
            let large = request.len() > 60_000;
            let clear = match status {
                Some(status) => expected.contains(&status) || (large && status < 500),
                None => expected.is_empty() || large,
            };
            assert!(clear, "{shown:?} (inside: {inside}) gave {status:?}");
        }
    }
    assert!(site.cloud.is_quiet().await);
    assert_well(&site).await;
}

#[tokio::test]
async fn what_is_no_tls_after_connect_ends_the_tunnel() {
    let (site, log) = (Site::start().await, Log::capture());
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: dynamodb.us-east-1.amazonaws.com\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x03\x00\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
        b"\0",
        &vec![0xff; 70_000],
    ] {
        let mut client = site.proxied(DYNAMODB).await;
        let _ = client.try_send(bytes).await;
        client.finish().await;
        client.drain().await;
    }
    assert!(log.text().matches("the TLS handshake failed").count() >= 6, "{}", log.text());
    assert_well(&site).await;
}

#[tokio::test]
async fn a_hello_cut_anywhere_ends_the_tunnel() {
    let site = Site::start().await;
    let mut tls = rustls::ClientConnection::new(site.client().into(), DYNAMODB.try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    for length in (0..hello.len()).step_by(hello.len() / 20) {
        let mut client = site.proxied(DYNAMODB).await;
        client.send(&hello[..length]).await;
        client.finish().await;
        client.drain().await;
    }
    assert_well(&site).await;
}

/// Only ways 1 and 5 exist yet.
#[tokio::test]
async fn tls_on_the_port_itself_is_closed_and_the_log_says_what_to_do() {
    let (site, log) = (Site::start().await, Log::capture());
    within("the end", handshake(site.connect().await, site.client(), DYNAMODB)).await.err().unwrap();
    assert!(log.text().contains("HTTPS_PROXY=http://"), "{}", log.text());
    assert_well(&site).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_not_waited_for_for_ever() {
    let site = Site::start().await;
    let mut silent = site.connect().await;
    let mut halfway = site.connect().await;
    halfway.send("GET /healthz HTT").await;
    let mut before_tls = site.proxied(DYNAMODB).await;
    let mut unused = site.tunnel(DYNAMODB).await;
    assert_well(&site).await;
    crate::harness::skip(Duration::from_secs(31)).await;
    silent.ends().await;
    halfway.drain().await;
    before_tls.ends().await;
    crate::harness::skip(Duration::from_secs(301)).await;
    unused.drain().await;
    assert_well(&site).await;
}

/// A site, and the runtime that it lives in, for tests that run many cases against one.
struct Cases {
    site: Site,
    runtime: Runtime,
}

impl Cases {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let site = runtime.block_on(Site::start());
        Self { site, runtime }
    }

    /// Runs `test` for `count` values; the gateway must be well after the last.
    fn run<S: Strategy>(&self, count: u32, strategy: &S, test: &impl AsyncFn(&Site, S::Value)) {
        let config = Config { cases: count, failure_persistence: None, ..Config::default() };
        let case = |value| {
            self.runtime.block_on(test(&self.site, value));
            Ok(())
        };
        TestRunner::new(config).run(strategy, case).unwrap();
        self.runtime.block_on(assert_well(&self.site));
    }
}

/// Pieces that mean something to an HTTP server, in any order, among bytes that mean nothing.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..40),
        prop::sample::select(vec![
            "GET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\n",
            "CONNECT dynamodb.us-east-1.amazonaws.com:443 HTTP/1.1\r\n",
            "Host: dynamodb.us-east-1.amazonaws.com\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\n",
            "Expect: 100-continue\r\n",
            "Connection: close\r\n",
            "Upgrade: websocket\r\nConnection: Upgrade\r\n",
            "Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/dynamodb/aws4_request, ",
            "SignedHeaders=host;x-amz-date, Signature=",
            "\r\n",
            "\r\n\r\n",
            "5\r\nhello\r\n",
            "0\r\n\r\n",
            "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn noise_on_the_port_does_no_harm() {
    Cases::new().run(40, &noise(), &async |site, bytes| {
        let mut client = site.connect().await;
        let _ = client.try_send(&bytes).await;
        client.finish().await;
        client.drain().await;
    });
}

#[test]
fn noise_inside_tls_does_no_harm() {
    let cases = Cases::new();
    cases.run(40, &noise(), &async |site, bytes| {
        let mut client = site.tunnel(DYNAMODB).await;
        let _ = client.try_send(&bytes).await;
        client.finish().await;
        client.drain().await;
        assert!(site.cloud.is_quiet().await, "unsigned, it reached the cloud");
    });
}

#[test]
fn no_authorization_header_is_answered_otherwise_than_with_a_refusal() {
    let authorization = prop_oneof![
        "[ -~]{0,60}",
        "AWS4-HMAC-SHA256 [ -~]{0,120}",
        "AWS4-HMAC-SHA256 (Credential|Signature|SignedHeaders|X)=[a-zA-Z0-9/;=-]{0,40}(, ?(Credential|Signature|SignedHeaders)=[A-Z0-9a-z/;-]{0,70}){0,3}",
    ];
    Cases::new().run(60, &authorization, &async |site, value| {
        let mut client = site.tunnel(DYNAMODB).await;
        client
            .send(format!(
                "POST / HTTP/1.1\r\nHost: {DYNAMODB}\r\nAuthorization: {value}\r\nContent-Length: 2\r\n\r\n{{}}"
            ))
            .await;
        let answer = client.answer().await;
        assert!(matches!(answer.status(), 400 | 403), "{value}");
        assert!(answer.head.header("x-amzn-errortype").is_some(), "{value}");
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body.bytes).is_ok(), "{value}");
    });
}

/// Whatever is done to a request on its way, what reaches the cloud is what was signed, or nothing whole.
#[test]
fn no_change_of_a_signed_request_gets_another_one_through() {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..3);
    Cases::new().run(120, &change, &async |site, (index, byte, how)| {
        let signed = site.key.sign(
            "POST /?a=b HTTP/1.1
            Host: dynamodb.us-east-1.amazonaws.com
            X-Amz-Target: DynamoDB_20120810.ListTables
            Content-Type: application/x-amz-json-1.0

            {\"Limit\":1}",
        );
        let mut bytes = signed.bytes();
        let at = index.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        let mut client = site.tunnel(DYNAMODB).await;
        client.send(&bytes).await;
        let arriving = async {
            let mut call = site.cloud.call().await;
            let body = call.body().await;
            if body.complete {
                assert_eq!(body.bytes, signed.body);
                assert_eq!(call.head.header("x-amz-target"), Some("DynamoDB_20120810.ListTables"));
                site.real.verify(&call, &body.bytes);
                call.ok().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            told = timeout(PATIENCE, client.try_head()) => {
                if let Ok(Some(head)) = told {
                    assert!(matches!(head.status(), 200 | 400 | 403), "{head:?}");
                }
            }
            () = arriving => {}
        }
    });
}

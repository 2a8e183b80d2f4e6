//! The console's port over TLS: who may speak there, what plain HTTP is told, and a new certificate without a restart.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use csg::{
    ca::{Authority, NameConstraints, ServerIdentity},
    clock::{Clock, Timestamp},
    console::{Tls, serve},
};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::harness::within;

const HOST: &str = "gateway.example.net";
const URL: &str = "https://gateway.example.net:3129";
/// As many handshakes as may be under way at one time.
const HANDSHAKES: usize = 256;

struct Port {
    address: SocketAddr,
    authority: Authority,
    identity: watch::Sender<Arc<ServerIdentity>>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Port {
    async fn open() -> Self {
        let now = Clock::system().now();
        let authority = Authority::generate(now, &NameConstraints::new([HOST], []).unwrap()).unwrap();
        let identity = watch::Sender::new(Self::identity(&authority, now));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let tls = Tls { identity: identity.subscribe(), url: URL.into() };
        let router = axum::Router::new().route("/", axum::routing::get(async || "hello over TLS"));
        let served = tokio::spawn(serve(listener, Some(tls), router, Clock::system(), stop.clone()));
        Self { address, authority, identity, stop, served }
    }

    fn identity(authority: &Authority, now: Timestamp) -> Arc<ServerIdentity> {
        Arc::new(ServerIdentity::minted(authority, &[HOST], now).unwrap())
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn shake_hands(&self, version: &'static SupportedProtocolVersion) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority.certificate_der())).unwrap();
        let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from(HOST).unwrap();
        let stream = self.connect().await;
        within("the handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
    }

    /// Sends what is no TLS and reads to the end.
    async fn plain(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        within("the answer", stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn close(self) {
        self.stop.cancel();
        within("the end", self.served).await.unwrap();
    }
}

async fn asks(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: gateway.example.net\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("hello over TLS") {
        let mut some = [0; 1024];
        let count = within("the answer", stream.read(&mut some)).await.unwrap();
        assert_ne!(count, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&some[..count]).unwrap());
    }
    answer
}

fn certificate(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn both_versions_are_spoken_and_http_1_1_in_them() {
    let port = Port::open().await;
    for version in [&TLS12, &TLS13] {
        let mut stream = port.shake_hands(version).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(asks(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    port.close().await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_from_then_on_and_nobody_is_cut_off() {
    let port = Port::open().await;
    let mut before = port.shake_hands(&TLS13).await;
    asks(&mut before).await;
    port.identity.send_replace(Port::identity(&port.authority, Clock::system().now().plus(Duration::from_secs(1))));
    let after = port.shake_hands(&TLS13).await;
    assert_ne!(certificate(&before), certificate(&after));
    asks(&mut before).await;
    port.close().await;
}

/// Browsers are sent on; a program, whose token or password has just crossed the network in clear, is refused.
#[tokio::test]
async fn plain_http_is_told_to_use_https() {
    let port = Port::open().await;
    for (request, location) in [
        ("GET /", "/"),
        ("GET /setup?token=x", "/setup?token=x"),
        ("HEAD /sign-in", "/sign-in"),
        ("GET http://evil.example/a", "/a"),
        ("GET //evil.example/", "//evil.example/"),
    ] {
        let answer = port.plain(&format!("{request} HTTP/1.1\r\nHost: evil.example\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
        assert!(answer.to_lowercase().contains(&format!("\r\nlocation: {URL}{location}\r\n")), "{answer}");
        assert!(!answer.to_lowercase().contains("strict-transport-security"), "not over plain HTTP: RFC 6797, 7.2");
    }
    for request in [
        "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
        "GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer csg_token\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let answer = port.plain(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(&format!("use {URL}")), "{answer}");
    }
    for nonsense in ["\0\0", "get / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x02ab"] {
        let answer = port.connect().await;
        drop(answer);
        let mut stream = port.connect().await;
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        // Closed, with an alert at most.
        drop(within("the end", stream.read_to_end(&mut heard)).await);
        assert!(!heard.starts_with(b"HTTP/"), "{nonsense:?}");
    }
    port.close().await;
}

/// As many as may shake hands at one time say nothing. The next one waits, and has its turn when one of them leaves.
#[tokio::test]
async fn handshakes_under_way_are_bounded() {
    let port = Port::open().await;
    let mut established = port.shake_hands(&TLS13).await;
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES {
        silent.push(port.connect().await);
    }
    let mut next = Box::pin(port.shake_hands(&TLS13));
    // Who is in already feels nothing; and that answer comes after the listener has taken all that it may.
    for _ in 0..50 {
        tokio::select! {
            biased;
            _ = asks(&mut established) => {}
            _ = &mut next => panic!("one more than there may be"),
        }
    }
    drop(silent.pop());
    let mut stream = next.as_mut().await;
    drop(next);
    asks(&mut stream).await;
    port.close().await;
}

/// With the clock paused, the time that nothing happens in passes at once.
#[tokio::test(start_paused = true)]
async fn who_does_not_shake_hands_in_time_is_left() {
    let port = Port::open().await;
    for beginning in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01", b"GET / HT"] {
        let mut stream = port.connect().await;
        stream.write_all(beginning).await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "{beginning:?}");
        assert!(began.elapsed() <= Duration::from_secs(16), "{:?}", began.elapsed());
    }
    port.close().await;
}

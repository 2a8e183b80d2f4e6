//! The cloud, played by the test: every request that arrives is handed to it, and it answers with what bytes it likes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::{ServerConfig, crypto::ring, pki_types::CertificateDer};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    sync::{Mutex, mpsc},
};
use tokio_rustls::TlsAcceptor;

use super::{
    wire::{Body, Head, Tls, Wire},
    within,
};

/// A server with a certificate of its own root, in the place of all cloud hosts.
pub(crate) struct Cloud {
    pub(crate) address: SocketAddr,
    calls: Arc<Mutex<mpsc::UnboundedReceiver<Call>>>,
    connections: Arc<AtomicUsize>,
}

/// What the cloud shows of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A certificate for the hosts of the tests.
    Right,
    /// One of a root that nobody trusts.
    OfNobody,
    /// One of the right root, for another name.
    OfAnotherHost,
}

/// A request whose head has arrived at the cloud.
pub(crate) struct Call {
    pub(crate) head: Head,
    pub(crate) sni: String,
    /// Counts the connections, from 1.
    pub(crate) connection: usize,
    pub(crate) wire: Tls,
    body_is_read: bool,
    back: mpsc::UnboundedSender<Call>,
}

impl Cloud {
    pub(crate) async fn start(identity: Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (back, calls) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let acceptor = TlsAcceptor::from(Arc::new(tls(identity)));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let connection = count.fetch_add(1, Ordering::SeqCst) + 1;
                let (acceptor, back) = (acceptor.clone(), back.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let sni = tls.get_ref().1.server_name().unwrap_or_default().to_owned();
                    listen(Wire::new(tls.into()), sni, connection, back).await;
                });
            }
        });
        Self { address, calls: Arc::new(Mutex::new(calls)), connections }
    }

    /// The next request that arrives.
    pub(crate) async fn call(&self) -> Call {
        within("a call at the cloud", async { self.calls.lock().await.recv().await }).await.unwrap()
    }

    /// The requests that arrive, for a task that answers them.
    pub(crate) fn calls(&self) -> Arc<Mutex<mpsc::UnboundedReceiver<Call>>> {
        Arc::clone(&self.calls)
    }

    /// The requests that have arrived and were not asked for.
    pub(crate) async fn arrived(&self) -> Vec<Call> {
        let mut calls = self.calls.lock().await;
        std::iter::from_fn(|| calls.try_recv().ok()).collect()
    }

    /// Has no request arrived that was not asked for?
    pub(crate) async fn is_quiet(&self) -> bool {
        self.calls.lock().await.try_recv().is_err()
    }

    /// How many connections were ever made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The root that its right certificates are from.
    pub(crate) fn root() -> CertificateDer<'static> {
        ROOT.certificate.clone()
    }
}

/// Reads the next head and hands the connection over with it.
async fn listen(mut wire: Tls, sni: String, connection: usize, back: mpsc::UnboundedSender<Call>) {
    // Idle for as long as the test likes.
    if let Some(head) = wire.idle_head().await {
        let _ = back.clone().send(Call { head, sni, connection, wire, body_is_read: false, back });
    }
}

impl Call {
    /// The rest of the request.
    pub(crate) async fn body(&mut self) -> Body {
        self.body_is_read = true;
        self.wire.body(&self.head).await
    }

    /// All of the request's body, which must be complete.
    pub(crate) async fn whole_body(&mut self) -> Vec<u8> {
        let body = self.body().await;
        assert!(body.complete, "the body broke off after {} bytes", body.bytes.len());
        body.bytes
    }

    /// The test has read the request's body by itself.
    pub(crate) fn keep_read(mut self) -> Self {
        self.body_is_read = true;
        self
    }

    /// Answers with `answer`, head and body as text with plain line ends, and takes the next request.
    pub(crate) async fn answer(mut self, answer: &str) {
        self.wire.send(lines(answer)).await;
        self.keep();
    }

    /// Answers 200 with a short JSON body, and takes the next request.
    pub(crate) async fn ok(self) {
        self.answer("HTTP/1.1 200 OK\nContent-Type: application/x-amz-json-1.0\nContent-Length: 2\n\n{}").await;
    }

    /// Sends a part of an answer, with plain line ends in the head.
    pub(crate) async fn send(&mut self, part: &str) {
        self.wire.send(lines(part)).await;
    }

    /// Takes the next request on this connection.
    pub(crate) fn keep(mut self) {
        tokio::spawn(async move {
            if !self.body_is_read {
                self.body().await;
            }
            listen(self.wire, self.sni, self.connection, self.back).await;
        });
    }

    /// Ends the connection, with TLS's own goodbye.
    pub(crate) async fn close(mut self) {
        let _ = self.wire.io.shutdown().await;
    }

    /// Waits until the gateway ends the connection.
    pub(crate) async fn is_given_up(&mut self) {
        self.wire.drain().await;
    }
}

/// The head with the line ends of the wire, the body as it is.
fn lines(text: &str) -> String {
    match text.split_once("\n\n") {
        Some((head, body)) => format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n")),
        None => text.to_owned(),
    }
}

struct Root {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Root {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn leaf(&self, names: &[&str]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect::<Vec<_>>();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap()
    }
}

/// One for all tests: making it takes a while.
static ROOT: LazyLock<Root> = LazyLock::new(Root::new);

pub(super) fn tls(identity: Identity) -> ServerConfig {
    let names = ["*.amazonaws.com", "*.us-east-1.amazonaws.com", "*.eu-west-1.amazonaws.com"];
    match identity {
        Identity::Right => ROOT.leaf(
            &[
                &names[..],
                &[
                    "*.cn-northwest-1.amazonaws.com.cn",
                    "*.ddb.us-east-1.amazonaws.com",
                    "*.mediastore.us-east-1.amazonaws.com",
                    "*.s3-accelerate.amazonaws.com",
                    "*.s3.amazonaws.com",
                    "*.s3.eu-west-1.amazonaws.com",
                    "*.s3.us-east-1.amazonaws.com",
                    "*.global.api.aws",
                ],
            ]
            .concat(),
        ),
        Identity::OfNobody => Root::new().leaf(&names),
        Identity::OfAnotherHost => ROOT.leaf(&["www.example.com"]),
    }
}

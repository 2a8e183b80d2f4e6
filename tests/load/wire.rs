//! Clients: connections that are kept, and requests that are signed once, so that the load costs the client little.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::Request;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::appliance::Key;

/// For an answer.
const PATIENCE: Duration = Duration::from_secs(30);

const REGION: &str = "us-east-1";

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// The large file, from Glacier.
    Download,
    /// 300 bytes into DynamoDB.
    PutItem,
}

/// A way to the cloud.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    /// Ask for a tunnel first, or is TLS spoken at once?
    pub(crate) tunnel: bool,
    pub(crate) tls: TlsConnector,
}

impl Way {
    pub(crate) fn new(address: SocketAddr, tunnel: bool, ca_pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { address, tunnel, tls: TlsConnector::from(Arc::new(config)) })
    }
}

/// A connection to a host of the cloud, and the request that is sent over it.
pub(crate) struct Connection {
    tls: TlsStream<TcpStream>,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(way: &Way, call: Call, key: &Key) -> Result<Self> {
        let mut tcp = TcpStream::connect(way.address).await?;
        tcp.set_nodelay(true)?;
        let host = call.host();
        if way.tunnel {
            tcp.write_all(format!("CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n").as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tcp.read_u8().await?);
            }
            ensure!(head.starts_with(b"HTTP/1.1 200 "), "no tunnel: {}", String::from_utf8_lossy(&head));
        }
        let tls = way.tls.connect(ServerName::try_from(host)?.to_owned(), tcp).await?;
        Ok(Self { tls, request: call.request(key)?, buffer: Vec::new() })
    }

    /// Sends the request and reads the answer; its length in bytes.
    pub(crate) async fn call(&mut self) -> Result<usize> {
        timeout(PATIENCE, self.exchange()).await.with_context(|| format!("no whole answer within {PATIENCE:?}"))?
    }

    async fn exchange(&mut self) -> Result<usize> {
        self.tls.write_all(&self.request).await?;
        // Where the runtime wants the task to pause, the bytes are not sent but kept.
        self.tls.flush().await?;
        self.buffer.clear();
        let (head, body) = loop {
            ensure!(self.tls.read_buf(&mut self.buffer).await? > 0, "closed before an answer came");
            if let Some(found) = answer_head(&self.buffer)? {
                break found;
            }
        };
        let mut left = (head + body).checked_sub(self.buffer.len()).context("more than an answer came")?;
        if left > 0 {
            self.buffer.resize(left.min(256 << 10), 0);
        }
        while left > 0 {
            let read = self.tls.read(&mut self.buffer).await?;
            ensure!(read > 0, "the answer broke off");
            left = left.checked_sub(read).context("more than an answer came")?;
        }
        Ok(body)
    }
}

impl Call {
    fn host(self) -> &'static str {
        match self {
            Self::Download => "glacier.us-east-1.amazonaws.com",
            Self::PutItem => "dynamodb.us-east-1.amazonaws.com",
        }
    }

    /// What boto3 sends, signed now: good for 15 minutes.
    fn request(self, key: &Key) -> Result<Vec<u8>> {
        let agent = "Boto3/1.43.0 md/Botocore#1.43.0 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13";
        let common = Request::builder().header("user-agent", agent).header("accept-encoding", "identity");
        let request = match self {
            Self::Download => common
                .method("GET")
                .uri("/-/vaults/papers/jobs/1/output")
                .header("x-amz-glacier-version", "2012-06-01")
                .body(Vec::new()),
            Self::PutItem => {
                let item = r#"{"TableName":"orders","Item":{"id":{"S":"0123456789"},"note":{"S":""#;
                let body = format!("{item}{}\"}}}}}}", "n".repeat(300 - item.len() - 4)).into_bytes();
                common
                    .method("POST")
                    .uri("/")
                    .header("x-amz-target", "DynamoDB_20120810.PutItem")
                    .header("content-type", "application/x-amz-json-1.0")
                    .header("amz-sdk-invocation-id", "3b3f4f1e-9b1c-4a6e-8f6b-2f1d5f0e7a11")
                    .header("amz-sdk-request", "attempt=1")
                    .header("content-length", body.len())
                    .body(body)
            }
        };
        self.sign(request?.map(Vec::from), key)
    }

    fn sign(self, mut request: Request<Vec<u8>>, key: &Key) -> Result<Vec<u8>> {
        let (host, path) = (self.host(), request.uri().path().to_owned());
        let (service, _) = host.split_once('.').context("a host has dots")?;
        let identity = Credentials::new(&key.id, &key.secret, None, None, "load").into();
        #[expect(clippy::disallowed_methods, reason = "the gateway compares it with its own clock")]
        let now = SystemTime::now();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(now)
            .settings(SigningSettings::default())
            .build()?;
        let signed = sign(
            SignableRequest::new(
                request.method().as_str(),
                format!("https://{host}{path}"),
                // What botocore signs.
                request
                    .headers()
                    .iter()
                    .filter(|(name, _)| name.as_str() == "content-type" || name.as_str().starts_with("x-amz-"))
                    .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))),
                SignableBody::Bytes(request.body()),
            )?,
            &parameters.into(),
        )?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        let mut bytes = format!("{} {path} HTTP/1.1\r\nhost: {host}\r\n", request.method()).into_bytes();
        for (name, value) in request.headers() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(request.body());
        Ok(bytes)
    }
}

/// How long the head is and how long the body will be, once the head is there.
fn answer_head(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("not a 200: {}", String::from_utf8_lossy(bytes));
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without Content-Length")?;
    Ok(Some((end + 4, length.1.trim().parse()?)))
}

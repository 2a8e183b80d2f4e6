//! Dials a cloud host: address by setting or DNS, TCP, TLS with the cloud's own name.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Address, dns::Resolver, io_cause};
use crate::model::host_pattern::HostPattern;

/// For one address to take the connection; then the next is tried.
const CONNECT: Duration = Duration::from_secs(5);

/// For the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

const HTTPS: u16 = 443;

/// No connection to a cloud host could be had. The words are for the client's error message and for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::gateway) enum DialError {
    #[error("its name can't be resolved: {0}")]
    Dns(String),
    #[error("it can't be connected to: {0}")]
    Tcp(String),
    #[error("its certificate is not accepted, or TLS failed: {0}")]
    Tls(String),
    #[error("it did not answer the connection attempt in time")]
    TimedOut,
}

#[derive(Clone)]
pub(super) struct Connector(Arc<Dialler>);

struct Dialler {
    tls: TlsConnector,
    resolver: Resolver,
    overrides: Vec<(HostPattern, Address)>,
}

impl Connector {
    pub(super) fn new(tls: ClientConfig, resolver: Resolver, overrides: Vec<(HostPattern, Address)>) -> Self {
        Self(Arc::new(Dialler { tls: TlsConnector::from(Arc::new(tls)), resolver, overrides }))
    }

    /// A TCP connection to `host`, or to where the settings say instead.
    pub(super) async fn tcp(&self, host: &str) -> Result<TcpStream, DialError> {
        self.0.tcp(host).await
    }
}

impl tower::Service<Uri> for Connector {
    type Response = CloudConnection;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<CloudConnection, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialler = Arc::clone(&self.0);
        Box::pin(async move { dialler.dial(uri.host().unwrap_or_default()).await })
    }
}

impl Dialler {
    async fn dial(&self, host: &str) -> Result<CloudConnection, DialError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| DialError::Tls(error.to_string()))?;
        let tcp = self.tcp(host).await?;
        let handshake = timeout(HANDSHAKE, self.tls.connect(name, tcp)).await.map_err(|_| DialError::TimedOut)?;
        let tls = handshake.map_err(|error| DialError::Tls(io_cause(&error)))?;
        Ok(CloudConnection(TokioIo::new(tls)))
    }

    /// Tries the host's addresses one after the other.
    async fn tcp(&self, host: &str) -> Result<TcpStream, DialError> {
        let mut last = DialError::Dns("it has no address".to_owned());
        for socket in self.addresses(host).await? {
            match timeout(CONNECT, TcpStream::connect(socket)).await {
                Ok(Ok(tcp)) => {
                    // Without it, a small request would wait for the acknowledgement of the one before.
                    tcp.set_nodelay(true).map_err(|error| DialError::Tcp(error.to_string()))?;
                    return Ok(tcp);
                }
                Ok(Err(error)) => last = DialError::Tcp(format!("{socket}: {error}")),
                Err(_) => last = DialError::TimedOut,
            }
        }
        Err(last)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, DialError> {
        let (host, port) = match HostPattern::most_specific(&self.overrides, host) {
            Some(Address::Socket(socket)) => return Ok(vec![*socket]),
            Some(Address::Name(name, port)) => (name.as_str(), *port),
            None => (host, HTTPS),
        };
        let found = self.resolver.addresses(host).await.map_err(|error| DialError::Dns(error.to_string()))?;
        Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

/// A TLS connection to a cloud host, in the form that the pool takes.
pub(super) struct CloudConnection(TokioIo<TlsStream<TcpStream>>);

impl Connection for CloudConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for CloudConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for CloudConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

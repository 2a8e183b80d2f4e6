//! Dials a cloud host: address by setting or DNS, TCP, TLS with the cloud's own name.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Address, dns::Resolver, io_cause};
use crate::{cloud::aws, model::host_pattern::HostPattern};

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

pub(super) struct Connector {
    tls: TlsConnector,
    resolver: Resolver,
    overrides: Vec<(HostPattern, Address)>,
}

impl Connector {
    pub(super) fn new(tls: ClientConfig, resolver: Resolver, overrides: Vec<(HostPattern, Address)>) -> Self {
        Self { tls: TlsConnector::from(Arc::new(tls)), resolver, overrides }
    }

    /// A TLS connection to `host`, whose certificate was verified.
    pub(super) async fn dial(&self, host: &str) -> Result<TlsStream<TcpStream>, DialError> {
        self.dial_offering(&[b"http/1.1"], host).await
    }

    /// The same, for HTTP/2 if `host` takes it.
    pub(super) async fn dial_for_streams(&self, host: &str) -> Result<TlsStream<TcpStream>, DialError> {
        self.dial_offering(&[b"h2", b"http/1.1"], host).await
    }

    async fn dial_offering(&self, protocols: &[&[u8]], host: &str) -> Result<TlsStream<TcpStream>, DialError> {
        let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let name = aws::certificate_name(host).to_owned();
        let name = ServerName::try_from(name).map_err(|error| DialError::Tls(error.to_string()))?;
        let tcp = self.tcp(host).await?;
        let handshake = timeout(HANDSHAKE, self.tls.with_alpn(protocols).connect(name, tcp))
            .await
            .map_err(|_| DialError::TimedOut)?;
        handshake.map_err(|error| DialError::Tls(io_cause(&error)))
    }

    /// A TCP connection to `host`, or to where the settings say instead. Tries the addresses one after the other.
    pub(super) async fn tcp(&self, host: &str) -> Result<TcpStream, DialError> {
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

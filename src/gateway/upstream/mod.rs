//! The way to the cloud: pooled, verified TLS connections, kept alive between calls.

mod connector;
mod conversation;
mod dns;
mod http2;
mod link;
mod pool;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::net::TcpStream;

use self::{
    connector::Connector,
    conversation::{Conversation, converse},
    dns::Resolver,
    link::{Link, LinkBody},
    pool::Pools,
};
use super::body::{BodyError, RequestBody};
use crate::model::host_pattern::HostPattern;

pub(super) use self::{connector::DialError, pool::Pool};

/// Where a dial that is not by DNS goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host name, looked up when dialled, and a port.
    Name(String, u16),
    /// An address and a port.
    Socket(SocketAddr),
}

/// How cloud hosts are reached.
#[derive(Clone, Debug, Default)]
pub struct UpstreamConfig {
    /// Roots that cloud hosts are trusted by, beside the public ones.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Where to dial instead; Host, SNI and the certificate's name stay the cloud's. The most specific pattern wins.
    /// Tunnels heed it too.
    pub overrides: Vec<(HostPattern, Address)>,
}

/// A certificate among the extra roots can't be used, or the system's DNS settings can't be read.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Names can't be resolved.
    #[error("DNS can't be set up: {0}")]
    Resolver(String),
    /// A root certificate is not usable as one.
    #[error("upstream.ca_file: a certificate in it can't be used as a root: {0}")]
    Root(rustls::Error),
    /// The TLS library refuses its own defaults; never seen.
    #[error("TLS towards the cloud can't be set up: {0}")]
    Tls(rustls::Error),
}

/// A call got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("no connection")]
    Dial(#[from] DialError),
    #[error("the call failed")]
    Broke(#[source] hyper::Error),
    #[error("the request names no host that HTTP/2 could name")]
    NoHost,
    #[error("the request broke off")]
    Request(#[source] BodyError),
    #[error("the call failed")]
    Stream(#[source] h2::Error),
}

/// Calls cloud hosts.
pub(super) struct Upstream {
    connector: Connector,
    pools: Arc<Pools>,
}

impl Upstream {
    /// Public roots and `config`'s, HTTP/1.1, for calls on so many `threads`. Must be called inside a Tokio runtime.
    pub(super) fn new(config: UpstreamConfig, threads: usize) -> Result<Self, UpstreamError> {
        let resolver = Resolver::system().map_err(|error| UpstreamError::Resolver(error.to_string()))?;
        let connector = Connector::new(tls(config.extra_roots)?, resolver, config.overrides);
        Ok(Self { connector, pools: Pools::start(threads) })
    }

    /// Where the connections to `host` are kept; for [`Upstream::call`].
    pub(super) fn pool(&self, host: &Arc<str>) -> Arc<Pool> {
        self.pools.of(host)
    }

    /// On `thread`, sends `request`, whose target is in origin form, to the host of `pool`; sent again by itself only if no byte of it
    /// had been sent.
    pub(super) async fn call(
        &self,
        pool: &Arc<Pool>,
        thread: usize,
        mut request: Request<RequestBody>,
    ) -> Result<CloudResponse, CallError> {
        if let RequestBody::Events(_) = request.body() {
            let tls = Box::pin(self.connector.dial_for_streams(&pool.host)).await?;
            return Ok(Box::pin(converse(tls, request)).await?.map(|body| CloudBody::Conversation(Box::new(body))));
        }
        let called = loop {
            let Some(kept) = pool.take(thread) else {
                // Boxed: a call that need not dial shall not keep room for it.
                let tls = Box::pin(self.connector.dial(&pool.host)).await?;
                break Link::open(tls, thread).await?.call(request).await;
            };
            match kept.call(request).await {
                // The cloud had closed it.
                Err(mut failed) if failed.message().is_some() => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => break Err(failed),
                },
                called => break called,
            }
        };
        let (answer, link) = called.map_err(|failed| CallError::Broke(failed.into_error()))?;
        Ok(answer.map(|body| CloudBody::Link(LinkBody::new(body, link, Arc::clone(pool)))))
    }

    /// A TCP connection to `host`, which need not be a cloud's, for a tunnel.
    pub(super) async fn tcp(&self, host: &str) -> Result<TcpStream, DialError> {
        self.connector.tcp(host).await
    }
}

/// Leaves path and query as they were written (RFC 9112, section 3.2.1), which is what was signed.
pub(super) fn in_origin_form(uri: &mut Uri) {
    if uri.authority().is_some() {
        *uri = uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    }
}

/// The answer of a cloud host.
pub(super) type CloudResponse = Response<CloudBody>;

/// Its body.
pub(super) enum CloudBody {
    /// Comes while the request goes on.
    Conversation(Box<Conversation>),
    /// Comes over a connection that is kept.
    Link(LinkBody),
}

impl Body for CloudBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Conversation(body) => Pin::new(body).poll_frame(cx),
            Self::Link(body) => {
                Pin::new(body).poll_frame(cx).map(|next| next.map(|frame| frame.map_err(BodyError::Cloud)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Conversation(body) => body.is_end_stream(),
            Self::Link(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Conversation(body) => body.size_hint(),
            Self::Link(body) => body.size_hint(),
        }
    }
}

fn tls(extra_roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, UpstreamError> {
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    for root in extra_roots {
        roots.add(root).map_err(UpstreamError::Root)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(UpstreamError::Tls)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Why a call got no answer, read off the error's chain of causes.
pub(super) fn dial_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a DialError> {
    causes(error).find_map(|cause| cause.downcast_ref::<DialError>())
}

/// `error`, then what caused it, and so on.
pub(super) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause.source())
}

/// The words of an I/O error that carries another error, without naming it twice.
pub(super) fn io_cause(error: &io::Error) -> String {
    error.get_ref().map_or_else(|| error.to_string(), ToString::to_string)
}

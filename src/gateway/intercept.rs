//! Ends TLS in the cloud host's stead, for exactly the host the tunnel was asked for, and takes calls from inside.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Request, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    server::{Acceptor, ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, server::TlsStream};

use super::{
    Deps,
    accept::Accepted,
    exchange,
    live::Live,
    multiplex,
    turn::{End, Turns},
    upload::Source,
    upstream::Pool,
};
use crate::{
    cloud::aws::{Catalogue, Host},
    model::AccessKeyId,
};

/// For the whole handshake.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// The largest head of a request (AWS takes less), and what waits at most for a client that reads slowly.
const BUFFER: usize = 64 * 1024;

/// The host that a tunnel was asked for.
pub(super) struct Target {
    pub(super) host: Host<'static>,
    /// In lower case.
    pub(super) name: Arc<str>,
    /// The key that the tunnel was asked for with, if the client gave it as the proxy's credentials.
    pub(super) vouched: Option<AccessKeyId>,
}

impl Target {
    /// None if the catalogue doesn't know `name`.
    pub(super) fn new(catalogue: &'static Catalogue, name: &str, vouched: Option<AccessKeyId>) -> Option<Self> {
        Some(Self { host: catalogue.host(name)?, name: name.to_ascii_lowercase().into(), vouched })
    }
}

/// A connection whose TLS ended here: the client was shown a certificate for `target`, and sent its name as SNI.
pub(super) struct Intercepted {
    pub(super) target: Target,
    pub(super) accepted: Accepted,
    /// The settings of when it began, to which the pool belongs.
    live: Arc<Live>,
    /// Connections to the cloud host.
    pool: Arc<Pool>,
}

impl Intercepted {
    /// The way to the cloud as the settings of this moment say: to `elsewhere` if that is a host, else to the target.
    pub(super) fn way(&self, deps: &Deps, elsewhere: Option<&Arc<str>>) -> (Arc<Live>, Arc<Pool>) {
        let live = deps.live.load_full();
        let pool = match elsewhere {
            None if Arc::ptr_eq(&live, &self.live) => Arc::clone(&self.pool),
            _ => live.upstream.pool(elsewhere.unwrap_or(&self.target.name)),
        };
        (live, pool)
    }
}

/// What a client's TLS comes through.
pub(super) type Tunnel = TokioIo<Upgraded>;

/// Ends the TLS of a tunnel, and has the calls that come out of it answered.
pub(super) async fn intercept(deps: Arc<Deps>, io: Upgraded, target: Target, accepted: Accepted) {
    let handshake = timeout(HANDSHAKE, handshake(&deps, TokioIo::new(io), &target));
    let result = tokio::select! {
        () = accepted.stop.cancelled() => return,
        result = handshake => result,
    };
    match result {
        Ok(Ok(Some(tls))) => {
            let (live, tasks) = (deps.live.load_full(), accepted.tasks.clone());
            let pool = live.upstream.pool(&target.name);
            let connection = Arc::new(Intercepted { target, accepted, live, pool });
            // A task of its own: this one has room for a handshake, which a connection need not keep.
            if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
                tasks.spawn(multiplex::serve(deps, tls, connection));
            } else {
                tasks.spawn(serve(deps, tls, connection));
            }
        }
        Ok(Ok(None)) => {}
        // Clients that don't trust the CA yet end here; their alert says so.
        Ok(Err(error)) => {
            tracing::info!(%error, host = %target.name, client = %accepted.client, "the TLS handshake failed");
        }
        Err(_) => {
            tracing::info!(host = %target.name, client = %accepted.client, "the TLS handshake took too long");
        }
    }
}

/// None if the client was told no.
async fn handshake(deps: &Deps, io: Tunnel, target: &Target) -> io::Result<Option<TlsStream<Tunnel>>> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
    let now = deps.clock.now();
    match hello.client_hello().server_name() {
        None if deps.live.load().require_sni => {
            tracing::warn!(
                "<< Cannot establish TLS with {}:443 (sni: None): \
                 TlsException('Cannot validate certificate hostname without SNI',)",
                target.name
            );
            let config = deps.certificates.sni_required(now).map_err(io::Error::other)?;
            // Whether or not the client accepts that certificate, this is the end.
            hello.into_stream(config).await.map(|_| None)
        }
        Some(name) if !name.eq_ignore_ascii_case(&target.name) => {
            tracing::warn!(sni = name, host = %target.name, "SNI disagrees with the host of CONNECT: refused");
            refuse(hello).await.map(|()| None)
        }
        None | Some(_) => {
            let certificates = &deps.certificates;
            let config = if target.host.speaks_h2() {
                certificates.h2_server_config(&target.name, now)
            } else {
                certificates.server_config(&target.name, now)
            };
            hello.into_stream(config.map_err(io::Error::other)?).await.map(Some)
        }
    }
}

/// Ends the handshake with an alert, which tells the client more than a closed connection.
async fn refuse(hello: StartHandshake<Tunnel>) -> io::Result<()> {
    #[derive(Debug)]
    struct NoCertificate;

    impl ResolvesServerCert for NoCertificate {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            None
        }
    }

    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(NoCertificate));
    hello.into_stream(Arc::new(config)).await.map(drop)
}

async fn serve(deps: Arc<Deps>, tls: TlsStream<Tunnel>, connection: Arc<Intercepted>) {
    let turns = Turns::new();
    let service = service_fn(|request: Request<Incoming>| {
        let (deps, connection, turn) = (Arc::clone(&deps), Arc::clone(&connection), turns.begin());
        let request = request.map(|body| Source::Http1(body, Arc::clone(&connection)));
        // Boxed: hyper keeps room for a call's state on every connection, idle or not.
        Box::pin(async move {
            let mut answer = exchange::exchange(Arc::clone(&deps), connection, turn, request).await;
            if deps.is_retired() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        })
    });
    let http = http1::Builder::new().max_buf_size(BUFFER).serve_connection(TokioIo::new(tls), service);
    let (mut http, mut stop) = (pin!(http), pin!(connection.accepted.stop.cancelled()));
    let mut cut = pin!(connection.accepted.cut.cancelled());
    let ended = poll_fn(|cx| {
        if cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if stop.as_mut().poll(cx).is_ready() {
            http.as_mut().graceful_shutdown();
        }
        if let ended @ Poll::Ready(_) = http.as_mut().poll(cx) {
            return ended;
        }
        match ready!(turns.poll_end(cx)) {
            // What can't be said to the client at once is not worth waiting for.
            End::Access | End::Stall => {
                let _ = http.as_mut().poll(cx);
                Poll::Ready(Ok(()))
            }
            End::Quiet => {
                http.as_mut().graceful_shutdown();
                let _ = http.as_mut().poll(cx);
                Poll::Ready(Ok(()))
            }
        }
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, host = %connection.target.name, "a client's connection ended early");
    }
}

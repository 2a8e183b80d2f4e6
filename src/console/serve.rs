//! The console's port: HTTP/1.1 connections, over TLS or plain, bounded in number, in the size of their heads and in
//! their patience.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{Router, http::header};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    origin::Peer,
    tls::{HANDSHAKES, Tls},
    unread::Home,
};
use crate::clock::Clock;

const CONNECTIONS: usize = 1_024;
/// The head of a request has to arrive within this time, counted from the end of the answer before.
const HEAD_TIME: Duration = Duration::from_secs(30);
const HEAD_BYTES: usize = 32 * 1024;
const HEADERS: usize = 100;
/// Whoever was let in just before the end has this long to say what they want: nobody else will hear it.
const PARTING: Duration = Duration::from_millis(500);
/// After `accept` has failed, as when no file handle is left, it is tried again after this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests on `listener`, over TLS if there is any, until `shutdown`; then lets those in flight finish.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, router: Router, clock: Clock, shutdown: CancellationToken) {
    let (places, handshakes) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(HANDSHAKES)));
    let (mut connections, part) = (JoinSet::new(), CancellationToken::new());
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            let handshake = Arc::clone(&handshakes).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (stream, Peer(peer.ip().to_canonical()), place, handshake))
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => match accepted {
                Ok((stream, peer, place, handshake)) => {
                    let (tls, router, shutdown) = (tls.clone(), router.clone(), part.clone());
                    connections.spawn(async move {
                        let Some(tls) = tls else {
                            drop(handshake);
                            connection(stream, peer, router, shutdown).await;
                            return drop(place);
                        };
                        let shaken = tokio::select! {
                            () = shutdown.cancelled() => None,
                            shaken = tls.handshake(stream) => shaken,
                        };
                        drop(handshake);
                        if let Some(stream) = shaken {
                            connection(stream, peer, router, shutdown).await;
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the console could not accept a connection");
                    clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    while connections.try_join_next().is_some() {}
    if !connections.is_empty() {
        clock.sleep(PARTING).await;
    }
    part.cancel();
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    router: Router,
    shutdown: CancellationToken,
) {
    let service = service_fn(|mut request: Request<Incoming>| {
        let router = router.clone();
        // For answers that last until somebody ends them.
        request.extensions_mut().insert(shutdown.clone());
        request.extensions_mut().insert(peer);
        let waits = request.headers().contains_key(header::EXPECT);
        let home = Home::default();
        let request = home.lend(request);
        async move {
            let answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            Ok::<_, Infallible>(home.clear(answer, waits).await)
        }
    });
    let connection = http().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the console ended early");
    }
}

/// HTTP/1.1 with the bounds of this port.
pub(super) fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_headers(HEADERS).max_header_size(HEAD_BYTES);
    http
}

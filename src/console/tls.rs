//! TLS on the console's port: a handshake with little patience, and a word to whoever speaks plain HTTP there.

use std::{convert::Infallible, future::ready, io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{error::Problem, serve::http};
use crate::ca::ServerIdentity;

/// Handshakes at one time: whoever only opens connections takes none of the places of those who have finished theirs.
pub(super) const HANDSHAKES: usize = 256;

/// From the connection to the end of the handshake.
const PATIENCE: Duration = Duration::from_secs(15);

/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What the console needs to speak TLS.
#[derive(Clone)]
pub struct Tls {
    /// The certificate, which is renewed while connections come and go.
    pub identity: watch::Receiver<Arc<ServerIdentity>>,
    /// Where people find the console: `https://gateway.example.com:3129`.
    pub url: Arc<str>,
}

impl Tls {
    /// Shakes hands. None if there was nobody to do it with; one who spoke plain HTTP has been told.
    pub(super) async fn handshake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let shaken = timeout(PATIENCE, async {
            let mut first = [0];
            match (stream.peek(&mut first).await?, first) {
                (1.., [TLS_HANDSHAKE]) => {
                    let config = self.identity.borrow().config();
                    TlsAcceptor::from(config).accept(stream).await.map(Some)
                }
                // A method's first letter.
                (1.., [b'A'..=b'Z']) => self.speak_plainly(stream).await.map(|()| None),
                _ => Ok(None),
            }
        });
        match shaken.await {
            Ok(Ok(stream)) => stream,
            // Browsers that don't trust the certificate end here, too.
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake with the console failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake with the console took too long");
                None
            }
        }
    }

    /// One answer to one request, and the end.
    async fn speak_plainly(&self, stream: TcpStream) -> io::Result<()> {
        let service = service_fn(|request: Request<Incoming>| {
            let mut answer = self.plain_answer(request.method(), request.uri());
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            ready(Ok::<_, Infallible>(answer))
        });
        http().serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
    }

    /// Who reads pages is sent on. A program is refused: it would never learn that its token crosses the network in clear.
    fn plain_answer(&self, method: &Method, uri: &Uri) -> Response<Body> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let reads_a_page = matches!(*method, Method::GET | Method::HEAD) && !uri.path().starts_with("/api/");
        match HeaderValue::try_from(format!("{}{path}", self.url)) {
            Ok(location) if reads_a_page && path.starts_with('/') => {
                (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
            }
            _ => Problem::malformed(format!("This port speaks TLS: use {}", self.url)).into_response(),
        }
    }
}

//! The request body as the client sends it. Whoever drops it before its end has the rest read away.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Version, header, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::intercept::Intercepted;

/// Of a body that nobody wants, this much is read away.
const DRAIN_BYTES: u64 = 256 * 1024 * 1024;

/// And for no longer than this.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// Why a client's body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error(transparent)]
    Broken(hyper::Error),
    #[error("the client cancelled it")]
    Cancelled,
}

/// A body that nobody has read yet, or not to its end.
pub(super) struct Upload {
    /// None once its end was seen.
    body: Option<Incoming>,
    /// The client sends nothing before it is told to (`Expect: 100-continue`), and it is told so by the first read.
    awaits_word: bool,
    client: IpAddr,
    /// The one that is this body's alone while it lasts.
    connection: Option<Arc<Intercepted>>,
}

impl Upload {
    /// The body behind the head `parts`.
    pub(super) fn new(body: Incoming, parts: &Parts, connection: Arc<Intercepted>) -> Self {
        // Over HTTP/2, a stream that nobody reads on is in nobody's way, and hyper has no word for who waits for one.
        let has_connection = parts.version != Version::HTTP_2;
        // The only expectation there is (RFC 9110, section 10.1.1).
        let expects = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        let awaits_word = has_connection && parts.headers.get(header::EXPECT).is_some_and(expects);
        let client = connection.accepted.address;
        Self { body: Some(body), awaits_word, client, connection: has_connection.then_some(connection) }
    }

    /// Where it comes from.
    pub(super) const fn client(&self) -> IpAddr {
        self.client
    }

    /// Does the client wait to be told to send it? If it never is, nobody knows whether the body follows or the next
    /// request, so the connection has to end.
    pub(super) const fn awaits_word(&self) -> bool {
        self.awaits_word
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        self.awaits_word = false;
        let over_http2 = self.connection.is_none();
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let next = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            // hyper takes a stream that the client cancelled for one that has come to its end.
            None if over_http2 && !body.is_end_stream() => Some(Err(UploadError::Cancelled)),
            next => next.map(|frame| frame.map_err(UploadError::Broken)),
        };
        if !matches!(next, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

/// A client that sends first and reads later shall read its refusal instead of meeting a closed connection (RFC 9112,
/// section 9.6).
impl Drop for Upload {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream() && !self.awaits_word);
        let (Some(mut body), Some(connection)) = (body, &self.connection) else { return };
        let reading = timeout(DRAIN_TIME, async move {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, |data| data.len() as u64);
                if read > DRAIN_BYTES {
                    break;
                }
            }
        });
        let stop = connection.accepted.stop.clone();
        connection.accepted.tasks.spawn(async move { stop.run_until_cancelled(reading).await });
    }
}

//! What a handler left unread of a request's body.
//!
//! A connection can take another request only when the body of the one before is out of the way. hyper reads on a little
//! and else closes, without having said so in its answer: a client that sends its next request there gets none. So what is
//! left is read here while the answer waits; if there is too much of it, the answer says that this was the last one
//! (RFC 9112, section 9.6).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, Request, header},
    response::Response,
};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// So much is read for nothing, and for so long.
const BYTES: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a body comes back to once the handler has done with it.
#[derive(Clone, Default)]
pub(super) struct Home(Arc<Mutex<Option<Incoming>>>);

struct Lent {
    body: Option<Incoming>,
    home: Home,
}

impl Home {
    /// `request`, its body lent.
    pub(super) fn lend(&self, request: Request<Incoming>) -> Request<Body> {
        request.map(|body| Body::new(Lent { body: Some(body), home: self.clone() }))
    }

    /// `answer`, when the body is out of the way or the answer says that it is not. `waits`: the client waits to be told
    /// to send its body (`Expect: 100-continue`), and shall not be told so now.
    pub(super) async fn clear(self, mut answer: Response, waits: bool) -> Response {
        let Some(mut body) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return answer };
        let read = async {
            let mut left = BYTES;
            while !body.is_end_stream() {
                let Some(Ok(frame)) = body.frame().await else { return true };
                let Some(now) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return false };
                left = now;
            }
            true
        };
        let is_clear = if waits { false } else { timeout(PATIENCE, read).await.unwrap_or(false) };
        if !is_clear {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.home.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

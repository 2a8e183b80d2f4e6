//! The request body as the client sends it. Whoever drops it before its end has the rest read away.

use std::{
    future::poll_fn,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{sync::oneshot, time::timeout};

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
    #[error(transparent)]
    Stream(h2::Error),
}

/// A body that nobody has read yet, or not to its end.
pub(super) struct Upload {
    /// None once its end was seen.
    source: Option<Source>,
    /// The client sends nothing before it is told to (`Expect: 100-continue`), and it is told so by the first read.
    awaits_word: bool,
    client: IpAddr,
}

/// Where it comes from.
pub(super) enum Source {
    /// A connection that is this body's alone while it lasts; hyper tells the client to go on.
    Http1(Incoming, Arc<Intercepted>),
    /// A stream. One that nobody reads on is in nobody's way.
    Http2(Stream),
}

/// What comes in a stream of HTTP/2.
pub(super) struct Stream {
    data: h2::RecvStream,
    /// What is still to come, if the client has said so.
    left: Option<u64>,
    /// Has the client told to go on.
    word: Option<oneshot::Sender<()>>,
    /// Given what nobody wants to read.
    unread: Option<oneshot::Sender<Source>>,
}

impl Stream {
    /// The body behind `headers`; `word` is told when it is first read, and `unread` gets it if it is not wanted.
    pub(super) fn new(
        data: h2::RecvStream,
        headers: &HeaderMap,
        word: oneshot::Sender<()>,
        unread: oneshot::Sender<Source>,
    ) -> Self {
        // What can't be read as a length, or is not that of the body, h2 refuses.
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let left = if data.is_end_stream() { Some(0) } else { declared };
        Self { data, left, word: Some(word), unread: Some(unread) }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.data.poll_data(cx)) {
            let data = data?;
            self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
            // As much more may come as was read. An error says that nothing more will.
            let _ = self.data.flow_control().release_capacity(data.len());
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.data.poll_trailers(cx));
        Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match self {
            Self::Http1(body, _) => {
                Pin::new(body).poll_frame(cx).map(|next| next.map(|frame| frame.map_err(UploadError::Broken)))
            }
            Self::Http2(stream) => {
                stream.poll_frame(cx).map(|next| next.map(|frame| frame.map_err(UploadError::Stream)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body, _) => body.is_end_stream(),
            Self::Http2(stream) => stream.data.is_end_stream(),
        }
    }
}

impl Upload {
    /// The body behind `headers`.
    pub(super) fn new(source: Source, headers: &HeaderMap, client: IpAddr) -> Self {
        // The only expectation there is (RFC 9110, section 10.1.1).
        let expects = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        Self { source: Some(source), awaits_word: headers.get(header::EXPECT).is_some_and(expects), client }
    }

    /// The address that it comes from.
    pub(super) const fn client(&self) -> IpAddr {
        self.client
    }

    /// Does the client wait to be told to send it, on a connection that is good for nothing else meanwhile? If it never
    /// is, nobody knows whether the body follows or the next request, so the connection has to end.
    pub(super) const fn holds_connection(&self) -> bool {
        self.awaits_word && matches!(self.source, Some(Source::Http1(..)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let awaits_word = std::mem::take(&mut self.awaits_word);
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        let next = source.poll_frame(cx);
        if let Source::Http2(stream) = source
            // Who has begun to send does not wait.
            && let Some(word) = stream.word.take().filter(|_| awaits_word && next.is_pending())
        {
            // Whoever does not listen has answered, or ended.
            let _ = word.send(());
        }
        let next = ready!(next);
        if !matches!(next, Some(Ok(_))) {
            self.source = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.source.as_ref().is_none_or(Source::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Some(Source::Http1(body, _)) => body.size_hint(),
            Some(Source::Http2(stream)) => stream.left.map_or_else(SizeHint::new, SizeHint::with_exact),
            None => SizeHint::with_exact(0),
        }
    }
}

/// A client that sends first and reads later shall read its refusal instead of meeting a closed connection (RFC 9112,
/// section 9.6).
impl Drop for Upload {
    fn drop(&mut self) {
        match self.source.take().filter(|source| !source.is_end_stream()) {
            Some(Source::Http1(body, connection)) if !self.awaits_word => {
                let stop = connection.accepted.stop.clone();
                let tasks = connection.accepted.tasks.clone();
                let reading = read_away(Source::Http1(body, connection));
                tasks.spawn(async move { stop.run_until_cancelled(reading).await });
            }
            Some(Source::Http2(mut stream)) => {
                if let Some(unread) = stream.unread.take() {
                    // Whoever does not take it has ended, and the stream with it.
                    let _ = unread.send(Source::Http2(stream));
                }
            }
            _ => {}
        }
    }
}

/// Reads what nobody wants, within limits.
pub(super) async fn read_away(mut source: Source) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = poll_fn(|cx| source.poll_frame(cx)).await {
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > DRAIN_BYTES {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_TIME, reading).await;
}

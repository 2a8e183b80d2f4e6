//! A connection to a cloud host, driven by whoever uses it.
//!
//! hyper means a connection to be a task of its own. Here the call that uses it polls it: what the cloud sends then wakes
//! the very task that hands it on, and not another that has to wake that one.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{CallError, pool::Pool};
use crate::gateway::body::RequestBody;

/// What is read ahead of an answer, its head included. A piece of it that waits for a slow client keeps all of the buffer
/// alive that it was read into, so that a larger one costs memory many times over.
const BUFFER: usize = 64 * 1024;

/// A connection for one call at a time.
pub(super) struct Link {
    /// The one that hears of it.
    pub(super) thread: usize,
    sender: http1::SendRequest<RequestBody>,
    /// None once it is closed.
    connection: Option<Connection>,
}

type Connection = http1::Connection<TokioIo<TlsStream<TcpStream>>, RequestBody>;

/// Speaks HTTP/1.1 over `tls`.
pub(super) async fn handshake(
    tls: TlsStream<TcpStream>,
) -> Result<(http1::SendRequest<RequestBody>, Connection), CallError> {
    http1::Builder::new().max_buf_size(BUFFER).handshake(TokioIo::new(tls)).await.map_err(CallError::Broke)
}

impl Link {
    /// Speaks HTTP/1.1 over `tls`, which `thread` hears of.
    pub(super) async fn open(tls: TlsStream<TcpStream>, thread: usize) -> Result<Box<Self>, CallError> {
        let (sender, connection) = handshake(tls).await?;
        Ok(Box::new(Self { thread, sender, connection: Some(connection) }))
    }

    /// Sends `request`; ends with the head of the answer. The error has the request again if none of it was sent.
    pub(super) async fn call(
        mut self: Box<Self>,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Box<Self>), TrySendError<Request<RequestBody>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let answer = poll_fn(|cx| {
            self.drive(cx);
            // It comes of nothing but what was just polled, so nobody has to be woken for it.
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        });
        answer.await.map(|answer| (answer, self))
    }

    /// Reads and writes what can be read and written now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // Its errors are given to the call or the body that meets them. A closed one is dropped, so that a request that
        // it had not begun comes back.
        if self.connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready()) {
            self.connection = None;
        }
    }

    /// Can it take another call? Not while the request is still being sent, nor once either side has closed.
    fn is_free(&mut self) -> bool {
        if !self.sender.is_ready() {
            self.drive(&mut Context::from_waker(Waker::noop()));
        }
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// The body of an answer. Read to its end, it gives its connection back; dropped before, it closes it.
pub(in crate::gateway) struct LinkBody {
    body: Incoming,
    /// None once the body needs it no more.
    link: Option<Box<Link>>,
    home: Arc<Pool>,
}

impl LinkBody {
    /// `body`, which comes over `link`, which belongs into `home`.
    pub(super) fn new(body: Incoming, link: Box<Link>, home: Arc<Pool>) -> Self {
        let mut body = Self { body, link: Some(link), home };
        body.release_at_end();
        body
    }

    fn release_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(mut link) = self.link.take()
            && link.is_free()
        {
            self.home.put(link);
        }
    }

    /// What has been read already, or can be read now.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut unheard = Context::from_waker(Waker::noop());
        if let ready @ Poll::Ready(_) = Pin::new(&mut self.body).poll_frame(&mut unheard) {
            return ready;
        }
        if let Some(link) = &mut self.link {
            link.drive(cx);
        }
        Pin::new(&mut self.body).poll_frame(&mut unheard)
    }
}

impl Body for LinkBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = self.poll_body(cx);
        match &polled {
            Poll::Ready(Some(Ok(_))) => self.release_at_end(),
            Poll::Ready(None) => self.release(),
            Poll::Ready(Some(Err(_))) => self.link = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! A call whose request goes on while its answer comes, an event stream, over a connection of its own.
//!
//! AWS takes such calls over HTTP/2, so that is offered first; what the cloud host chooses is spoken. The request goes on
//! in a task of its own, which ends with the answer: neither direction waits for the other, however slowly somebody reads.
//! No connection is kept for a next call: such calls are few, and they are long.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{net::TcpStream, sync::oneshot};
use tokio_rustls::client::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use super::{CallError, http2::Sending, link};
use crate::gateway::body::{BodyError, RequestBody};

/// The answer, and the request behind it.
pub(in crate::gateway) struct Conversation {
    answer: Answer,
    /// Why the request did not come to its end; none once that is known, or cannot be any more.
    fault: Option<oneshot::Receiver<BodyError>>,
    _request: AbortOnDropHandle<()>,
}

enum Answer {
    Http1(Incoming),
    Http2(h2::RecvStream),
}

/// Sends `request` over `tls`; ends with the head of the answer.
pub(super) async fn converse(
    tls: TlsStream<TcpStream>,
    request: Request<RequestBody>,
) -> Result<Response<Conversation>, CallError> {
    if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
        over_http2(tls, request).await
    } else {
        over_http1(tls, request).await
    }
}

async fn over_http2(
    tls: TlsStream<TcpStream>,
    request: Request<RequestBody>,
) -> Result<Response<Conversation>, CallError> {
    let (mut head, body) = request.into_parts();
    // What was signed as the host goes where HTTP/2 has it.
    let host = head.headers.remove(header::HOST).ok_or(CallError::NoHost)?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let uri = Uri::builder().scheme("https").authority(host.as_bytes()).path_and_query(target).build();
    head.uri = uri.map_err(|_| CallError::NoHost)?;
    let (sending, answer) =
        Sending::begin(tls, Request::from_parts(head, ()), body).await.map_err(CallError::Stream)?;
    let (tell, mut fault) = oneshot::channel();
    let request = AbortOnDropHandle::new(tokio::spawn(sending.run(tell)));
    let answer = tokio::select! {
        biased;
        Ok(error) = &mut fault => return Err(CallError::Request(error)),
        answer = answer => answer.map_err(CallError::Stream)?,
    };
    Ok(answer.map(|body| Conversation { answer: Answer::Http2(body), fault: Some(fault), _request: request }))
}

async fn over_http1(
    tls: TlsStream<TcpStream>,
    request: Request<RequestBody>,
) -> Result<Response<Conversation>, CallError> {
    let (mut sender, connection) = link::handshake(tls).await?;
    let (tell, fault) = oneshot::channel();
    let request_task = AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Whoever does not wait for it has ended.
            let _ = tell.send(BodyError::Cloud(error));
        }
    }));
    let answer = sender.send_request(request).await.map_err(CallError::Broke)?;
    Ok(answer.map(|body| Conversation { answer: Answer::Http1(body), fault: Some(fault), _request: request_task }))
}

impl Conversation {
    /// Ready with what went wrong, or with none if nothing will.
    fn poll_fault(&mut self, cx: &mut Context<'_>) -> Poll<Option<BodyError>> {
        let Some(fault) = &mut self.fault else { return Poll::Ready(None) };
        let fault = ready!(Pin::new(fault).poll(cx)).ok();
        self.fault = None;
        Poll::Ready(fault)
    }
}

impl Body for Conversation {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.answer {
            Answer::Http1(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                // The connection knows better than the body why.
                Some(Err(error)) => {
                    let fault = ready!(self.poll_fault(cx));
                    Poll::Ready(Some(Err(fault.unwrap_or(BodyError::Cloud(error)))))
                }
                next => Poll::Ready(next.map(|frame| frame.map_err(BodyError::Cloud))),
            },
            Answer::Http2(_) => {
                if let Poll::Ready(Some(fault)) = self.poll_fault(cx) {
                    return Poll::Ready(Some(Err(BodyError::Request(Box::new(fault)))));
                }
                let Answer::Http2(body) = &mut self.answer else { return Poll::Ready(None) };
                poll_http2(body, cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.answer {
            Answer::Http1(body) => body.is_end_stream(),
            Answer::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.answer {
            Answer::Http1(body) => body.size_hint(),
            Answer::Http2(_) => SizeHint::new(),
        }
    }
}

fn poll_http2(body: &mut h2::RecvStream, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    match ready!(body.poll_data(cx)) {
        Some(Ok(data)) => {
            // As much more may come as goes on. An error says that nothing more will.
            let _ = body.flow_control().release_capacity(data.len());
            Poll::Ready(Some(Ok(Frame::data(data))))
        }
        Some(Err(error)) => Poll::Ready(Some(Err(BodyError::Stream(error)))),
        None => {
            let trailers = ready!(body.poll_trailers(cx)).map_err(BodyError::Stream);
            Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
        }
    }
}

//! One stream of HTTP/2: its request goes through the stages, and their answer goes back.
//!
//! On the `h2` crate itself rather than on hyper, which has no word for a client that waits to be told to go on
//! (`Expect: 100-continue`), takes a body that was cancelled for a whole one, and can't say that a stream was not looked
//! at.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::sync::oneshot;

use super::{
    Deps,
    body::ResponseBody,
    exchange::exchange,
    intercept::Intercepted,
    turn::Turn,
    upload::{Source, Stream, read_away},
};

/// Answers `request` with `respond`, unless the client gives it up.
pub(super) async fn serve(
    deps: Arc<Deps>,
    connection: Arc<Intercepted>,
    turn: Turn,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let (clock, stop) = (deps.clock.clone(), connection.accepted.stop.clone());
    let ((word, go_on), (unread, rest)) = (oneshot::channel(), oneshot::channel());
    let (head, data) = request.into_parts();
    let asks_for_head = head.method == Method::HEAD;
    let source = Source::Http2(Stream::new(data, &head.headers, word, unread));
    // Boxed: a stream shall not keep its room while the answer goes out.
    let exchange = Box::pin(exchange(deps, connection, turn, Request::from_parts(head, source)));
    let Some(answer) = answer(exchange, go_on, &mut respond).await else { return };
    let (mut head, body) = answer.into_parts();
    // Nothing else is said of a connection here than GOAWAY (RFC 9113, section 8.2.2).
    head.headers.remove(header::CONNECTION);
    if let Ok(date) = HeaderValue::try_from(clock.now().http_date()) {
        head.headers.entry(header::DATE).or_insert(date);
    }
    if !body.is_end_stream()
        && let Some(length) = body.size_hint().exact()
    {
        head.headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    let is_all = asks_for_head || body.is_end_stream();
    let Ok(to) = respond.send_response(Response::from_parts(head, ()), is_all) else {
        // It can't be written, or there is nobody left.
        return respond.send_reset(Reason::INTERNAL_ERROR);
    };
    if is_all {
        drop(body);
    } else if !pass(body, to).await {
        return;
    }
    // To reset the stream now would be right (RFC 9113, section 8.1), but with that curl 7.88 loses the answer.
    if let Ok(rest) = rest.await {
        stop.run_until_cancelled(read_away(rest)).await;
    }
}

/// None if the client does not want it any more.
async fn answer(
    mut exchange: Pin<Box<impl Future<Output = Response<ResponseBody>>>>,
    go_on: oneshot::Receiver<()>,
    respond: &mut SendResponse<Bytes>,
) -> Option<Response<ResponseBody>> {
    let mut go_on = Some(go_on);
    poll_fn(|cx| {
        if let Poll::Ready(answer) = exchange.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        if let Some(asked) = &mut go_on
            && let Poll::Ready(asked) = Pin::new(asked).poll(cx)
        {
            go_on = None;
            if asked.is_ok() {
                let mut head = Response::new(());
                *head.status_mut() = StatusCode::CONTINUE;
                // Whoever can't be told has gone, as the next line finds.
                let _ = respond.send_informational(head);
            }
        }
        respond.poll_reset(cx).map(|_| None)
    })
    .await
}

/// Gives `body` out as fast as the client takes it; false if not all of it.
async fn pass(mut body: ResponseBody, mut to: SendStream<Bytes>) -> bool {
    loop {
        // First what is to be sent, then the room for it: room that waits for something to send is missing elsewhere.
        let next = poll_fn(|cx| match to.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(Err(Gone)),
            Poll::Pending => Pin::new(&mut body).poll_frame(cx).map(Ok),
        });
        let frame = match next.await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                to.send_reset(Reason::INTERNAL_ERROR);
                return false;
            }
            Ok(None) => return to.send_data(Bytes::new(), true).is_ok(),
            Err(Gone) => return false,
        };
        match frame.into_data() {
            Ok(data) => {
                let is_last = body.is_end_stream();
                if !data.is_empty() && !has_room(&mut to).await {
                    return false;
                }
                let is_sent = to.send_data(data, is_last).is_ok();
                if is_last || !is_sent {
                    return is_sent;
                }
            }
            Err(frame) => return frame.into_trailers().is_ok_and(|trailers| to.send_trailers(trailers).is_ok()),
        }
    }
}

/// The client wants no more of it.
struct Gone;

/// Waits until what was given before has gone; false if the other side takes no more.
pub(super) async fn has_room(to: &mut SendStream<Bytes>) -> bool {
    to.reserve_capacity(1);
    while to.capacity() == 0 {
        if !matches!(poll_fn(|cx| to.poll_capacity(cx)).await, Some(Ok(_))) {
            return false;
        }
    }
    true
}

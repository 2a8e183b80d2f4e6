//! HTTP/2 towards the cloud: one stream over one connection.
//!
//! On the `h2` crate itself rather than on hyper, which keeps to itself why a request's body broke off.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use bytes::Bytes;
use h2::{
    Reason, SendStream,
    client::{Builder, Connection, ResponseFuture},
};
use http::Request;
use http_body_util::BodyExt;
use tokio::{net::TcpStream, sync::oneshot};
use tokio_rustls::client::TlsStream;

use crate::gateway::{
    body::{BodyError, RequestBody},
    stream::has_room,
};

/// What the cloud may send of an answer before it is read.
const WINDOW: u32 = 256 * 1024;

/// All headers of an answer, each counted with 32 bytes more.
const HEADER_LIST: u32 = 64 * 1024;

const FRAME: u32 = 16 * 1024;

/// A request on its way, and the connection that it goes over.
pub(super) struct Sending {
    connection: Connection<TlsStream<TcpStream>, Bytes>,
    to: SendStream<Bytes>,
    body: RequestBody,
}

impl Sending {
    /// Sends `head`, whose target is in absolute form.
    pub(super) async fn begin(
        tls: TlsStream<TcpStream>,
        head: Request<()>,
        body: RequestBody,
    ) -> Result<(Self, ResponseFuture), h2::Error> {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .max_header_list_size(HEADER_LIST);
        let (sender, connection) = builder.handshake(tls).await?;
        let (answer, to) = sender.ready().await?.send_request(head, false)?;
        Ok((Self { connection, to, body }, answer))
    }

    /// Goes on to the end of the connection. If the body breaks off, so does the stream, and the reason is told.
    pub(super) async fn run(self, tell: oneshot::Sender<BodyError>) {
        let Self { mut connection, to, body } = self;
        let mut tell = Some(tell);
        let mut sending = pin!(send(to, body));
        let mut is_sent = false;
        poll_fn(|cx| {
            if !is_sent && let Poll::Ready(sent) = sending.as_mut().poll(cx) {
                is_sent = true;
                if let (Err(error), Some(tell)) = (sent, tell.take()) {
                    // Whoever does not wait for it has ended.
                    let _ = tell.send(error);
                }
            }
            // Its errors are given to whoever reads the answer.
            Pin::new(&mut connection).poll(cx).map(drop)
        })
        .await;
    }
}

/// Ends the stream only if the body was whole.
async fn send(mut to: SendStream<Bytes>, mut body: RequestBody) -> Result<(), BodyError> {
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => {
                to.send_reset(Reason::CANCEL);
                return Err(error);
            }
        };
        // Whether the cloud takes no more, its answer tells.
        if !has_room(&mut to).await || to.send_data(data, false).is_err() {
            return Ok(());
        }
    }
    let _ = to.send_data(Bytes::new(), true);
    Ok(())
}

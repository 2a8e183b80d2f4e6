//! HTTP/2 on both sides, over the `h2` crate: a client of the gateway, and a cloud that speaks nothing else.

use std::{future::poll_fn, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server};
use http::{Request, Response, Uri};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{Identity, Signed, Site, cloud::tls, wire::Head, within};

/// A client's connection through the gateway.
pub(crate) struct H2Client {
    pub(crate) sender: client::SendRequest<Bytes>,
    /// Ends with the connection, and says how.
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

/// An answer that is waited for.
pub(crate) struct Answering {
    pub(crate) head: client::ResponseFuture,
    pub(crate) stream: SendStream<Bytes>,
}

/// What comes one way of a stream, with what was read too far.
pub(crate) struct Talk {
    pub(crate) body: RecvStream,
    ahead: Vec<u8>,
}

/// A server that takes HTTP/2 alone, in the place of all cloud hosts.
pub(crate) struct H2Cloud {
    pub(crate) address: SocketAddr,
    calls: Mutex<mpsc::UnboundedReceiver<H2Call>>,
}

/// A request that has arrived there.
pub(crate) struct H2Call {
    pub(crate) head: Head,
    pub(crate) body: Talk,
    pub(crate) respond: server::SendResponse<Bytes>,
}

impl Site {
    /// A client that speaks HTTP/2 with `host` through the gateway.
    pub(crate) async fn h2(&self, host: &str) -> H2Client {
        let wire = self.tunnel_offering_h2(host).await;
        assert_eq!(wire.io.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "{host}");
        let (sender, connection) = within("the preface", client::handshake(wire.io)).await.unwrap();
        H2Client { sender, connection: tokio::spawn(connection) }
    }
}

impl H2Client {
    /// The same connection once more; its end is told to the other.
    pub(crate) fn beside(&self) -> Self {
        Self { sender: self.sender.clone(), connection: tokio::spawn(async { Ok(()) }) }
    }

    /// Begins a stream with `head`.
    pub(crate) async fn begin(&mut self, head: Request<()>) -> Answering {
        self.begin_with(head, false).await
    }

    /// The same; if it `is_all`, there is no body.
    pub(crate) async fn begin_with(&mut self, head: Request<()>, is_all: bool) -> Answering {
        poll_fn(|cx| self.sender.poll_ready(cx)).await.unwrap();
        let (head, stream) = self.sender.send_request(head, is_all).unwrap();
        Answering { head, stream }
    }

    /// Sends a whole request.
    pub(crate) async fn send(&mut self, signed: &Signed) -> Answering {
        let mut answering = self.begin(signed.h2_head()).await;
        answering.stream.send_data(signed.body.clone().into(), true).unwrap();
        answering
    }

    /// Sends a whole request, and reads the whole answer.
    pub(crate) async fn call(&mut self, signed: &Signed) -> (Response<()>, Vec<u8>) {
        answered(self.send(signed).await).await
    }
}

/// The whole answer.
pub(crate) async fn answered(answering: Answering) -> (Response<()>, Vec<u8>) {
    let (head, body) = within("an answer", answering.head).await.unwrap().into_parts();
    let body = Talk::new(body).rest().await.unwrap();
    (Response::from_parts(head, ()), body)
}

impl Signed {
    /// The head as HTTP/2 has it, the host in `:authority`.
    pub(crate) fn h2_head(&self) -> Request<()> {
        let mut lines = self.head.lines();
        let mut first = lines.next().unwrap().split(' ');
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let mut request = Request::builder().method(method).version(http::Version::HTTP_2);
        let mut host = String::new();
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            match name.to_ascii_lowercase().as_str() {
                "host" => value.trim().clone_into(&mut host),
                "transfer-encoding" => {}
                name => request = request.header(name, value.trim()),
            }
        }
        let uri = Uri::builder().scheme("https").authority(host).path_and_query(target).build().unwrap();
        request.uri(uri).body(()).unwrap()
    }
}

impl Talk {
    pub(crate) fn new(body: RecvStream) -> Self {
        Self { body, ahead: Vec::new() }
    }

    /// The next `count` bytes, and the window opened for as many.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            let more = within("bytes of a stream", self.more()).await;
            let more = more.unwrap_or_else(|| panic!("the stream ended after {} bytes", self.ahead.len()));
            self.ahead.extend(more.unwrap());
        }
        self.ahead.drain(..count).collect()
    }

    /// All that still comes; an error if the stream is broken off.
    pub(crate) async fn rest(&mut self) -> Result<Vec<u8>, h2::Error> {
        while let Some(more) = within("the rest of a stream", self.more()).await {
            self.ahead.extend(more?);
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    async fn more(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let more = self.body.data().await;
        if let Some(Ok(data)) = &more {
            self.body.flow_control().release_capacity(data.len()).unwrap();
        }
        more
    }
}

impl H2Cloud {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = tls(Identity::Right);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (acceptor, (back, calls)) = (TlsAcceptor::from(Arc::new(config)), mpsc::unbounded_channel());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, back) = (acceptor.clone(), back.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let Ok(mut connection) = server::handshake(tls).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let _ = back.send(H2Call::new(request, respond));
                    }
                });
            }
        });
        Self { address, calls: Mutex::new(calls) }
    }

    /// The next request that arrives.
    pub(crate) async fn call(&self) -> H2Call {
        within("a call at the cloud", async { self.calls.lock().await.recv().await }).await.unwrap()
    }
}

impl H2Call {
    fn new(request: Request<RecvStream>, respond: server::SendResponse<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        let host = ("host".to_owned(), parts.uri.authority().unwrap().to_string());
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).chain([host]).collect();
        let first = format!("{} {} HTTP/2", parts.method, parts.uri.path_and_query().unwrap());
        Self { head: Head { first, headers }, body: Talk::new(body), respond }
    }

    /// Begins an answer that is an event stream.
    pub(crate) fn begin(&mut self) -> SendStream<Bytes> {
        let head = Response::builder().header("content-type", "application/vnd.amazon.eventstream").body(()).unwrap();
        self.respond.send_response(head, false).unwrap()
    }
}

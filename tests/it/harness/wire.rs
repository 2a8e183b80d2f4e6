//! HTTP/1.1 over any stream, read by hand: what was really sent is what the tests are about.

use std::fmt;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsStream;

use super::within;

/// One end of a connection.
pub(crate) struct Wire<S> {
    pub(crate) io: S,
    /// Read, but not looked at yet.
    ahead: Vec<u8>,
}

/// One end of a TLS connection over TCP.
pub(crate) type Tls = Wire<TlsStream<tokio::net::TcpStream>>;

/// The first line and the headers of a message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) first: String,
    /// With names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

/// What follows a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Its end came, and not just the connection's.
    pub(crate) complete: bool,
}

/// An answer as a client reads it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, ahead: Vec::new() }
    }

    /// Writes `bytes`; fails if nobody takes them.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// Writes `bytes` to whoever may have closed the connection.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        within("writing", self.push(bytes)).await
    }

    /// Writes `bytes`, however long it takes.
    pub(crate) async fn push(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.io.write_all(bytes.as_ref()).await?;
        self.io.flush().await
    }

    /// Says that nothing more will be sent, and stays to read.
    pub(crate) async fn finish(&mut self) {
        let _ = within("saying goodbye", self.io.shutdown()).await;
    }

    /// Reads the head of the next message.
    pub(crate) async fn head(&mut self) -> Head {
        self.try_head().await.expect("the connection ended where a message should begin")
    }

    /// Reads the head of the next message; none if the connection ends instead.
    pub(crate) async fn try_head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let text: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return Some(Head::parse(std::str::from_utf8(&text[..end]).expect("a head in ASCII")));
            }
            if self.more("a head").await == 0 {
                return None;
            }
        }
    }

    /// Reads the next answer, which is not to a HEAD request.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let body = if head.has_body() { self.body(&head).await } else { Body { complete: true, ..Body::default() } };
        Answer { head, body }
    }

    /// Reads what follows `head`: so long, in chunks, or, in an answer, to the end of the connection.
    pub(crate) async fn body(&mut self, head: &Head) -> Body {
        if head.all("transfer-encoding").eq(["chunked"]) {
            return self.chunked_body().await;
        }
        let length = head.header("content-length").map(|length| length.parse::<usize>().unwrap());
        let length = length.or((!head.first.starts_with("HTTP/")).then_some(0));
        let mut complete = true;
        while length.is_none_or(|length| self.ahead.len() < length) {
            if self.more("a body").await == 0 {
                complete = length.is_none();
                break;
            }
        }
        let length = length.unwrap_or(usize::MAX).min(self.ahead.len());
        Body { bytes: self.ahead.drain(..length).collect(), trailers: Vec::new(), complete }
    }

    async fn chunked_body(&mut self) -> Body {
        let mut body = Body::default();
        loop {
            let Some(size) = self.line().await else { return body };
            let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
            if size == 0 {
                break;
            }
            while self.ahead.len() < size + 2 {
                if self.more("a chunk").await == 0 {
                    body.bytes.append(&mut self.ahead);
                    return body;
                }
            }
            body.bytes.extend(self.ahead.drain(..size));
            assert_eq!(self.ahead.drain(..2).collect::<Vec<_>>(), b"\r\n");
        }
        while let Some(line) = self.line().await {
            if line.is_empty() {
                body.complete = true;
                break;
            }
            body.trailers.push(header(&line));
        }
        body
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            if self.more("a line").await == 0 {
                return None;
            }
        }
    }

    /// Reads `count` bytes, whatever they are.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            assert_ne!(self.more("bytes").await, 0, "the connection ended after {} bytes", self.ahead.len());
        }
        self.ahead.drain(..count).collect()
    }

    /// Reads, and forgets, until the other side ends the connection; how many bytes that were.
    pub(crate) async fn drain(&mut self) -> usize {
        let mut count = self.ahead.len();
        loop {
            self.ahead.clear();
            match self.more("the end of the connection").await {
                0 => return count,
                more => count += more,
            }
        }
    }

    /// Waits for the other side to end the connection, and fails if it sends anything before.
    pub(crate) async fn ends(&mut self) {
        let count = self.more("the end of the connection").await;
        assert!(count == 0 && self.ahead.is_empty(), "{}", String::from_utf8_lossy(&self.ahead));
    }

    /// Has nothing come that was not asked for? Looks, but does not wait.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        self.ahead.is_empty()
            && tokio::select! {
                biased;
                _ = self.io.read(&mut byte) => false,
                () = std::future::ready(()) => true,
            }
    }

    /// Reads what has arrived; 0 if the connection ended, however rudely.
    async fn more(&mut self, what: &str) -> usize {
        within(what, async { self.io.read_buf(&mut self.ahead).await.unwrap_or(0) }).await
    }
}

impl Head {
    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        Self { first: lines.next().unwrap().to_owned(), headers: lines.map(header).collect() }
    }

    /// The value of the one header `name`, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        let first = all.next();
        assert_eq!(all.next(), None, "{name} comes twice in {self:?}");
        first
    }

    /// The values of all headers `name`.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The names of all headers, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{self:?}"))
    }

    fn has_body(&self) -> bool {
        !matches!(self.status(), 100..=199 | 204 | 304)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.first)?;
        self.headers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
    }
}

impl Answer {
    /// Its status.
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    /// Its body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body.bytes).unwrap()
    }
}

fn header(line: impl AsRef<str>) -> (String, String) {
    let (name, value) = line.as_ref().split_once(':').unwrap_or_else(|| panic!("no header: {}", line.as_ref()));
    (name.to_ascii_lowercase(), value.trim().to_owned())
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Reads a head, waiting as long as it takes; none if the connection ends instead.
    pub(super) async fn idle_head(&mut self) -> Option<Head> {
        if self.ahead.is_empty() && self.io.read_buf(&mut self.ahead).await.unwrap_or(0) == 0 {
            return None;
        }
        self.try_head().await
    }
}

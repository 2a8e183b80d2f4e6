//! Takes calls from a client's connection that speaks HTTP/2: each stream goes through the same stages as a request over
//! HTTP/1.1, by itself, and what becomes of one is no other's concern.
//!
//! Offered at hosts of services whose SDKs need it, and nowhere else: it has more ways to be abused than HTTP/1.1. Against
//! these stand the limits below, and those of the `h2` crate: a flood of streams that are reset before they were looked at
//! (CVE-2023-44487), or that we have to reset (CVE-2025-8671), of CONTINUATION frames (as many as the list of headers can
//! need, and a quarter more), of headers that are far too many once unpacked, or of tiny DATA frames ends the connection
//! with `ENHANCE_YOUR_CALM`; SETTINGS and PING are answered one by one, so that who floods with them is read no faster
//! than it reads.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, Handshake, SendResponse},
};
use http::Request;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::{
    Deps,
    intercept::{Intercepted, Tunnel},
    stream,
    turn::{Alarm, HEAD, Turns},
};

/// Streams of one connection at one time; a client waits with more, as it is told.
const STREAMS: u32 = 100;

/// All headers of a request, each counted with 32 bytes more: as much as HTTP/1.1 is read in one piece.
const HEADER_LIST: u32 = 64 * 1024;

/// What a client may send of a stream before it is read.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The same of all streams of a connection together: so much of requests a connection holds at most.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

const FRAME: u32 = 16 * 1024;

/// What waits at most of an answer for a client that reads slowly.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that the client has reset before they were looked at.
const RESET_UNSEEN: usize = 20;

/// Streams that were reset because of what the client sent in them.
const RESET_FOR_ERRORS: usize = 256;

/// For the client to say that it has heard of the end, while nothing else is under way.
const PARTING: Duration = Duration::from_secs(2);

/// Serves `connection`, whose client has chosen HTTP/2, until either side ends it.
pub(super) async fn serve(deps: Arc<Deps>, tls: TlsStream<Tunnel>, connection: Arc<Intercepted>) {
    let streams = Streams::new(Arc::clone(&deps.streams), connection.accepted.tasks.clone());
    let mut http = Http::Begins(builder().handshake(tls));
    let mut take = |request, mut respond: SendResponse<Bytes>| {
        let turns = Turns::new();
        let Some(open) = streams.open() else {
            // It was not looked at, so it may be sent again (RFC 9113, section 8.7).
            return respond.send_reset(Reason::REFUSED_STREAM);
        };
        let stream = stream::serve(Arc::clone(&deps), Arc::clone(&connection), turns.begin(), request, respond);
        streams.tasks.spawn(async move {
            watched(&turns, stream).await;
            drop(open);
        });
    };
    let mut stop = pin!(connection.accepted.stop.cancelled());
    // GOAWAY crosses no call: it says which streams were taken.
    let mut retired = pin!(deps.retirement.token.cancelled());
    let mut cut = pin!(connection.accepted.cut.cancelled());
    let ended = poll_fn(|cx| {
        if cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let parts = stop.as_mut().poll(cx).is_ready() || retired.as_mut().poll(cx).is_ready();
        if parts {
            streams.part();
        }
        if let ended @ Poll::Ready(_) = http.poll(cx, parts, &mut take) {
            return ended;
        }
        ready!(streams.poll_quiet(cx));
        let _ = http.poll(cx, true, &mut take);
        Poll::Ready(Ok(()))
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, host = %connection.target.name, "a client's connection ended early");
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_UNSEEN)
        .max_local_error_reset_streams(Some(RESET_FOR_ERRORS));
    builder
}

/// A client's connection.
enum Http {
    /// Its preface is awaited.
    Begins(Handshake<TlsStream<Tunnel>, Bytes>),
    Goes(Connection<TlsStream<Tunnel>, Bytes>),
}

impl Http {
    /// Moves everything on, and gives each new stream to `take`; if it `parts`, the client is told that there will be no
    /// other. Ready at the end of the connection.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        parts: bool,
        mut take: impl FnMut(Request<RecvStream>, SendResponse<Bytes>),
    ) -> Poll<Result<(), h2::Error>> {
        loop {
            match self {
                Self::Begins(handshake) => *self = Self::Goes(ready!(Pin::new(handshake).poll(cx))?),
                Self::Goes(connection) => {
                    if parts {
                        connection.graceful_shutdown();
                    }
                    match ready!(connection.poll_accept(cx)).transpose()? {
                        Some((request, respond)) => take(request, respond),
                        None => return Poll::Ready(Ok(())),
                    }
                }
            }
        }
    }
}

/// The streams of one connection: a task for each. Clones are the same.
#[derive(Clone)]
struct Streams {
    all: Arc<Semaphore>,
    tasks: TaskTracker,
    state: Arc<Mutex<State>>,
}

struct State {
    open: usize,
    /// When the last one ended.
    since: Instant,
    /// How long there may be none.
    limit: Duration,
    quiet: Alarm,
}

impl Streams {
    fn new(all: Arc<Semaphore>, tasks: TaskTracker) -> Self {
        let state = State { open: 0, since: Instant::now(), limit: HEAD, quiet: Alarm::default() };
        Self { all, tasks, state: Arc::new(Mutex::new(state)) }
    }

    /// One more, if there is a place for it.
    fn open(&self) -> Option<Open> {
        let Ok(place) = Arc::clone(&self.all).try_acquire_owned() else {
            // Not louder: whoever fills all places could fill the log, too.
            tracing::debug!("all places for calls over HTTP/2 are taken: one more was refused");
            return None;
        };
        self.lock().open += 1;
        Some(Open { streams: self.clone(), _place: place })
    }

    /// The client was told that no other stream will be taken. It may never say that it has understood.
    fn part(&self) {
        let mut state = self.lock();
        if state.limit != PARTING {
            (state.since, state.limit, state.quiet) = (Instant::now(), PARTING, Alarm::default());
        }
    }

    /// Ready when there has been no stream for too long.
    fn poll_quiet(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let State { open, since, limit, quiet } = &mut *self.lock();
            let end = if *open == 0 { *since + *limit } else { Instant::now() + *limit };
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            ready!(quiet.poll(cx, || end));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends with `stream`, or, if access ends and the client does not take what it is told about that, without it: dropped, a
/// stream is reset.
async fn watched(turns: &Turns, stream: impl Future<Output = ()>) {
    let mut stream = pin!(stream);
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        ready!(turns.poll_end(cx));
        let _ = stream.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

/// A stream while it is open.
struct Open {
    streams: Streams,
    _place: OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.streams.lock();
        state.open -= 1;
        state.since = Instant::now();
    }
}

//! Takes calls from a client's connection that speaks HTTP/2: each stream goes through the same stages as a request over
//! HTTP/1.1, by itself, and what becomes of one is no other's concern.
//!
//! Offered at hosts of services whose SDKs need it, and nowhere else: it has more ways to be abused than HTTP/1.1. Against
//! these stand the limits below, and those of the `h2` crate: a flood of streams that are reset before they were looked at
//! (CVE-2023-44487), of CONTINUATION frames (as many as the list of headers can need, and a quarter more), or of tiny DATA
//! frames ends the connection with `ENHANCE_YOUR_CALM`; SETTINGS and PING are answered one by one, so that who floods with
//! them is read no faster than it reads.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::{Request, Response, body::Incoming, rt::Executor, server::conn::http2, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{sync::Semaphore, time::Instant};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::{
    Deps,
    body::ResponseBody,
    exchange,
    intercept::{Intercepted, Tunnel},
    turn::{Alarm, HEAD, Turns},
};

/// Streams of one connection at one time; a client waits with more, as it is told.
const STREAMS: u32 = 100;

/// Streams of all connections together. One more is broken off unread.
pub(super) const ALL_STREAMS: usize = 16_384;

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

tokio::task_local! {
    /// Those of the stream that a task is for.
    static TURNS: Turns;
}

/// Serves `connection`, whose client has chosen HTTP/2, until either side ends it.
pub(super) async fn serve(deps: Arc<Deps>, tls: TlsStream<Tunnel>, connection: Arc<Intercepted>) {
    let streams = Streams::new(Arc::clone(&deps.streams), connection.accepted.tasks.clone());
    let service = service_fn(|request| {
        let (deps, connection) = (Arc::clone(&deps), Arc::clone(&connection));
        async move { Ok::<_, Infallible>(call(deps, connection, request).await) }
    });
    let http = builder(streams.clone()).serve_connection(TokioIo::new(tls), service);
    let (mut http, mut stop) = (pin!(http), pin!(connection.accepted.stop.cancelled()));
    // GOAWAY crosses no call: it says which streams were taken.
    let mut retired = pin!(deps.retirement.token.cancelled());
    let mut cut = pin!(connection.accepted.cut.cancelled());
    let ended = poll_fn(|cx| {
        if cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if stop.as_mut().poll(cx).is_ready() || retired.as_mut().poll(cx).is_ready() {
            http.as_mut().graceful_shutdown();
            streams.part();
        }
        if let ended @ Poll::Ready(_) = http.as_mut().poll(cx) {
            return ended;
        }
        if streams.poll_quiet(cx).is_pending() {
            return Poll::Pending;
        }
        http.as_mut().graceful_shutdown();
        let _ = http.as_mut().poll(cx);
        Poll::Ready(Ok(()))
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, host = %connection.target.name, "a client's connection ended early");
    }
}

fn builder(streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_UNSEEN)
        .max_local_error_reset_streams(RESET_FOR_ERRORS);
    builder
}

async fn call(deps: Arc<Deps>, connection: Arc<Intercepted>, request: Request<Incoming>) -> Response<ResponseBody> {
    let turns = TURNS.try_with(Turns::clone).unwrap_or_else(|_| Turns::new());
    exchange::exchange(deps, connection, turns.begin(), request).await
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

impl<S: Future<Output = ()> + Send + 'static> Executor<S> for Streams {
    fn execute(&self, stream: S) {
        let Ok(place) = Arc::clone(&self.all).try_acquire_owned() else {
            // Not louder: whoever fills all places could fill the log, too.
            tracing::debug!("{ALL_STREAMS} calls are under way over HTTP/2: one more was broken off");
            return;
        };
        self.lock().open += 1;
        let open = Open(self.clone());
        self.tasks.spawn(async move {
            watched(stream).await;
            drop((open, place));
        });
    }
}

/// Ends with `stream`, or, if access ends and the client does not take what it is told about that, without it: dropped, a
/// stream is reset.
async fn watched(stream: impl Future<Output = ()>) {
    let turns = Turns::new();
    let mut stream = pin!(TURNS.scope(turns.clone(), stream));
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
struct Open(Streams);

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open -= 1;
        state.since = Instant::now();
    }
}

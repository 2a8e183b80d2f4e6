//! Takes connections, looks at their first byte, and lets what is in flight finish at the end.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Deps, connect};

/// Connections at one time; one more waits in the kernel's queue until another ends.
const CONNECTIONS: usize = 16_384;

/// For a client's first byte.
const FIRST_BYTE: Duration = Duration::from_secs(30);

/// A peer that acknowledges nothing for this long is gone.
const DEAD_PEER: Duration = Duration::from_mins(2);

/// After a failed `accept`, mostly for want of file descriptors: long enough for some to be given back.
const PAUSE: Duration = Duration::from_millis(50);

/// Whoever was let in just before the end has this long to say what they want: nobody else will hear it.
const PARTING: Duration = Duration::from_millis(500);

/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What every connection carries along.
#[derive(Clone)]
pub(super) struct Accepted {
    /// The client's address, and how it is written.
    pub(super) address: IpAddr,
    pub(super) client: Arc<str>,
    /// Cancelled when the appliance is asked to stop: what is in flight finishes, nothing new begins.
    pub(super) stop: CancellationToken,
    /// Cancelled when what is in flight has had its time.
    pub(super) cut: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// The thread that serves it.
    pub(super) thread: usize,
    _place: Arc<Place>,
}

/// Among all connections, and among those of a thread.
type Place = (OwnedSemaphorePermit, Arc<()>);

/// Serves `listener` until `stop` or the gateway's retirement, then waits for what is in flight.
pub(super) async fn accept(deps: Arc<Deps>, listener: TcpListener, stop: CancellationToken) {
    let (tasks, places) = (TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS)));
    let (part, cut) = (CancellationToken::new(), deps.cut.child_token());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let next = tokio::select! {
            () = stop.cancelled() => break,
            () = deps.retirement.token.cancelled() => break,
            next = listener.accept() => next,
        };
        match next {
            Ok((tcp, peer)) => {
                let Some((worker, presence)) = deps.workers.least_busy() else { break };
                let address = peer.ip().to_canonical();
                let accepted = Accepted {
                    address,
                    client: address.to_string().into(),
                    // One of its own: threads would wait for each other at one that they share.
                    stop: part.child_token(),
                    cut: cut.child_token(),
                    tasks: tasks.clone(),
                    thread: worker.number,
                    _place: Arc::new((place, presence)),
                };
                tasks.spawn_on(sniff(Arc::clone(&deps), tcp.into_std(), accepted), &worker.runtime);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; is the limit of open files too low?");
                deps.clock.sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    if deps.is_retired() {
        tasks.close();
        tokio::select! {
            () = tasks.wait() => return,
            () = stop.cancelled() => {}
        }
    }
    if !tasks.is_empty() {
        deps.clock.sleep(PARTING).await;
    }
    part.cancel();
    tasks.close();
    tasks.wait().await;
}

async fn sniff(deps: Arc<Deps>, tcp: io::Result<std::net::TcpStream>, accepted: Accepted) {
    let tcp = match tcp.and_then(prepare) {
        Ok(tcp) => tcp,
        Err(error) => {
            tracing::debug!(%error, client = %accepted.client, "the connection ended at once");
            return;
        }
    };
    let mut first = [0];
    let peeked = tokio::select! {
        () = accepted.stop.cancelled() => return,
        peeked = timeout(FIRST_BYTE, tcp.peek(&mut first)) => peeked,
    };
    match (peeked, first) {
        (Ok(Ok(1..)), [TLS_HANDSHAKE]) => tracing::warn!(
            client = %accepted.client,
            "TLS without CONNECT: set this address as the HTTP proxy (HTTPS_PROXY=http://…), not as the endpoint"
        ),
        (Ok(Ok(1..)), _) => connect::serve(deps, tcp, accepted).await,
        // Gone, or silent: nothing to say to it.
        _ => {}
    }
}

/// From now on the events of `tcp` come to the thread that this runs on.
fn prepare(tcp: std::net::TcpStream) -> io::Result<TcpStream> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(&tcp);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(DEAD_PEER / 2))?;
    socket.set_tcp_user_timeout(Some(DEAD_PEER))?;
    TcpStream::from_std(tcp)
}

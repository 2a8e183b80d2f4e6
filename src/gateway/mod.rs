//! The data plane: the stages of a call, one file each. Knows neither `store` nor `workflow`.
//!
//! ```text
//! accept ─▶ connect ─▶ intercept ─▶ exchange: identify ─▶ verify ─▶ authorize ─▶ resign ─▶ forward
//!              └─▶ portal               any of them ─▶ Rejection ─▶ respond;  every exchange ─▶ one ledger entry
//! ```
//!
//! Each stage hands on a proof that only it can make, so nothing is forwarded that was not permitted.

mod accept;
mod authorize;
mod body;
mod chunked;
mod connect;
mod errand;
mod events;
mod exchange;
mod forward;
mod hold;
mod hop;
mod identify;
mod intercept;
mod last_word;
mod leash;
mod ledger;
mod live;
mod multiplex;
mod portal;
mod rejection;
mod resign;
mod respond;
mod roles;
mod room;
mod spool;
mod stream;
mod streamed;
mod translate;
mod turn;
mod unsigned;
mod upload;
mod upstream;
mod verify;
mod whereabouts;
mod workers;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use self::{ledger::CallIds, live::Live, roles::Roles, whereabouts::Whereabouts, workers::Workers};
use crate::{
    audit::Sink,
    ca::LeafCache,
    clock::Clock,
    cloud::aws::Catalogue,
    model::{Subscriber, host_pattern::HostPattern},
    sigv4::KeyCache,
};

pub use self::errand::ErrandError;
pub use self::{
    spool::SpoolConfig,
    upstream::{Address, UpstreamConfig, UpstreamError},
    workers::Threads,
};

/// Derived signing keys kept, of clients and of the cloud each: a few hundred bytes apiece.
const SIGNING_KEYS: usize = 16_384;

/// Calls over HTTP/2 at one time that the memory of a small machine has room for.
pub const STREAMS: usize = 16_384;

/// What can be set about the gateway.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The largest body that is held in memory to compute its hash, in bytes.
    pub max_buffered_body: u64,
    /// What to do with calls whose record the audit log can't take.
    pub on_audit_failure: OnAuditFailure,
    /// Hosts tunnelled without interception.
    pub passthrough: Vec<HostPattern>,
    /// Refuse clients that send no SNI.
    pub require_sni: bool,
    /// Where larger ones are kept.
    pub spool: SpoolConfig,
    /// Calls over HTTP/2 at one time; one more is refused unread. What there was at the start counts.
    pub streams: usize,
    /// On which threads clients are served.
    pub threads: Threads,
    /// How cloud hosts are reached.
    pub upstream: UpstreamConfig,
}

/// What to do with a call whose record can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAuditFailure {
    /// Let it go without one.
    Allow,
    /// Refuse it.
    Deny,
}

/// The CA certificate in the forms that clients take.
#[derive(Clone, Debug)]
pub struct Bundles {
    /// DER.
    pub der: Bytes,
    /// PEM.
    pub pem: Bytes,
    /// A PKCS#12 trust store, password `changeit`.
    pub pkcs12: Bytes,
}

/// What the gateway is given by the appliance.
pub struct Parts {
    /// The CA certificate, for download.
    pub bundles: Bundles,
    /// Certificates by host.
    pub certificates: LeafCache,
    /// The time.
    pub clock: Clock,
    /// The grants.
    pub grants: Subscriber,
    /// Where calls are recorded.
    pub sink: Sink,
}

/// Why the gateway can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The system gives no randomness.
    #[error("the system gives no random bytes")]
    Random,
    /// The system gives no more threads, or no more open files.
    #[error("the threads that serve clients can't be started: {0}")]
    Threads(#[source] std::io::Error),
    /// The way to the cloud.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// The gateway; serves any number of listeners.
#[derive(Clone)]
pub struct Gateway(Arc<Deps>);

/// What the stages work with.
struct Deps {
    bundles: Bundles,
    catalogue: &'static Catalogue,
    certificates: LeafCache,
    client_keys: KeyCache,
    clock: Clock,
    /// What is in flight has had its time.
    cut: CancellationToken,
    cloud_keys: KeyCache,
    grants: Subscriber,
    ids: CallIds,
    live: ArcSwap<Live>,
    retirement: Retirement,
    roles: Roles,
    sink: Sink,
    /// Places for calls over HTTP/2.
    streams: Arc<Semaphore>,
    whereabouts: Whereabouts,
    workers: Workers,
}

/// Another process has taken over: no new connections, and one more answer on each of those that are there.
#[derive(Default)]
struct Retirement {
    /// For the listeners.
    token: CancellationToken,
    /// For every call, which shall not lock anything to look.
    flag: AtomicBool,
}

impl Deps {
    fn is_retired(&self) -> bool {
        self.retirement.flag.load(Ordering::Relaxed)
    }
}

impl Gateway {
    /// Sets the gateway up; nothing runs yet. Must be called inside a Tokio runtime.
    pub fn new(config: GatewayConfig, parts: Parts) -> Result<Self, GatewayError> {
        let mut start = [0; 8];
        SystemRandom::new().fill(&mut start).map_err(|_| GatewayError::Random)?;
        let workers = Workers::start(config.threads).map_err(GatewayError::Threads)?;
        let streams = Arc::new(Semaphore::new(config.streams));
        let live = Live::new(config, workers.count())?;
        Ok(Self(Arc::new(Deps {
            bundles: parts.bundles,
            catalogue: Catalogue::embedded(),
            certificates: parts.certificates,
            client_keys: KeyCache::new(SIGNING_KEYS),
            clock: parts.clock,
            cut: CancellationToken::new(),
            cloud_keys: KeyCache::new(SIGNING_KEYS),
            grants: parts.grants,
            ids: CallIds::new(u64::from_be_bytes(start)),
            live: ArcSwap::from_pointee(live),
            retirement: Retirement::default(),
            roles: Roles::new(),
            sink: parts.sink,
            streams,
            whereabouts: Whereabouts::new(),
            workers,
        })))
    }

    /// Lets `config` count for what comes from now on; its threads are those that there are. On an error all stays as it
    /// is. Must be called inside a Tokio runtime.
    pub fn reconfigure(&self, config: GatewayConfig) -> Result<(), GatewayError> {
        self.0.live.store(Arc::new(Live::new(config, self.0.workers.count())?));
        Ok(())
    }

    /// Ends the listeners, for another process listens now. What is under way goes on; so does a connection on which
    /// nothing is under way, for one more call: closing it could cross a call that was just sent.
    pub fn retire(&self) {
        self.0.retirement.flag.store(true, Ordering::Relaxed);
        self.0.retirement.token.cancel();
    }

    /// For how many hosts a certificate is kept ready.
    pub fn certificates(&self) -> usize {
        self.0.certificates.hosts()
    }

    /// Comes back once each thread that serves clients has done a piece of work that was given to it now.
    pub async fn beat(&self) {
        self.0.workers.beat().await;
    }

    /// Ends every call under way; each leaves its record.
    pub fn cut(&self) {
        self.0.cut.cancel();
    }

    /// Serves `listener` until `stop` is cancelled or the gateway retires, then returns as soon as what is in flight has
    /// finished; after `stop`, connections on which nothing is under way are closed.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) {
        accept::accept(Arc::clone(&self.0), listener, stop).await;
    }
}

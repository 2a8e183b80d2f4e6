//! Connections to cloud hosts that are kept between calls.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, interval};

use super::link::Link;

/// Shorter than the clouds' own idle time-outs, so that a call is seldom sent on a connection that is just closing.
const IDLE: Duration = Duration::from_secs(15);

/// How often those are closed that have been idle for too long.
const SWEEP: Duration = Duration::from_secs(5);

/// Connections kept for a host and a thread while nobody needs them; more are opened, but not kept.
const IDLE_PER_HOST: usize = 512;

/// The idle connections to one host.
pub(in crate::gateway) struct Pool {
    pub(super) host: Arc<str>,
    /// By the thread that hears of them; of each, the one used last at the end.
    idle: Box<[Idle]>,
}

type Idle = Mutex<Vec<(Box<Link>, Instant)>>;

impl Pool {
    pub(in crate::gateway) fn new(host: &Arc<str>, threads: usize) -> Self {
        Self { host: Arc::clone(host), idle: (0..threads).map(|_| Idle::default()).collect() }
    }

    /// The connection that `thread` used last: the likeliest to be still open, and the others may go idle. If it has none,
    /// that of another thread: what it costs that one to pass on what it hears is less than a handshake.
    pub(super) fn take(&self, thread: usize) -> Option<Box<Link>> {
        let (before, own) = self.idle.split_at_checked(thread).unwrap_or_default();
        let (link, since) = own.iter().chain(before).find_map(|idle| lock(idle).pop())?;
        (since.elapsed() < IDLE).then_some(link)
    }

    pub(super) fn put(&self, link: Box<Link>) {
        let Some(idle) = self.idle.get(link.thread) else { return };
        let mut idle = lock(idle);
        if idle.len() < IDLE_PER_HOST {
            idle.push((link, Instant::now()));
        }
    }

    /// Closes what has been idle for too long; says whether nothing is left.
    fn sweep(&self) -> bool {
        let mut is_empty = true;
        for idle in &self.idle {
            let mut idle = lock(idle);
            let old = idle.partition_point(|(_, since)| since.elapsed() >= IDLE);
            let closed: Vec<_> = idle.drain(..old).collect();
            is_empty &= idle.is_empty();
            // Closing is work: nobody shall wait for it.
            drop(idle);
            drop(closed);
        }
        is_empty
    }
}

/// The pools by host.
pub(super) struct Pools {
    by_host: Mutex<HashMap<Arc<str>, Arc<Pool>>>,
    threads: usize,
}

impl Pools {
    /// Must be called inside a Tokio runtime: idle connections are closed there.
    pub(super) fn start(threads: usize) -> Arc<Self> {
        let pools = Arc::new(Self { by_host: Mutex::default(), threads });
        tokio::spawn(sweep(Arc::downgrade(&pools)));
        pools
    }

    /// That of `host`.
    pub(super) fn of(&self, host: &Arc<str>) -> Arc<Pool> {
        let mut pools = lock(&self.by_host);
        Arc::clone(pools.entry(Arc::clone(host)).or_insert_with(|| Arc::new(Pool::new(host, self.threads))))
    }

    fn sweep(&self) {
        let all: Vec<_> = lock(&self.by_host).values().cloned().collect();
        let empty: Vec<_> = all.into_iter().filter(|pool| pool.sweep()).collect();
        let mut pools = lock(&self.by_host);
        for pool in empty {
            // Two: here and in the map. No client's connection has it, so nothing can be put into it.
            if Arc::strong_count(&pool) == 2 {
                pools.remove(&pool.host);
            }
        }
    }
}

async fn sweep(pools: Weak<Pools>) {
    let mut ticks = interval(SWEEP);
    loop {
        ticks.tick().await;
        let Some(pools) = pools.upgrade() else { return };
        pools.sweep();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

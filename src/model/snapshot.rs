//! The seam between the two planes: the workflow publishes snapshots of the grants, the gateway reads the newest.

use std::{collections::HashMap, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::{AccessKeyId, LiveGrant};

/// All grants at one moment; never changed once published.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The store's version that it shows.
    pub version: u64,
    /// By the key that clients sign with.
    pub grants: HashMap<AccessKeyId, Arc<LiveGrant>>,
}

/// Publishes snapshots. Clones publish to the same readers; one of them at a time is used.
#[derive(Clone, Debug, Default)]
pub struct Publisher(Arc<Published>);

/// Reads the newest snapshot, without a lock that a writer can hold.
#[derive(Clone, Debug)]
pub struct Subscriber(Arc<Published>);

#[derive(Debug, Default)]
struct Published {
    current: ArcSwap<Snapshot>,
    /// For who waits; a call does not.
    news: watch::Sender<()>,
}

impl Publisher {
    /// Starts with an empty snapshot: nobody may do anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader of all that is published from now on.
    pub fn subscribe(&self) -> Subscriber {
        Subscriber(Arc::clone(&self.0))
    }

    /// The snapshot published last.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.current.load_full()
    }

    /// Makes `next` the snapshot that the next call sees, and ends what it no longer allows.
    ///
    /// A grant that goes on keeps its flag; the caller carries the `Arc` or the flag over. A grant that is gone from
    /// `next`, or no longer active in it, has its streams ended here.
    pub fn publish(&self, next: Snapshot) {
        let next = Arc::new(next);
        let before = self.0.current.swap(Arc::clone(&next));
        for (key, live) in &before.grants {
            if live.grant.active && !next.grants.get(key).is_some_and(|now| now.grant.active) {
                live.ended.set();
            }
        }
        self.0.news.send_replace(());
    }
}

impl Subscriber {
    /// The newest snapshot.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.current.load()
    }

    /// Tells of each snapshot, after it was published; a slow watcher sees only the newest.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.0.news.subscribe()
    }
}

//! The seam between the two planes: the workflow publishes snapshots of the grants, the gateway reads the newest.

use std::{collections::HashMap, sync::Arc};

use arc_swap::{ArcSwap, Guard};

use super::{AccessKeyId, LiveGrant};

/// All grants at one moment; never changed once published.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The store's version that it shows.
    pub version: u64,
    /// By the key that clients sign with.
    pub grants: HashMap<AccessKeyId, Arc<LiveGrant>>,
}

/// Publishes snapshots; there is one.
#[derive(Debug, Default)]
pub struct Publisher(Arc<ArcSwap<Snapshot>>);

/// Reads the newest snapshot, without a lock that a writer can hold.
#[derive(Clone, Debug)]
pub struct Subscriber(Arc<ArcSwap<Snapshot>>);

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
        self.0.load_full()
    }

    /// Makes `next` the snapshot that the next call sees, and ends what it no longer allows.
    ///
    /// A grant that goes on keeps its flag; the caller carries the `Arc` or the flag over. A grant that is gone from
    /// `next`, or no longer active in it, has its streams ended here.
    pub fn publish(&self, next: Snapshot) {
        let next = Arc::new(next);
        let before = self.0.swap(Arc::clone(&next));
        for (key, live) in &before.grants {
            if live.grant.active && !next.grants.get(key).is_some_and(|now| now.grant.active) {
                live.ended.set();
            }
        }
    }
}

impl Subscriber {
    /// The newest snapshot.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.load()
    }
}

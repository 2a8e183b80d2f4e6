//! What ends a stream in flight: access that ends, and silence.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{clock::Clock, model::LiveGrant};

/// Ends when the grant does: revoked, replaced, its owner disabled, or its time run out.
pub(super) struct Leash {
    live: Arc<LiveGrant>,
    expires: Option<Instant>,
}

impl Leash {
    pub(super) fn new(live: Arc<LiveGrant>, clock: &Clock) -> Self {
        // A time further off than the clock of this process can count is as good as none.
        let expires = live.grant.expires_at.and_then(|at| Instant::now().checked_add(at.since(clock.now())));
        Self { live, expires }
    }

    /// Has access ended?
    pub(super) fn is_off(&self) -> bool {
        self.live.ended.is_set() || self.expires.is_some_and(|at| at <= Instant::now())
    }
}

/// Ends when nothing has moved for a while. A total time-out would cut long calls that are well.
pub(super) struct Silence {
    limit: Duration,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, alarm: None }
    }

    /// Something moved.
    pub(super) fn broken(&mut self) {
        if let Some(alarm) = &mut self.alarm {
            alarm.as_mut().reset(Instant::now() + self.limit);
        }
    }

    /// Nothing moved just now; ready once that has lasted for the limit.
    pub(super) fn poll_lasted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.alarm.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit))).as_mut().poll(cx)
    }
}

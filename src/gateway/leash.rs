//! What ends a stream in flight: access that ends, and silence.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{clock::Clock, model::LiveGrant};

/// How often a call that is under way looks whether its access still stands: well within the 5 seconds that are promised.
/// A list of those who wait would be locked by every call that signs up to it.
pub(super) const GLANCE: Duration = Duration::from_secs(1);

/// Ends when the grant does: revoked, replaced, its owner disabled, or its time run out.
pub(super) struct Leash {
    live: Arc<LiveGrant>,
    expires: Option<Instant>,
    glance: Option<Pin<Box<Sleep>>>,
}

impl Leash {
    pub(super) fn new(live: Arc<LiveGrant>, clock: &Clock) -> Self {
        // A time further off than the clock of this process can count is as good as none.
        let expires = live.grant.expires_at.and_then(|at| Instant::now().checked_add(at.since(clock.now())));
        Self { live, expires, glance: None }
    }

    /// Has access ended?
    pub(super) fn is_off(&self) -> bool {
        self.live.ended.is_set() || self.expires.is_some_and(|at| at <= Instant::now())
    }

    /// Ready once access has ended, give or take a glance.
    fn poll_off(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_off() {
            let glance = self.glance.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + GLANCE)));
            ready!(glance.as_mut().poll(cx));
            glance.as_mut().reset(Instant::now() + GLANCE);
        }
        Poll::Ready(())
    }
}

/// Where a connection has the leash of the answer that is on its way. The answer's body can't watch it alone: nobody
/// asks for the next piece of a body while the client reads nothing.
#[derive(Clone, Default)]
pub(super) struct Post(Arc<Mutex<Option<Leash>>>);

/// An answer's tie to the post of its connection.
pub(super) struct Tie(Post);

impl Post {
    /// Ties an answer up until the tie is dropped.
    pub(super) fn tie(&self, leash: Leash) -> Tie {
        *self.lock() = Some(leash);
        Tie(self.clone())
    }

    /// Ready once the access has ended under which the answer on its way was given; never without one.
    pub(super) fn poll_off(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().as_mut().map_or(Poll::Pending, |leash| leash.poll_off(cx))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Leash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tie {
    /// Has access ended?
    pub(super) fn is_off(&self) -> bool {
        self.0.lock().as_ref().is_some_and(Leash::is_off)
    }
}

impl Drop for Tie {
    fn drop(&mut self) {
        *self.0.lock() = None;
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

//! What ends a stream in flight: access that ends, and silence.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::{clock::Clock, model::LiveGrant};

/// Ends when the grant does: revoked, replaced, its owner disabled, or its time run out.
pub(super) struct Leash {
    live: Arc<LiveGrant>,
    expires: Option<Instant>,
    end: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    expiry: Option<Pin<Box<Sleep>>>,
}

impl Leash {
    pub(super) fn new(live: Arc<LiveGrant>, clock: &Clock) -> Self {
        // A time further off than the clock of this process can count is as good as none.
        let expires = live.grant.expires_at.and_then(|at| Instant::now().checked_add(at.since(clock.now())));
        Self { live, expires, end: None, expiry: None }
    }

    /// Has access ended? Asks without waiting, so without registering anywhere.
    fn is_off(&self) -> bool {
        self.live.ended.is_cancelled() || self.expires.is_some_and(|at| at <= Instant::now())
    }

    /// Ready once access has ended.
    fn poll_off(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_off() {
            return Poll::Ready(());
        }
        let end = self.end.get_or_insert_with(|| Box::pin(self.live.ended.clone().cancelled_owned()));
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(at) = self.expires else { return Poll::Pending };
        self.expiry.get_or_insert_with(|| Box::pin(sleep_until(at))).as_mut().poll(cx)
    }

    /// Waits until access has ended.
    pub(super) async fn off(&mut self) {
        std::future::poll_fn(|cx| self.poll_off(cx)).await;
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

//! Whose turn it is on a client's connection: the client's to ask, or ours to answer. And what ends it while nobody moves.
//!
//! Two alarms serve all calls of a connection. They are set again only after they have rung, so that a call costs the
//! runtime's timers nothing.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{body::ANSWER_SILENCE, leash::Leash};

/// How often a call that is under way looks whether its access still stands: well within the 5 seconds that are promised.
/// A list of those who wait would be locked by every call that signs up to it.
const GLANCE: Duration = Duration::from_secs(1);

/// For a request's head, from the end of the call before.
pub(super) const HEAD: Duration = Duration::from_mins(5);

/// For the client to take a piece of an answer: as long as the cloud may take to make one.
const STALL: Duration = ANSWER_SILENCE;

/// The turns of one connection, or of one stream of HTTP/2. Clones are the same.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<State>>);

struct State {
    at: At,
    glance: Alarm,
    head: Alarm,
}

/// Where the present turn is.
enum At {
    /// The answer is on its way to the client. Its body can't watch the leash alone: nobody asks for the next piece of a
    /// body while the client reads nothing. Since when nobody has asked, if that is what is waited for.
    Answer { leash: Leash, unasked: Option<Instant> },
    /// The cloud has been asked.
    Cloud(Leash),
    /// The request is looked at.
    Gateway,
    /// Waits for a request.
    Client { since: Instant },
}

/// Why a connection ends while the client waits, or is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The access under which the answer on its way was given.
    Access,
    /// The client has taken nothing of the answer for too long.
    Stall,
    /// The client has asked nothing for too long.
    Quiet,
}

/// Our turn: from the head of a request to the last byte of its answer. Dropped, it is the client's again.
pub(super) struct Turn(Turns);

impl Turns {
    /// The client begins.
    pub(super) fn new() -> Self {
        let at = At::Client { since: Instant::now() };
        Self(Arc::new(Mutex::new(State { at, glance: Alarm::default(), head: Alarm::default() })))
    }

    /// A request has come.
    pub(super) fn begin(&self) -> Turn {
        self.lock().at = At::Gateway;
        Turn(self.clone())
    }

    /// Ready at the end. To be polled whenever nothing else can be done on the connection.
    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        let State { at, glance, head } = &mut *self.lock();
        match at {
            At::Answer { leash, unasked } => loop {
                if leash.is_off() {
                    return Poll::Ready(End::Access);
                }
                if unasked.is_some_and(|since| since.elapsed() >= STALL) {
                    return Poll::Ready(End::Stall);
                }
                ready!(glance.poll(cx, || Instant::now() + GLANCE));
            },
            At::Cloud(_) => {
                // The call itself looks, whenever it is polled: it has something to say to the client.
                if glance.poll(cx, || Instant::now() + GLANCE).is_ready() {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            At::Client { since } => {
                let end = *since + HEAD;
                loop {
                    ready!(head.poll(cx, || end));
                    if end <= Instant::now() {
                        return Poll::Ready(End::Quiet);
                    }
                }
            }
            At::Gateway => Poll::Pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The cloud is asked, under `leash`.
    pub(super) fn asks(&self, leash: Leash) {
        self.0.lock().at = At::Cloud(leash);
    }

    /// The cloud has begun to answer.
    pub(super) fn answers(&self) {
        let at = &mut self.0.lock().at;
        *at = match std::mem::replace(at, At::Gateway) {
            At::Cloud(leash) => At::Answer { leash, unasked: Some(Instant::now()) },
            other => other,
        };
    }

    /// The next piece of the answer is asked for. False if it may not be given, as access has ended.
    pub(super) fn may_give(&self) -> bool {
        let At::Answer { leash, unasked } = &mut self.0.lock().at else { return true };
        *unasked = None;
        !leash.is_off()
    }

    /// It was given.
    pub(super) fn has_given(&self) {
        if let At::Answer { unasked, .. } = &mut self.0.lock().at {
            *unasked = Some(Instant::now());
        }
    }

    /// Has the client taken nothing for too long?
    pub(super) fn is_stalled(&self) -> bool {
        matches!(&self.0.lock().at, At::Answer { unasked: Some(since), .. } if since.elapsed() >= STALL)
    }

    /// Has the access ended under which the cloud was asked?
    pub(super) fn is_off(&self) -> bool {
        matches!(&self.0.lock().at, At::Answer { leash, .. } | At::Cloud(leash) if leash.is_off())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.lock().at = At::Client { since: Instant::now() };
    }
}

/// Rings at a time that was set when it was first waited for, or when it last rang.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once it has rung; it is then set to `next`, and rings for nobody before it is polled again.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, next: impl Fn() -> Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(next())));
        ready!(sleep.as_mut().poll(cx));
        sleep.as_mut().reset(next());
        Poll::Ready(())
    }
}

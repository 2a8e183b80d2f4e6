//! The hot path's end of the audit log: a bounded queue whose places are taken before a call leaves.
//!
//! A place is held until its record is on disk, so that the bound is one on memory as well, and so that a disk that
//! fails is felt at `reserve`, before a call leaves that could not be told of.

use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::model::CallRecord;

/// So many records are written without waiting for more.
const BATCH: usize = 8_192;

/// No place is free: more calls are in flight or waiting to be written than the queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log takes no more records at the moment")]
pub struct Full;

/// How the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// How many places are taken: by calls under way, and by records that wait to be written.
    pub taken: usize,
    /// How many there are.
    pub capacity: usize,
    /// Does writing fail at the moment?
    pub failing: bool,
}

/// Where calls are recorded. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Sink(Arc<Queue>);

/// A place in the queue for one record. Dropped without one, it is free again.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Slot(Option<Arc<Queue>>);

impl Sink {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Arc::new(Queue {
            capacity,
            taken: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
            written: Condvar::new(),
        }))
    }

    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.0)
    }

    /// Takes a place for the record of a call that is about to leave. Never waits.
    pub fn reserve(&self) -> Result<Slot, Full> {
        let free = |taken| (taken < self.0.capacity).then_some(taken + 1);
        self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).map_err(|_| Full)?;
        Ok(Slot(Some(self.queue())))
    }
}

impl Slot {
    /// Gives the record of the call to the writer.
    pub fn record(mut self, record: CallRecord) {
        if let Some(queue) = self.0.take() {
            queue.push(record);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.free(1);
        }
    }
}

/// The queue between the two ends.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    taken: AtomicUsize,
    failing: AtomicBool,
    state: Mutex<State>,
    /// Told to the writer: the first record since it last looked, or a wish to flush or close.
    changed: Condvar,
    /// Told by the writer: `committed` has grown, or it writes elsewhere.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<CallRecord>,
    /// How many records were ever given.
    pushed: u64,
    /// How many of them are on disk.
    committed: u64,
    /// Somebody waits until `committed` reaches this.
    wanted: u64,
    closing: bool,
    /// Where the writer shall write, and where it does.
    place: Wish<Place>,
    /// Another process leaves batches of records, which are to be taken in as they come.
    expects: bool,
    /// They are to be looked for once more.
    look: bool,
}

/// Where records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// In the files of the days, which are this process's own.
    #[default]
    Days,
    /// In a folder, for the process that has those files.
    Outbox,
}

#[derive(Debug, Default)]
struct Wish<T> {
    wanted: T,
    present: T,
}

impl State {
    /// Has the writer anything to do but to write?
    fn has_errand(&self) -> bool {
        self.look || self.place.wanted != self.place.present
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, record: CallRecord) {
        let mut state = self.lock();
        state.records.push(record);
        state.pushed += 1;
        // At other times the writer waits for more by its own will: a busy gateway wakes it a few times a second only.
        let wake = matches!(state.records.len(), 1 | BATCH);
        drop(state);
        if wake {
            self.changed.notify_one();
        }
    }

    /// Told by the writer: does writing fail at the moment?
    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// How the queue is.
    pub(super) fn state(&self) -> QueueState {
        QueueState {
            taken: self.taken.load(Ordering::Relaxed),
            capacity: self.capacity,
            failing: self.failing.load(Ordering::Relaxed),
        }
    }

    fn free(&self, places: usize) {
        self.taken.fetch_sub(places, Ordering::Relaxed);
    }

    /// Ends the writer once all is written.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_one();
    }

    /// Has everything that was recorded up to now committed at once; false if that did not happen within `limit`.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let mut state = self.lock();
        let target = state.pushed;
        if state.committed >= target {
            return true;
        }
        state.wanted = state.wanted.max(target);
        self.changed.notify_one();
        let (_state, waited) = self
            .written
            .wait_timeout_while(state, limit, |state| state.committed < target)
            .unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }

    /// Has the writer write to `place`, once all that was recorded up to now is written where it wrote before; false if that
    /// did not happen within `limit`, and then it stays there.
    pub(super) fn move_to(&self, place: Place, limit: Duration) -> bool {
        let mut state = self.lock();
        state.place.wanted = place;
        self.changed.notify_one();
        let (mut state, _) = self
            .written
            .wait_timeout_while(state, limit, |state| state.place.present != place)
            .unwrap_or_else(PoisonError::into_inner);
        state.place.wanted = state.place.present;
        state.place.present == place
    }

    /// Has the writer write to `place` as soon as it can.
    pub(super) fn want(&self, place: Place) {
        self.lock().place.wanted = place;
        self.changed.notify_one();
    }

    /// Told to the writer: another process leaves records, or leaves no more.
    pub(super) fn expect(&self, expects: bool) {
        self.lock().expects = expects;
        self.look();
    }

    /// Told to the writer: look once for records that another process has left.
    pub(super) fn look(&self) {
        self.lock().look = true;
        self.changed.notify_one();
    }

    /// For the writer: does another process leave records, or has it done so?
    pub(super) fn expects(&self) -> bool {
        let mut state = self.lock();
        std::mem::take(&mut state.look) || state.expects
    }

    /// For the writer: where to write from now on.
    pub(super) fn wanted_place(&self) -> Place {
        self.lock().place.wanted
    }

    /// Told by the writer: from now on it writes to `place`.
    pub(super) fn set_place(&self, place: Place) {
        self.lock().place.present = place;
        self.written.notify_all();
    }

    /// Waits, at most `idle`, for a first record; then `gather` more, unless somebody is in a hurry; then takes all.
    ///
    /// The records come in exchange for `spare`, whose memory serves the next ones; none are in them if the writer is to do
    /// something else. None once the queue is closed and
    /// empty and no call is in flight any more, or `grace` after the close.
    pub(super) fn take(
        &self,
        spare: Vec<CallRecord>,
        idle: Duration,
        gather: Duration,
        grace: Duration,
    ) -> Option<Vec<CallRecord>> {
        let state = self.lock();
        let idle = if state.expects { gather } else { idle };
        let (state, _) = self
            .changed
            .wait_timeout_while(state, idle, |state| state.records.is_empty() && !state.closing && !state.has_errand())
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, gather, |state| {
                (1..BATCH).contains(&state.records.len())
                    && !state.closing
                    && !state.has_errand()
                    && state.wanted <= state.committed
            })
            .unwrap_or_else(PoisonError::into_inner);
        let last = Instant::now() + grace;
        while state.closing && state.records.is_empty() {
            if self.taken.load(Ordering::Relaxed) == 0 || Instant::now() >= last {
                return None;
            }
            let step = Duration::from_millis(10);
            state = self.changed.wait_timeout(state, step).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(mem::replace(&mut state.records, spare))
    }

    /// The records taken last are on disk, or given up: their places are free.
    pub(super) fn done(&self, records: usize) {
        self.free(records);
        self.lock().committed += records as u64;
        self.written.notify_all();
    }

    /// Waits for `span`, or until the queue is closed; true if it is closed.
    pub(super) fn pause(&self, span: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, span, |state| !state.closing)
            .unwrap_or_else(PoisonError::into_inner);
        state.closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_until_a_place_is_given_back() {
        let sink = Sink::new(2);
        let first = sink.reserve().unwrap();
        let _second = sink.clone().reserve().unwrap();
        assert_eq!(sink.reserve().unwrap_err(), Full);
        drop(first);
        let _third = sink.reserve().unwrap();
        assert_eq!(sink.reserve().unwrap_err(), Full);
    }
}

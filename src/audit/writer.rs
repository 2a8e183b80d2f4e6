//! The one thread that writes: takes what has arrived, commits it, and goes on trying when the disk does not let it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    Error, Settings,
    day::{Day, Days},
    outbox::{Batch, Outbox},
    sink::{Place, Queue},
    usage::{LastUse, Rollup},
};
use crate::{clock::Clock, model::CallRecord};

/// An idle writer looks this often whether a day has passed.
const IDLE: Duration = Duration::from_mins(10);
/// Calls in flight when the log is closed have this long to give their records back.
const GRACE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the thread works with.
pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    pub(super) days: Arc<Days>,
    pub(super) last_use: Arc<LastUse>,
    pub(super) outbox: Outbox,
    pub(super) settings: Settings,
    /// In milliseconds; it may change.
    pub(super) retention: Arc<AtomicU64>,
    pub(super) clock: Clock,
}

/// Starts the thread.
pub(super) fn start(writer: Writer) -> Result<thread::JoinHandle<()>, Error> {
    thread::Builder::new().name("audit-writer".into()).spawn(move || writer.run()).map_err(Error::Thread)
}

impl Writer {
    fn run(mut self) {
        let mut today = None;
        let mut place = Place::Days;
        let mut spare = Vec::new();
        self.take_in();
        while let Some(mut records) = self.queue.take(spare, IDLE, self.settings.interval, GRACE) {
            match place {
                Place::Days => self.commit(&mut records),
                Place::Outbox => self.leave(&records),
            }
            self.queue.done(records.len());
            records.clear();
            // After a burst, the memory is given back.
            records.shrink_to(1024);
            spare = records;
            let wanted = self.queue.wanted_place();
            if wanted != place {
                if wanted == Place::Outbox {
                    self.days.close_all();
                }
                place = wanted;
                self.queue.set_place(place);
            }
            let expects = self.queue.expects();
            if place == Place::Outbox {
                continue;
            }
            if expects {
                self.take_in();
            }
            let now = Day::of(self.clock.now());
            if today.replace(now) != Some(now) {
                self.forget();
            }
        }
    }

    /// Commits `records`, however long it takes; gives up only when the log is being closed, after one more attempt.
    fn commit(&self, records: &mut [CallRecord]) {
        records.sort_by_key(|record| record.at);
        let mut left = &*records;
        let (mut pause, mut is_closing) = (FIRST_PAUSE, false);
        while let Some((day, of_day, later)) = first_day(left) {
            let rollup = Rollup::of(of_day);
            if let Err(error) = self.days.append(day, of_day, &rollup, &self.last_use, None) {
                if pause == FIRST_PAUSE {
                    tracing::error!(
                        name: "audit_failing",
                        %error,
                        "audit records can't be written; make room or mend the permissions of {}. \
                         They are kept in memory meanwhile; once that is full, audit.on_failure says what happens to calls",
                        self.days.directory().display()
                    );
                }
                self.queue.set_failing(true);
                self.days.close(day);
                if is_closing {
                    tracing::error!(lost = left.len(), "closing while audit records can't be written: they are lost");
                    return;
                }
                is_closing = self.queue.pause(pause);
                pause = LONGEST_PAUSE.min(pause * 2);
                continue;
            }
            if pause != FIRST_PAUSE {
                tracing::info!(name: "audit_works", "audit records are written again; none was lost");
                pause = FIRST_PAUSE;
                self.queue.set_failing(false);
            }
            self.last_use.note(rollup.last_use);
            left = later;
        }
    }

    /// Leaves `records` to the process that has the files of the days, however long it takes.
    fn leave(&mut self, records: &[CallRecord]) {
        let (mut pause, mut is_closing) = (FIRST_PAUSE, false);
        while !records.is_empty()
            && let Err(error) = self.outbox.leave(records)
        {
            if pause == FIRST_PAUSE {
                tracing::error!(%error, "the last records of this process can't be written; make room on the disk");
            }
            self.queue.set_failing(true);
            if is_closing {
                tracing::error!(lost = records.len(), "closing while audit records can't be written: they are lost");
                return;
            }
            is_closing = self.queue.pause(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        self.queue.set_failing(false);
    }

    /// Takes in what processes that have handed over have left.
    fn take_in(&self) {
        let unread = |path: &std::path::Path, error| {
            tracing::error!(file = %path.display(), error, "records of a process that has handed over can't be read");
        };
        for mut batch in self.outbox.waiting(unread) {
            if let Err(error) = self.take(&mut batch) {
                tracing::error!(%error, "records of a process that has handed over can't be taken in; trying again");
                return;
            }
            if let Err(error) = self.outbox.forget(&batch) {
                tracing::error!(%error, batch = batch.name, "records that were taken in can't be deleted");
            }
        }
    }

    fn take(&self, batch: &mut Batch) -> Result<(), Error> {
        batch.records.sort_by_key(|record| record.at);
        let mut left = &*batch.records;
        while let Some((day, of_day, later)) = first_day(left) {
            let rollup = Rollup::of(of_day);
            self.days
                .append(day, of_day, &rollup, &self.last_use, Some(&batch.name))
                .inspect_err(|_| self.days.close(day))?;
            self.last_use.note(rollup.last_use);
            left = later;
        }
        Ok(())
    }

    fn forget(&self) {
        let retention = Duration::from_millis(self.retention.load(Ordering::Relaxed));
        let first = Day::of(self.clock.now().minus(retention));
        if let Err(error) = self.days.forget_before(first) {
            tracing::warn!(%error, "old audit records can't be deleted; trying again tomorrow");
        }
    }
}

/// The first day of `records`, which are in order, those of it, and the others.
fn first_day(records: &[CallRecord]) -> Option<(Day, &[CallRecord], &[CallRecord])> {
    let day = Day::of(records.first()?.at);
    let (of_day, later) = records.split_at(records.partition_point(|record| Day::of(record.at) == day));
    Some((day, of_day, later))
}

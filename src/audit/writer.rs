//! The one thread that writes: takes what has arrived, commits it, and goes on trying when the disk does not let it.

use std::{sync::Arc, thread, time::Duration};

use super::{
    Error, Settings,
    day::{Day, Days},
    sink::Queue,
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
    pub(super) settings: Settings,
    pub(super) clock: Clock,
}

/// Starts the thread.
pub(super) fn start(writer: Writer) -> Result<thread::JoinHandle<()>, Error> {
    thread::Builder::new().name("audit-writer".into()).spawn(move || writer.run()).map_err(Error::Thread)
}

impl Writer {
    fn run(self) {
        let mut today = None;
        let mut spare = Vec::new();
        while let Some(mut records) = self.queue.take(spare, IDLE, self.settings.interval, GRACE) {
            self.commit(&mut records);
            self.queue.done(records.len());
            records.clear();
            // After a burst, the memory is given back.
            records.shrink_to(1024);
            spare = records;
            let now = Day::of(self.clock.now());
            if today.replace(now) != Some(now) {
                self.forget();
            }
        }
    }

    /// Commits `records`, however long it takes; gives up only when the log is being closed.
    fn commit(&self, records: &mut [CallRecord]) {
        records.sort_by_key(|record| record.at);
        let mut left = &*records;
        let mut pause = FIRST_PAUSE;
        while let Some(day) = left.first().map(|record| Day::of(record.at)) {
            let (of_day, later) = left.split_at(left.partition_point(|record| Day::of(record.at) == day));
            let rollup = Rollup::of(of_day);
            if let Err(error) = self.days.append(day, of_day, &rollup, &self.last_use) {
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
                if self.queue.pause(pause) {
                    tracing::error!(lost = left.len(), "closing while audit records can't be written: they are lost");
                    return;
                }
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

    fn forget(&self) {
        let first = Day::of(self.clock.now().minus(self.settings.retention));
        if let Err(error) = self.days.forget_before(first) {
            tracing::warn!(%error, "old audit records can't be deleted; trying again tomorrow");
        }
    }
}

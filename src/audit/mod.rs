//! What happened: call records, in batches off the hot path, and what can be asked of them.
//!
//! A call takes a [`Slot`] from the [`Sink`] before it leaves, and gives its [`CallRecord`] back through it. One writer
//! thread commits what has arrived, a few times a second, to a file for each UTC day, together with roll-ups of use by
//! access request, hour and operation, and by environment. The [`Reader`] answers from those files.

mod block;
mod copy;
mod day;
mod environment_use;
mod outbox;
mod query;
mod sink;
mod usage;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

pub use copy::{FileDraft, Files};
use day::Days;
pub use environment_use::{EnvironmentUse, PersonUse, RequestUse, ServiceUse};
use outbox::Outbox;
pub use query::{Cursor, CursorError, Filter, Page, Reader};
use sink::Place;
pub use sink::{Full, QueueState, Sink, Slot};
use usage::LastUse;
pub use usage::{DayUse, HourUse, OperationUse, Tally, Usage};

use crate::clock::Clock;

/// What can go wrong with the audit files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory can't be made or listed.
    #[error("the audit directory {path}: {cause}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A day's file can't be opened, read or written.
    #[error("the audit file {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the storage said.
        cause: Box<redb::Error>,
    },
    /// A block of records is not of a form that this version knows.
    #[error("a block of records in {path} can't be read: {cause}")]
    Block {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: block::BlockError,
    },
    /// The writer thread could not be started.
    #[error("the audit writer could not be started: {0}")]
    Thread(std::io::Error),
}

/// How the audit log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many calls may be in flight or waiting to be written; one more is refused its [`Slot`].
    pub queue: usize,
    /// How long records may gather before they are committed together.
    pub interval: Duration,
    /// How long the files of past days are kept.
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { queue: 65_536, interval: Duration::from_millis(200), retention: Duration::from_hours(400 * 24) }
    }
}

/// The running audit log. Dropped without [`Audit::close`], it still writes what was recorded, in the background.
#[derive(Debug)]
pub struct Audit {
    sink: Sink,
    reader: Reader,
    retention: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl Audit {
    /// Opens the audit log in `directory`, made if it does not exist, and starts its writer.
    pub fn open(directory: &Path, settings: Settings, clock: Clock) -> Result<Self, Error> {
        let days = Arc::new(Days::open(directory)?);
        let last_use = Arc::new(LastUse::restore(&days)?);
        let sink = Sink::new(settings.queue);
        let retention = Arc::new(AtomicU64::new(millis(settings.retention)));
        let writer = writer::start(writer::Writer {
            queue: sink.queue(),
            days: Arc::clone(&days),
            last_use: Arc::clone(&last_use),
            outbox: Outbox::new(directory),
            settings,
            retention: Arc::clone(&retention),
            clock,
        })?;
        let reader = Reader::new(days, last_use, sink.queue());
        Ok(Self { sink, reader, retention, writer: Some(writer) })
    }

    /// From the next day on, files of past days are kept for so long.
    pub fn keep_for(&self, retention: Duration) {
        self.retention.store(millis(retention), Ordering::Relaxed);
    }

    /// Writes what was recorded, closes the files for another process to open them, and leaves that one all later records;
    /// false, with everything as it was, if that could not be done within `limit`. No reader may read any more.
    ///
    /// Blocks.
    pub fn hand_over(&self, limit: Duration) -> bool {
        self.sink.queue().move_to(Place::Outbox, limit)
    }

    /// The other process has given the files back. If that takes longer than `limit`, it is done as soon as it can be.
    ///
    /// Blocks.
    pub fn take_back(&self, limit: Duration) -> bool {
        let taken = self.sink.queue().move_to(Place::Days, limit);
        if !taken {
            self.sink.queue().want(Place::Days);
        }
        self.sink.queue().look();
        taken
    }

    /// Another process has handed over, and leaves records as its calls end; or it has ended. What it has left is taken in
    /// meanwhile, and once more after it.
    pub fn expect(&self, expects: bool) {
        self.sink.queue().expect(expects);
    }

    /// Where calls are recorded.
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// What can be asked.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Writes what was recorded and ends the writer. Calls still in flight get two seconds to give their records back.
    ///
    /// Blocks.
    pub fn close(mut self) {
        self.sink.queue().close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the audit writer ended in a panic; its last records may be lost");
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.sink.queue().close();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        clock::Timestamp,
        model::{AccessRequestId, CallRecord, EnvironmentId, Outcome, ServiceId, UserName},
    };

    const LIMIT: Duration = Duration::from_secs(20);

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn request(id: &str) -> AccessRequestId {
        AccessRequestId::new(id).unwrap()
    }

    fn call(at: Timestamp, id: impl std::fmt::Display, of: &str) -> CallRecord {
        CallRecord {
            at,
            id: format!("{id}"),
            client: "10.0.0.7".into(),
            access_key_id: None,
            request: Some(request(of)),
            user: Some(UserName::new("dora").unwrap()),
            environment: Some(EnvironmentId::new("dev").unwrap()),
            host: "dynamodb.eu-west-1.amazonaws.com".into(),
            service: Some(ServiceId::new("dynamodb").unwrap()),
            operation: Some("PutItem".into()),
            region: Some("eu-west-1".into()),
            outcome: Outcome::Allowed,
            error: None,
            status: 200,
            bytes_in: 300,
            bytes_out: 20,
            duration_us: 1_500,
            cloud_request_id: None,
        }
    }

    fn open(directory: &Path) -> Audit {
        Audit::open(directory, Settings::default(), Clock::manual(at("2026-11-23T12:00:00Z"))).unwrap()
    }

    fn record(audit: &Audit, records: impl IntoIterator<Item = CallRecord>) {
        for record in records {
            audit.sink().reserve().unwrap().record(record);
        }
        assert!(audit.reader().flush(LIMIT));
    }

    /// Every page of the answer, and how many there were.
    fn pages(reader: &Reader, filter: &Filter, limit: usize) -> (Vec<CallRecord>, usize) {
        let (mut found, mut cursor, mut count) = (Vec::new(), None, 0);
        loop {
            let page = reader.calls(filter, cursor, limit).unwrap();
            assert!(page.items.len() <= limit);
            found.extend(page.items.into_iter().map(|(_, record)| record));
            count += 1;
            match page.next {
                // A cursor goes out as text and comes back as text.
                Some(next) => cursor = Some(next.to_string().parse().unwrap()),
                None => return (found, count),
            }
        }
    }

    #[test]
    fn pages_hold_each_call_once_newest_first_whatever_their_size() {
        let directory = tempfile::tempdir().unwrap();
        let audit = open(directory.path());
        let midnight = at("2026-11-23T00:00:00Z");
        // Three batches whose calls overlap in time, on both sides of midnight; calls end in another order than they
        // began in, and some began in the same millisecond.
        for batch in 0..3_u64 {
            record(
                &audit,
                (0..400_u64).map(|n| {
                    let millis = Duration::from_millis((n * 7 + batch * 350) % 2_000);
                    let at = if n % 2 == 0 { midnight.plus(millis) } else { midnight.minus(millis) };
                    call(at, batch * 1_000 + n, "r1")
                }),
            );
        }
        let reader = audit.reader();
        for limit in [1, 7, 50, 1_000, 5_000] {
            let (found, _) = pages(&reader, &Filter::default(), limit);
            assert!(found.windows(2).all(|pair| pair[0].at >= pair[1].at), "in order, {limit} a page");
            let mut ids: Vec<_> = found.iter().map(|record| record.id.clone()).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!((ids.len(), found.len()), (1_200, 1_200), "{limit} a page");
        }
        let (from, to) = (midnight.minus(Duration::from_millis(500)), midnight.plus(Duration::from_millis(500)));
        let filter = Filter { from: Some(from), to: Some(to), ..Filter::default() };
        let (found, _) = pages(&reader, &filter, 9);
        let (all, _) = pages(&reader, &Filter::default(), 5_000);
        assert_eq!(found, all.into_iter().filter(|call| call.at >= from && call.at < to).collect::<Vec<_>>());
    }

    #[test]
    fn a_filter_takes_what_matches_all_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let audit = open(directory.path());
        let noon = at("2026-11-23T12:00:00Z");
        let refused =
            CallRecord { outcome: Outcome::Refused, request: None, user: None, ..call(noon, "refused", "r1") };
        let sns = ServiceId::new("sns").unwrap();
        let publish =
            CallRecord { operation: Some("Publish".into()), service: Some(sns.clone()), ..call(noon, "sns", "r2") };
        let prod = EnvironmentId::new("prod").unwrap();
        let elsewhere = CallRecord { environment: Some(prod.clone()), ..call(noon, "prod", "r2") };
        record(&audit, [call(noon, "plain", "r1"), refused, publish, elsewhere]);
        let found = |filter: Filter| {
            let mut ids: Vec<_> = pages(&audit.reader(), &filter, 2).0.into_iter().map(|call| call.id).collect();
            ids.sort_unstable();
            ids
        };
        let filter = Filter::default;
        assert_eq!(found(Filter { request: Some(request("r1")), ..filter() }), ["plain"]);
        assert_eq!(found(Filter { outcome: Some(Outcome::Refused), ..filter() }), ["refused"]);
        assert_eq!(found(Filter { service: Some(sns), ..filter() }), ["sns"]);
        assert_eq!(found(Filter { operation: Some("Publish".into()), ..filter() }), ["sns"]);
        assert_eq!(found(Filter { user: Some(UserName::new("dora").unwrap()), ..filter() }), ["plain", "prod", "sns"]);
        assert_eq!(found(Filter { environment: Some(prod), request: Some(request("r2")), ..filter() }), ["prod"]);
    }

    #[test]
    fn a_search_that_finds_little_ends_its_page_early_and_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let audit = open(directory.path());
        let noon = at("2026-11-23T12:00:00Z");
        let seconds = |n: u64| noon.plus(Duration::from_secs(n));
        record(&audit, (0..2_500).map(|n| call(seconds(n), n, if n == 3 { "rare" } else { "r1" })));
        let (found, pages) =
            pages(&audit.reader(), &Filter { request: Some(request("rare")), ..Filter::default() }, 10);
        assert_eq!(found, [call(seconds(3), 3, "rare")]);
        assert_eq!(pages, 3);
    }

    #[test]
    fn use_is_rolled_up_by_operation_hour_and_day() {
        let directory = tempfile::tempdir().unwrap();
        let audit = open(directory.path());
        let (late, early) = (at("2026-11-22T23:59:59Z"), at("2026-11-23T00:00:00Z"));
        let failed = CallRecord { status: 400, ..call(early, "c", "r1") };
        let nameless = CallRecord { operation: None, service: None, ..call(early, "d", "r1") };
        record(&audit, [call(late, "a", "r1"), call(early, "b", "r1"), call(early, "x", "r10")]);
        record(&audit, [failed, nameless, CallRecord { request: None, ..call(early, "e", "r1") }]);
        let usage = audit.reader().usage(&request("r1"), late).unwrap();
        let total = Tally { calls: 4, errors: 1, bytes_in: 1_200, bytes_out: 80, last_used_at: Some(early) };
        assert_eq!(usage.total, total);
        let operations: Vec<_> =
            usage.by_operation.iter().map(|each| (each.operation.as_deref(), each.tally.calls)).collect();
        assert_eq!(operations, [(None, 1), (Some("PutItem"), 3)]);
        assert_eq!(usage.by_hour.iter().map(|each| each.tally.calls).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(usage.by_day.iter().map(|each| each.day.as_str()).collect::<Vec<_>>(), ["2026-11-22", "2026-11-23"]);
        assert_eq!(audit.reader().usage(&request("r1"), early).unwrap().total.calls, 3);
        assert_eq!(audit.reader().usage(&request("r2"), late).unwrap(), Usage::default());
    }

    #[test]
    fn use_of_an_environment_is_rolled_up_by_service_person_and_request() {
        let directory = tempfile::tempdir().unwrap();
        let audit = open(directory.path());
        let (late, early) = (at("2026-11-22T23:59:59Z"), at("2026-11-23T00:00:00Z"));
        let sns = |record| CallRecord { service: ServiceId::new("sns").ok(), ..record };
        let dan = |record| CallRecord { user: UserName::new("dan").ok(), ..record };
        let nameless = CallRecord { service: None, status: 500, ..call(early, "n", "r1") };
        // A name that begins as another does is another one, and so is an environment.
        let dora2 = CallRecord { user: UserName::new("dora2").ok(), ..call(early, "d", "r3") };
        let dev2 = CallRecord { environment: EnvironmentId::new("dev-2").ok(), ..call(early, "e", "r4") };
        let unknown = CallRecord { request: None, user: None, environment: None, ..call(early, "u", "r1") };
        record(&audit, [call(late, "a", "r1"), call(early, "b", "r1"), sns(call(early, "c", "r1"))]);
        record(&audit, [sns(dan(call(early, "f", "r2"))), sns(dan(call(early, "g", "r2"))), nameless]);
        record(&audit, [dora2, dev2, unknown]);
        let reader = audit.reader();
        let dev = EnvironmentId::new("dev").unwrap();
        let used = reader.environment_use(&dev, None, late).unwrap();
        assert_eq!((used.total.calls, used.total.errors, used.total.bytes_in), (7, 1, 2_100));
        let services =
            used.by_service.iter().map(|each| (each.service.as_ref().map(ServiceId::as_str), each.tally.calls));
        assert_eq!(services.collect::<Vec<_>>(), [(Some("dynamodb"), 3), (Some("sns"), 3), (None, 1)]);
        let people = used.by_person.iter().map(|each| (each.user.as_str(), each.tally.calls));
        assert_eq!(people.collect::<Vec<_>>(), [("dora", 4), ("dan", 2), ("dora2", 1)]);
        let requests = used.by_access_request.iter().map(|each| (each.request.as_str(), each.tally.calls));
        assert_eq!(requests.collect::<Vec<_>>(), [("r1", 4), ("r2", 2), ("r3", 1)]);
        assert_eq!(used.by_day.iter().map(|each| each.tally.calls).collect::<Vec<_>>(), [1, 6]);

        let dora = UserName::new("dora").unwrap();
        assert_eq!(reader.environment_use(&dev, Some(&dora), late).unwrap().total.calls, 4);
        assert_eq!(reader.environment_use(&dev, Some(&dora), early).unwrap().total.calls, 3);
        let elsewhere = EnvironmentId::new("prod").unwrap();
        assert_eq!(reader.environment_use(&elsewhere, None, late).unwrap(), EnvironmentUse::default());
    }

    #[test]
    fn what_was_written_is_there_after_a_start_and_last_use_is_carried_over_days() {
        let directory = tempfile::tempdir().unwrap();
        let days = ["2026-11-20T08:00:00Z", "2026-11-21T08:00:00Z", "2026-11-22T08:00:00Z", "2026-11-23T08:00:00Z"];
        let audit = open(directory.path());
        record(&audit, [call(at(days[0]), "old", "r0")]);
        for day in &days[1..] {
            record(&audit, [call(at(day), day, "r1")]);
        }
        // Recorded but not flushed: closing writes it.
        audit.sink().reserve().unwrap().record(call(at(days[3]), "last", "r1"));
        audit.close();

        let reader = open(directory.path()).reader();
        assert_eq!(pages(&reader, &Filter::default(), 10).0.len(), 5);
        assert_eq!(reader.last_used(&request("r0")), Some(at(days[0])), "from a file that is not read at the start");
        assert_eq!(reader.last_used(&request("r1")), Some(at(days[3])));
        assert_eq!(reader.last_used(&request("r2")), None);
    }

    #[test]
    fn files_past_their_retention_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(at("2026-11-23T12:00:00Z"));
        let settings = Settings { retention: Duration::from_hours(48), ..Settings::default() };
        let audit = Audit::open(directory.path(), settings, clock.clone()).unwrap();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(directory.path())
                .unwrap()
                .map(|each| each.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort_unstable();
            names
        };
        let days = ["2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z"];
        record(&audit, days.map(|day| call(at(day), day, "r1")));
        assert_eq!(names(), ["2026-11-21.redb", "2026-11-22.redb", "2026-11-23.redb"]);
        clock.set(at("2026-11-24T00:00:01Z"));
        record(&audit, [call(at("2026-11-24T00:00:00Z"), "next day", "r1")]);
        audit.close();
        assert_eq!(names(), ["2026-11-22.redb", "2026-11-23.redb", "2026-11-24.redb"]);
    }

    #[test]
    fn a_disk_that_fails_fills_the_queue_and_loses_nothing_once_it_is_mended() {
        let directory = tempfile::tempdir().unwrap();
        let (path, away) = (directory.path().join("audit"), directory.path().join("away"));
        let settings = Settings { queue: 3, interval: Duration::from_millis(1), ..Settings::default() };
        let noon = at("2026-11-23T12:00:00Z");
        let audit = Audit::open(&path, settings, Clock::manual(noon)).unwrap();
        fs::rename(&path, &away).unwrap();
        fs::write(&path, "in the way").unwrap();
        for id in 0..3 {
            audit.sink().reserve().unwrap().record(call(noon, id, "r1"));
        }
        assert!(!audit.reader().flush(Duration::from_millis(50)));
        assert_eq!(audit.reader().queue(), QueueState { taken: 3, capacity: 3, failing: true });
        assert_eq!(audit.sink().reserve().unwrap_err(), Full);
        fs::remove_file(&path).unwrap();
        fs::rename(&away, &path).unwrap();
        assert!(audit.reader().flush(LIMIT), "it goes on trying");
        assert_eq!(audit.reader().queue(), QueueState { taken: 0, capacity: 3, failing: false });
        assert_eq!(pages(&audit.reader(), &Filter::default(), 10).0.len(), 3);
        assert!(audit.sink().reserve().is_ok());
    }

    #[test]
    fn what_a_process_records_after_it_has_handed_over_is_taken_in_once() {
        let directory = tempfile::tempdir().unwrap();
        let (noon, yesterday) = (at("2026-11-23T12:00:00Z"), at("2026-11-22T23:00:00Z"));
        let old = open(directory.path());
        record(&old, [call(noon, "before", "r1")]);
        assert!(old.hand_over(LIMIT));
        let new = open(directory.path());
        new.expect(true);
        // Two batches: one that touches two days, and one more after it.
        record(&old, [call(yesterday, "late", "r1"), call(noon, "after", "r1")]);
        record(&old, [call(noon, "last", "r1")]);
        record(&new, [call(noon, "new", "r2")]);
        old.close();
        new.expect(false);
        let folder = directory.path().join("handed-over");
        let ids = |audit: &Audit| {
            let mut ids: Vec<_> =
                pages(&audit.reader(), &Filter::default(), 50).0.into_iter().map(|call| call.id).collect();
            ids.sort_unstable();
            ids
        };
        let started = std::time::Instant::now();
        while fs::read_dir(&folder).unwrap().count() > 0 {
            assert!(started.elapsed() < LIMIT, "the batches wait for ever");
            std::thread::yield_now();
        }
        assert_eq!(ids(&new), ["after", "before", "last", "late", "new"]);
        assert_eq!(new.reader().usage(&request("r1"), yesterday).unwrap().total.calls, 4);
        assert_eq!(new.reader().last_used(&request("r1")), Some(noon));
        new.close();
    }

    #[test]
    fn a_batch_that_was_taken_in_and_not_forgotten_is_not_taken_in_again() {
        let directory = tempfile::tempdir().unwrap();
        let noon = at("2026-11-23T12:00:00Z");
        let old = open(directory.path());
        assert!(old.hand_over(LIMIT));
        record(&old, [call(noon, "a", "r1")]);
        old.close();
        let (folder, kept) = (directory.path().join("handed-over"), directory.path().join("kept"));
        let batch = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        fs::copy(&batch, &kept).unwrap();
        for _ in 0..2 {
            // As after a crash between the two.
            fs::copy(&kept, &batch).unwrap();
            let new = open(directory.path());
            record(&new, []);
            new.close();
            assert!(!batch.exists());
        }
        assert_eq!(pages(&open(directory.path()).reader(), &Filter::default(), 10).0.len(), 1);
    }

    #[test]
    fn files_that_were_handed_over_can_be_had_back() {
        let directory = tempfile::tempdir().unwrap();
        let noon = at("2026-11-23T12:00:00Z");
        let audit = open(directory.path());
        record(&audit, [call(noon, "a", "r1")]);
        assert!(audit.hand_over(LIMIT));
        record(&audit, [call(noon, "b", "r1")]);
        assert!(audit.take_back(LIMIT));
        record(&audit, [call(noon, "c", "r1")]);
        audit.close();
        assert_eq!(pages(&open(directory.path()).reader(), &Filter::default(), 10).0.len(), 3);
    }

    #[test]
    fn closing_waits_for_calls_in_flight() {
        let directory = tempfile::tempdir().unwrap();
        let audit = open(directory.path());
        let slot = audit.sink().reserve().unwrap();
        let closing = std::thread::spawn(move || audit.close());
        slot.record(call(at("2026-11-23T12:00:00Z"), "late", "r1"));
        closing.join().unwrap();
        assert_eq!(pages(&open(directory.path()).reader(), &Filter::default(), 10).0.len(), 1);
    }
}

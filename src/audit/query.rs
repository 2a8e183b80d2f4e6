//! Questions about calls: newest first, page by page, each page bounded in work and memory.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, ops::ControlFlow, str::FromStr, sync::Arc, time::Duration};

use super::{
    Error,
    block::Block,
    day::{BLOCKS, Day, Days, ReadError},
    sink::{Queue, QueueState},
    usage::LastUse,
};
use crate::{
    clock::Timestamp,
    model::{AccessRequestId, CallRecord, EnvironmentId, Outcome, ServiceId, UserName},
};

/// A page ends, with fewer items than asked for, once this many blocks were looked at.
const BLOCKS_A_PAGE: usize = 1_000;

/// Which calls. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Arrived at or after.
    pub from: Option<Timestamp>,
    /// Arrived before.
    pub to: Option<Timestamp>,
    /// Of this access request.
    pub request: Option<AccessRequestId>,
    /// With a key of this person.
    pub user: Option<UserName>,
    /// In this environment.
    pub environment: Option<EnvironmentId>,
    /// Of this service.
    pub service: Option<ServiceId>,
    /// Of this operation.
    pub operation: Option<String>,
    /// That went so.
    pub outcome: Option<Outcome>,
}

impl Filter {
    fn matches(&self, record: &CallRecord) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        self.from.is_none_or(|from| record.at >= from)
            && self.to.is_none_or(|to| record.at < to)
            && is(self.request.as_ref(), record.request.as_ref())
            && is(self.user.as_ref(), record.user.as_ref())
            && is(self.environment.as_ref(), record.environment.as_ref())
            && is(self.service.as_ref(), record.service.as_ref())
            && is(self.operation.as_ref(), record.operation.as_ref())
            && self.outcome.is_none_or(|outcome| record.outcome == outcome)
    }

    /// Can't tell that nothing in `block` matches.
    fn may_match(&self, block: &Block<'_>) -> bool {
        self.request.as_ref().is_none_or(|request| block.mentions(request.as_str()))
            && self.user.as_ref().is_none_or(|user| block.mentions(user.as_str()))
            && self.environment.as_ref().is_none_or(|environment| block.mentions(environment.as_str()))
            && self.service.as_ref().is_none_or(|service| block.mentions(service.as_str()))
            && self.operation.as_ref().is_none_or(|operation| block.mentions(operation))
    }
}

/// Where a page ended: the next one holds what lies before it in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    at: Timestamp,
    block: u64,
    place: u64,
}

/// The text was not written by a [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that this gateway gave out")]
pub struct CursorError;

impl Cursor {
    /// Ahead of everything that arrived before `at`.
    pub const fn before(at: Timestamp) -> Self {
        Self { at, block: 0, place: 0 }
    }

    /// The moment it stands at.
    pub const fn at(self) -> Timestamp {
        self.at
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at.millis(), self.block, self.place)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(CursorError);
        let at = part()?.parse().map(Timestamp::from_millis).map_err(|_| CursorError)?;
        let block = part()?.parse().map_err(|_| CursorError)?;
        let place = part()?.parse().map_err(|_| CursorError)?;
        Ok(Self { at, block, place })
    }
}

/// Calls, the newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// Each with where a page that ended with it would go on.
    pub items: Vec<(Cursor, CallRecord)>,
    /// Where to go on; none at the end. There may be more even if `items` is short or empty.
    pub next: Option<Cursor>,
}

/// What can be asked of the audit log. Cheap to clone. Its methods block.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(super) days: Arc<Days>,
    last_use: Arc<LastUse>,
    queue: Arc<Queue>,
}

impl Reader {
    pub(super) fn new(days: Arc<Days>, last_use: Arc<LastUse>, queue: Arc<Queue>) -> Self {
        Self { days, last_use, queue }
    }

    pub(super) fn days(&self) -> &Days {
        &self.days
    }

    /// Has everything that was recorded up to now written, so that the next question sees it; false after `limit`.
    pub fn flush(&self, limit: Duration) -> bool {
        self.queue.flush(limit)
    }

    /// How the queue of records is that wait to be written.
    pub fn queue(&self) -> QueueState {
        self.queue.state()
    }

    /// When `request` was last used, from memory.
    pub fn last_used(&self, request: &AccessRequestId) -> Option<Timestamp> {
        self.last_use.of(request)
    }

    /// At most `limit` calls that match `filter`, the newest first, going on from `cursor`.
    pub fn calls(&self, filter: &Filter, cursor: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        let start = Cursor::before(filter.to.unwrap_or(Timestamp::MAX));
        let mut search = Search {
            filter,
            end: cursor.map_or(start, |cursor| cursor.min(start)),
            limit: limit.max(1),
            items: Vec::new(),
            second: BinaryHeap::new(),
            budget: BLOCKS_A_PAGE,
        };
        let first = filter.from.map(Day::of);
        for day in self.days.list()?.into_iter().rev() {
            if day > Day::of(search.end.at) {
                continue;
            }
            if first.is_some_and(|first| day < first) {
                break;
            }
            let found = self.days.read(day, |transaction| search.day(transaction))?;
            if let Some(ControlFlow::Break(next)) = found {
                return Ok(Page { items: search.items, next: Some(next) });
            }
        }
        Ok(Page { items: search.items, next: None })
    }
}

/// One question on its way through the files.
struct Search<'f> {
    filter: &'f Filter,
    /// Only what lies before it.
    end: Cursor,
    limit: usize,
    items: Vec<(Cursor, CallRecord)>,
    /// The newest matches of the second being read, as many as there is room for: blocks of one second may overlap.
    second: BinaryHeap<Reverse<Match>>,
    budget: usize,
}

struct Match(Cursor, CallRecord);

impl Search<'_> {
    /// Reads one day's file from `end` backwards; breaks with where to go on if the page is full or has cost enough.
    fn day(&mut self, transaction: &redb::ReadTransaction) -> Result<ControlFlow<Cursor>, ReadError> {
        let table = match transaction.open_table(BLOCKS) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(ControlFlow::Continue(())),
            table => table?,
        };
        let oldest = self.filter.from.map_or(i64::MIN, Timestamp::seconds);
        let newest = self.end.at.seconds();
        if oldest > newest {
            return Ok(ControlFlow::Continue(()));
        }
        let mut reading = None;
        for row in table.range((oldest, 0)..=(newest, u64::MAX))?.rev() {
            let (key, block) = row?;
            let (second, counter) = key.value();
            if reading.replace(second).is_some_and(|before| before != second) {
                self.close_second();
                // The next second begins a new page; where it ends is where this one goes on.
                let next = Cursor::before(Timestamp::from_millis((second + 1) * 1000));
                if let Some((last, _)) = self.items.get(self.limit - 1) {
                    return Ok(ControlFlow::Break(*last));
                }
                if self.budget == 0 {
                    return Ok(ControlFlow::Break(next));
                }
            }
            self.budget = self.budget.saturating_sub(1);
            self.block(counter, block.value())?;
        }
        self.close_second();
        Ok(match self.items.get(self.limit - 1) {
            Some((last, _)) => ControlFlow::Break(*last),
            None => ControlFlow::Continue(()),
        })
    }

    fn block(&mut self, counter: u64, block: &[u8]) -> Result<(), ReadError> {
        let block = Block::open(block).map_err(ReadError::Block)?;
        if !self.filter.may_match(&block) {
            return Ok(());
        }
        let room = self.limit.saturating_sub(self.items.len());
        let mut place = 0;
        let read = block.records(|record| {
            let cursor = Cursor { at: record.at, block: counter, place };
            place += 1;
            if cursor < self.end && self.filter.matches(&record) {
                self.second.push(Reverse(Match(cursor, record)));
                if self.second.len() > room {
                    self.second.pop();
                }
            }
        });
        read.map_err(ReadError::Block)
    }

    /// Nothing older can be newer than what was found in the second just read.
    fn close_second(&mut self) {
        let found = std::mem::take(&mut self.second).into_sorted_vec();
        self.items.extend(found.into_iter().map(|Reverse(Match(cursor, record))| (cursor, record)));
    }
}

impl Ord for Match {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Match {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Match {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Match {}

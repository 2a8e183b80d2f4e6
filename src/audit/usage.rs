//! Roll-ups of use: counted as records are written, so that a question about months reads no record.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{PoisonError, RwLock},
};

use redb::ReadableTable;
use serde::Serialize;

use super::{
    Error, Reader,
    day::{Day, Days, LAST_USE, ReadError, USE},
    environment_use::Place,
};
use crate::{
    clock::Timestamp,
    model::{AccessRequestId, CallRecord, Outcome, ServiceId},
};

const HOUR_MILLIS: i64 = 3_600_000;
/// [`Usage::by_hour`] goes back so many hours from the last use: a week.
const HOURS: i64 = 168;

/// A [`Tally`] on disk: calls, errors, bytes in, bytes out, last use in milliseconds since the Unix epoch.
pub(super) type Row = (u64, u64, u64, u64, i64);

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Tally {
    /// Calls, allowed or not.
    pub calls: u64,
    /// Those that were refused, failed, were cut short, or that the cloud answered with status 400 or more.
    pub errors: u64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of response bodies.
    pub bytes_out: u64,
    /// When the last of them arrived.
    #[schema(required)]
    pub last_used_at: Option<Timestamp>,
}

impl Tally {
    fn of(record: &CallRecord) -> Self {
        Self {
            calls: 1,
            errors: u64::from(record.outcome != Outcome::Allowed || record.status >= 400),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            last_used_at: Some(record.at),
        }
    }

    #[must_use]
    pub(super) fn plus(self, other: &Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            errors: self.errors + other.errors,
            bytes_in: self.bytes_in.saturating_add(other.bytes_in),
            bytes_out: self.bytes_out.saturating_add(other.bytes_out),
            last_used_at: self.last_used_at.max(other.last_used_at),
        }
    }

    pub(super) fn from_row((calls, errors, bytes_in, bytes_out, last): Row) -> Self {
        Self { calls, errors, bytes_in, bytes_out, last_used_at: Some(Timestamp::from_millis(last)) }
    }

    pub(super) fn row(self) -> Row {
        let last = self.last_used_at.map_or(i64::MIN, Timestamp::millis);
        (self.calls, self.errors, self.bytes_in, self.bytes_out, last)
    }
}

/// How an access request was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Usage {
    /// All of it.
    #[serde(flatten)]
    pub total: Tally,
    /// By service and operation, in the order of their names.
    pub by_operation: Vec<OperationUse>,
    /// By hour, the oldest first; the week up to the last use. Hours without a call are left out.
    pub by_hour: Vec<HourUse>,
    /// By UTC day, the oldest first. Days without a call are left out.
    pub by_day: Vec<DayUse>,
}

/// Use of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OperationUse {
    /// The service, if it could be named.
    #[schema(required)]
    pub service: Option<ServiceId>,
    /// The operation, if it could be named.
    #[schema(required)]
    pub operation: Option<String>,
    /// What was counted.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Use within one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HourUse {
    /// When the hour begins.
    pub hour: Timestamp,
    /// What was counted.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Use within one UTC day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DayUse {
    /// The day: `2026-11-23`.
    pub day: String,
    /// What was counted.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Reader {
    /// How `request` was used since `from`, such as the day it was approved: older files are not opened.
    ///
    /// Blocks.
    pub fn usage(&self, request: &AccessRequestId, from: Timestamp) -> Result<Usage, Error> {
        let mut total = Tally::default();
        let mut operations = BTreeMap::<(String, String), Tally>::new();
        let mut hours = BTreeMap::<i64, Tally>::new();
        let mut by_day = Vec::new();
        for day in self.days().list()?.into_iter().filter(|&day| day >= Day::of(from)) {
            let mut whole = Tally::default();
            self.days().read(day, |transaction| {
                let table = match transaction.open_table(USE) {
                    Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
                    table => table?,
                };
                let (first, end) = RollupKey::range(request);
                for row in table.range(first.as_slice()..end.as_slice())? {
                    let (key, tally) = row?;
                    let Some((hour, service, operation)) = RollupKey::read(key.value()) else { continue };
                    let tally = Tally::from_row(tally.value());
                    whole = whole.plus(&tally);
                    let operation = operations.entry((service.to_owned(), operation.to_owned())).or_default();
                    *operation = operation.plus(&tally);
                    let hour = hours.entry(hour).or_default();
                    *hour = hour.plus(&tally);
                }
                Ok(())
            })?;
            if whole.calls > 0 {
                by_day.push(DayUse { day: day.to_string(), tally: whole });
            }
            total = total.plus(&whole);
        }
        let since = hours.last_key_value().map_or(0, |(&last, _)| last - HOURS);
        let hours = hours.into_iter().filter(|&(hour, _)| hour > since);
        Ok(Usage {
            total,
            by_operation: operations.into_iter().map(OperationUse::new).collect(),
            by_hour: hours
                .map(|(hour, tally)| HourUse { hour: Timestamp::from_millis(hour * HOUR_MILLIS), tally })
                .collect(),
            by_day,
        })
    }
}

impl OperationUse {
    fn new(((service, operation), tally): ((String, String), Tally)) -> Self {
        let operation = (!operation.is_empty()).then_some(operation);
        Self { service: ServiceId::new(service).ok(), operation, tally }
    }
}

/// What a batch of records adds to the roll-ups. Only calls whose signature was right count: anyone can claim a key.
#[derive(Debug, Default)]
pub(super) struct Rollup<'r> {
    pub(super) tallies: HashMap<RollupKey<'r>, Tally>,
    pub(super) by_environment: HashMap<Place<'r>, Tally>,
    pub(super) last_use: HashMap<&'r AccessRequestId, Timestamp>,
}

impl<'r> Rollup<'r> {
    pub(super) fn of(records: &'r [CallRecord]) -> Self {
        let mut rollup = Self::default();
        for record in records {
            let Some(request) = &record.request else { continue };
            let key = RollupKey {
                request,
                hour: record.at.millis().div_euclid(HOUR_MILLIS),
                service: record.service.as_ref().map_or("", ServiceId::as_str),
                operation: record.operation.as_deref().unwrap_or_default(),
            };
            let call = Tally::of(record);
            let tally = rollup.tallies.entry(key).or_default();
            *tally = tally.plus(&call);
            if let Some(place) = Place::of(record) {
                let tally = rollup.by_environment.entry(place).or_default();
                *tally = tally.plus(&call);
            }
            let last = rollup.last_use.entry(request).or_insert(record.at);
            *last = record.at.max(*last);
        }
        rollup
    }
}

/// Where a call is counted. On disk: request, 0, hour (4 bytes, big-endian), service, 0, operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RollupKey<'r> {
    request: &'r AccessRequestId,
    /// Since the Unix epoch.
    hour: i64,
    service: &'r str,
    operation: &'r str,
}

impl RollupKey<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.request.as_str().as_bytes());
        out.push(0);
        out.extend_from_slice(&u32::try_from(self.hour).unwrap_or_default().to_be_bytes());
        out.extend_from_slice(self.service.as_bytes());
        out.push(0);
        out.extend_from_slice(self.operation.as_bytes());
    }

    /// The keys of one access request lie between these two.
    fn range(request: &AccessRequestId) -> (Vec<u8>, Vec<u8>) {
        let with = |end: u8| [request.as_str().as_bytes(), &[end]].concat();
        (with(0), with(1))
    }

    /// Hour, service and operation.
    fn read(key: &[u8]) -> Option<(i64, &str, &str)> {
        let (_, rest) = key.split_at_checked(key.iter().position(|&byte| byte == 0)? + 1)?;
        let (hour, names) = rest.split_first_chunk::<4>()?;
        let (service, operation) = str::from_utf8(names).ok()?.split_once('\0')?;
        Some((i64::from(u32::from_be_bytes(*hour)), service, operation))
    }
}

/// When each access request was last used, in memory.
#[derive(Debug, Default)]
pub(super) struct LastUse(RwLock<HashMap<AccessRequestId, Timestamp>>);

impl LastUse {
    /// From the two newest files: each begins as a copy of the one before, but a call that began before midnight and
    /// ended after it is written to the older one only. A file that can't be read must not keep the gateway down.
    pub(super) fn restore(days: &Days) -> Result<Self, Error> {
        let restored = Self::default();
        for day in days.list()?.into_iter().rev().take(2) {
            let read = days.read(day, |transaction| {
                let table = match transaction.open_table(LAST_USE) {
                    Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
                    table => table?,
                };
                for row in table.iter()? {
                    let (request, at) = row?;
                    if let Ok(request) = AccessRequestId::new(request.value()) {
                        restored.note([(&request, Timestamp::from_millis(at.value()))]);
                    }
                }
                Ok::<_, ReadError>(())
            });
            if let Err(error) = read {
                tracing::error!(%error, "access requests may be shown as not used lately although they were");
            }
        }
        Ok(restored)
    }

    pub(super) fn of(&self, request: &AccessRequestId) -> Option<Timestamp> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(request).copied()
    }

    pub(super) fn note<'r>(&self, used: impl IntoIterator<Item = (&'r AccessRequestId, Timestamp)>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (request, at) in used {
            match known.get_mut(request) {
                Some(last) => *last = at.max(*last),
                None => _ = known.insert(request.clone(), at),
            }
        }
    }

    /// Hands all that is known to `each`.
    pub(super) fn each<E>(&self, mut each: impl FnMut(&str, Timestamp) -> Result<(), E>) -> Result<(), E> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().try_for_each(|(request, &at)| each(request.as_str(), at))
    }
}

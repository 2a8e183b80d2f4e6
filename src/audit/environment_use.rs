//! Roll-ups by environment: who used which services there, day by day. Each day's file has one entry for each service of
//! an access request that was used, so that a month of an environment is read without its hours and operations.

use std::{cmp::Reverse, collections::BTreeMap};

use redb::TableDefinition;
use serde::Serialize;

use super::{
    DayUse, Error, Reader,
    day::Day,
    usage::{Row, Tally},
};
use crate::{
    clock::Timestamp,
    model::{AccessRequestId, CallRecord, EnvironmentId, ServiceId, UserName},
};

/// Environment, person, access request and service (see [`Place`]) → what was counted.
pub(super) const USE_BY_ENVIRONMENT: TableDefinition<&[u8], Row> = TableDefinition::new("use_by_environment");

/// Of people and access requests, so many are named: those with the most calls.
const NAMED: usize = 100;

/// How an environment was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentUse {
    /// All of it.
    pub total: Tally,
    /// By service, the most called first.
    pub by_service: Vec<ServiceUse>,
    /// By person, the 100 with the most calls.
    pub by_person: Vec<PersonUse>,
    /// By access request, the 100 with the most calls.
    pub by_access_request: Vec<RequestUse>,
    /// By UTC day, the oldest first. Days without a call are left out.
    pub by_day: Vec<DayUse>,
}

/// Use of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ServiceUse {
    /// The service, if it could be named.
    #[schema(required)]
    pub service: Option<ServiceId>,
    /// What was counted.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Use by one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PersonUse {
    /// Whose keys were used.
    pub user: UserName,
    /// What was counted.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Use of one access request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RequestUse {
    /// The access request.
    pub request: AccessRequestId,
    /// Whose it is.
    pub user: UserName,
    /// What was counted.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Reader {
    /// How an environment was used since the day of `from`, by everybody or by one person.
    ///
    /// Blocks.
    pub fn environment_use(
        &self,
        environment: &EnvironmentId,
        by: Option<&UserName>,
        from: Timestamp,
    ) -> Result<EnvironmentUse, Error> {
        let mut total = Tally::default();
        let (mut services, mut people) = (BTreeMap::<String, Tally>::new(), BTreeMap::<UserName, Tally>::new());
        let mut requests = BTreeMap::<(AccessRequestId, UserName), Tally>::new();
        let mut by_day = Vec::new();
        let (first, end) = Place::range(environment, by);
        for day in self.days().list()?.into_iter().filter(|&day| day >= Day::of(from)) {
            let mut whole = Tally::default();
            self.days().read(day, |transaction| {
                let table = match transaction.open_table(USE_BY_ENVIRONMENT) {
                    Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
                    table => table?,
                };
                for row in table.range(first.as_slice()..end.as_slice())? {
                    let (key, tally) = row?;
                    let Some((user, request, service)) = Place::read(key.value()) else { continue };
                    let tally = Tally::from_row(tally.value());
                    let add = |to: &mut Tally| *to = to.plus(&tally);
                    add(&mut whole);
                    add(services.entry(service.to_owned()).or_default());
                    add(people.entry(user.clone()).or_default());
                    add(requests.entry((request, user)).or_default());
                }
                Ok(())
            })?;
            if whole.calls > 0 {
                by_day.push(DayUse { day: day.to_string(), tally: whole });
            }
            total = total.plus(&whole);
        }
        Ok(EnvironmentUse {
            total,
            by_service: most_called(services, usize::MAX)
                .map(|(id, tally)| ServiceUse { service: ServiceId::new(id).ok(), tally })
                .collect(),
            by_person: most_called(people, NAMED).map(|(user, tally)| PersonUse { user, tally }).collect(),
            by_access_request: most_called(requests, NAMED)
                .map(|((request, user), tally)| RequestUse { request, user, tally })
                .collect(),
            by_day,
        })
    }
}

fn most_called<K>(tallies: BTreeMap<K, Tally>, most: usize) -> impl Iterator<Item = (K, Tally)> {
    let mut tallies: Vec<_> = tallies.into_iter().collect();
    tallies.sort_by_key(|(_, tally)| Reverse(tally.calls));
    tallies.into_iter().take(most)
}

/// Where a call is counted. On disk: environment, 0, person, 0, access request, 0, service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place<'r> {
    environment: &'r EnvironmentId,
    user: &'r UserName,
    request: &'r AccessRequestId,
    service: &'r str,
}

impl<'r> Place<'r> {
    /// Of a call whose signature was right: the gateway knows whose key it was, and for where.
    pub(super) fn of(record: &'r CallRecord) -> Option<Self> {
        Some(Self {
            environment: record.environment.as_ref()?,
            user: record.user.as_ref()?,
            request: record.request.as_ref()?,
            service: record.service.as_ref().map_or("", ServiceId::as_str),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        for part in [self.environment.as_str(), self.user.as_str(), self.request.as_str()] {
            out.extend_from_slice(part.as_bytes());
            out.push(0);
        }
        out.extend_from_slice(self.service.as_bytes());
    }

    /// The keys of an environment, or of a person in it, lie between these two.
    fn range(environment: &EnvironmentId, user: Option<&UserName>) -> (Vec<u8>, Vec<u8>) {
        let parts: Vec<_> = [Some(environment.as_str()), user.map(UserName::as_str)].into_iter().flatten().collect();
        let with = |end: u8| [parts.join("\0").as_bytes(), &[end]].concat();
        (with(0), with(1))
    }

    /// Person, access request and service.
    fn read(key: &[u8]) -> Option<(UserName, AccessRequestId, &str)> {
        let mut parts = str::from_utf8(key).ok()?.splitn(4, '\0').skip(1);
        let (user, request) = (UserName::new(parts.next()?).ok()?, AccessRequestId::new(parts.next()?).ok()?);
        Some((user, request, parts.next()?))
    }
}

//! Access requests, what they are found by, and when each of them, or a key of theirs, ends by itself.
//!
//! People look at few of many requests, by any of environment, person, service and status. Each combination has its own
//! run of entries in one index, in the order of the ids, so that a page of any list reads what it shows and no more.

use std::collections::BTreeSet;

use super::super::{Error, Key, Read as _, Table, Writer};
use crate::{
    clock::Timestamp,
    model::{AccessRequest, AccessRequestId, CredentialId, EnvironmentId, PolicyGroupId, ServiceId, Status, UserName},
};

/// Access requests; their ids sort by time. Written by [`put`] alone, which keeps the indexes.
pub const ACCESS_REQUESTS: Table<AccessRequestId, AccessRequest> = Table::new("access_requests");

/// The ids of the requests of a facet that stand at a status.
pub const ACCESS_REQUEST_INDEX: Table<IndexKey, ()> = Table::new("access_request_index");

/// A key of [`ACCESS_REQUEST_INDEX`].
pub type IndexKey = ((Facet, Status), AccessRequestId);

/// The requests that a credential gives access to now, and where.
pub const LIVING_BY_CREDENTIAL: Table<(CredentialId, AccessRequestId), EnvironmentId> =
    Table::new("living_by_credential");

/// The requests whose access a policy group's rules hold for now, and where.
pub const LIVING_BY_POLICY_GROUP: Table<(PolicyGroupId, AccessRequestId), EnvironmentId> =
    Table::new("living_by_policy_group");

/// How many requests wait for a decision in an environment; there is no record where none does.
pub const PENDING: Table<EnvironmentId, u64> = Table::new("pending_access_requests");

/// When to look at which request. An entry may be out of date: the request itself says what is to end.
pub const DEADLINES: Table<(Timestamp, AccessRequestId), ()> = Table::new("deadlines");

/// What requests are found by; what is none may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Facet {
    /// Where.
    pub environment: Option<EnvironmentId>,
    /// Who asked.
    pub requested_by: Option<UserName>,
    /// One of the services.
    pub service: Option<ServiceId>,
}

/// Keeps the request as it is now.
pub fn put(writer: &mut Writer, request: &AccessRequest) -> Result<(), Error> {
    let before = writer.find(&ACCESS_REQUESTS, &request.id)?;
    writer.put(&ACCESS_REQUESTS, &request.id, request)?;
    reindex(writer, before.as_ref(), request)
}

/// Takes the entries of the request as it was out of the indexes, and puts in those of it as it is.
pub(in crate::store) fn reindex(
    writer: &mut Writer,
    before: Option<&AccessRequest>,
    now: &AccessRequest,
) -> Result<(), Error> {
    let (old, new) = (before.map(entries).unwrap_or_default(), entries(now));
    for key in old.difference(&new) {
        writer.remove(&ACCESS_REQUEST_INDEX, key)?;
    }
    for key in new.difference(&old) {
        writer.put(&ACCESS_REQUEST_INDEX, key, &())?;
    }
    let of = |request: &AccessRequest| lives(request).then(|| request.credential.clone()).flatten();
    live_by(writer, &LIVING_BY_CREDENTIAL, before.and_then(of), of(now), now)?;
    let of = |request: &AccessRequest| lives(request).then(|| request.policy_group.clone()).flatten();
    live_by(writer, &LIVING_BY_POLICY_GROUP, before.and_then(of), of(now), now)?;
    let pending = |request: &AccessRequest| request.status == Status::Pending;
    match (before.is_some_and(pending), pending(now)) {
        (false, true) => count(writer, &now.environment, |count| count.saturating_add(1)),
        (true, false) => count(writer, &now.environment, |count| count.saturating_sub(1)),
        _ => Ok(()),
    }
}

fn entries(request: &AccessRequest) -> BTreeSet<IndexKey> {
    let environments = [None, Some(request.environment.clone())];
    let people = [None, Some(request.requested_by.clone())];
    let services: Vec<_> = [None].into_iter().chain(request.services.iter().cloned().map(Some)).collect();
    let mut entries = BTreeSet::new();
    for environment in environments {
        for requested_by in &people {
            for service in &services {
                let (requested_by, service) = (requested_by.clone(), service.clone());
                let facet = Facet { environment: environment.clone(), requested_by, service };
                entries.insert(((facet, request.status), request.id.clone()));
            }
        }
    }
    entries
}

/// Is there access now, or will there be once the secret is taken?
fn lives(request: &AccessRequest) -> bool {
    matches!(request.status, Status::Approved | Status::Active)
}

/// Access that lived by `before` lives by `now`.
fn live_by<I: Key + PartialEq>(
    writer: &mut Writer,
    table: &Table<(I, AccessRequestId), EnvironmentId>,
    before: Option<I>,
    now: Option<I>,
    request: &AccessRequest,
) -> Result<(), Error> {
    if before == now {
        return Ok(());
    }
    if let Some(id) = before {
        writer.remove(table, &(id, request.id.clone()))?;
    }
    if let Some(id) = now {
        writer.put(table, &(id, request.id.clone()), &request.environment)?;
    }
    Ok(())
}

fn count(writer: &mut Writer, environment: &EnvironmentId, change: impl Fn(u64) -> u64) -> Result<(), Error> {
    match change(writer.find(&PENDING, environment)?.unwrap_or(0)) {
        0 => writer.remove(&PENDING, environment).map(drop),
        count => writer.put(&PENDING, environment, &count),
    }
}

impl Key for Facet {
    fn encode(&self, out: &mut Vec<u8>) {
        self.environment.encode(out);
        self.requested_by.encode(out);
        self.service.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { environment: Key::decode(bytes)?, requested_by: Key::decode(bytes)?, service: Key::decode(bytes)? })
    }
}

/// The number that stands for a status on disk: never changed.
impl Key for Status {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Pending => 1,
            Self::Approved => 2,
            Self::Active => 3,
            Self::Denied => 4,
            Self::Withdrawn => 5,
            Self::Revoked => 6,
            Self::Expired => 7,
            Self::Archived => 8,
        });
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(match bytes.split_off_first()? {
            1 => Self::Pending,
            2 => Self::Approved,
            3 => Self::Active,
            4 => Self::Denied,
            5 => Self::Withdrawn,
            6 => Self::Revoked,
            7 => Self::Expired,
            8 => Self::Archived,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{MasterKey, Order, Reader, Span, Store},
        *,
    };
    use crate::model::CloudId;

    fn request(id: u64, environment: &str, who: &str, services: &[&str]) -> AccessRequest {
        AccessRequest {
            id: AccessRequestId::new(format!("r-{id}")).unwrap(),
            environment: EnvironmentId::new(environment).unwrap(),
            cloud: CloudId::aws(),
            services: services.iter().map(|id| ServiceId::new(id).unwrap()).collect(),
            status: Status::Pending,
            requested_by: UserName::new(who).unwrap(),
            justification: "tables".into(),
            duration_seconds: None,
            requested_policy_group: None,
            created_at: Timestamp::from_millis(0),
            decided_by: None,
            decided_at: None,
            decision_comment: None,
            credential: None,
            policy_group: None,
            expires_at: None,
            allow_credential_operations: Vec::new(),
            version: 1,
        }
    }

    fn ids(reader: &Reader, facet: &Facet, status: Status) -> Vec<String> {
        let found = reader.all(&ACCESS_REQUEST_INDEX, &Span::of(&(facet.clone(), status)), Order::Ascending).unwrap();
        found.into_iter().map(|((_, id), ())| id.to_string()).collect()
    }

    #[test]
    fn a_request_is_found_by_all_that_it_is_and_by_nothing_that_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let key = MasterKey::from_bytes(&[7; 32]).unwrap();
        let store = Store::open(&directory.path().join("csg.redb"), &key).unwrap();
        let mut first = request(1, "dev", "dora", &["dynamodb", "sns"]);
        let second = request(2, "dev", "dan", &["sns"]);
        // Names that begin alike are told apart.
        let third = request(3, "dev-2", "dora", &["sns"]);
        let all = |tx: &mut Writer| [&first, &second, &third].into_iter().try_for_each(|request| put(tx, request));
        store.transact(all).unwrap();
        let of = |environment: &str, who: &str, service: &str| Facet {
            environment: EnvironmentId::new(environment).ok(),
            requested_by: UserName::new(who).ok(),
            service: ServiceId::new(service).ok(),
        };
        let reader = store.read().unwrap();
        for (facet, found) in [
            (of("", "", ""), &["r-1", "r-2", "r-3"][..]),
            (of("dev", "", ""), &["r-1", "r-2"]),
            (of("", "dora", ""), &["r-1", "r-3"]),
            (of("", "", "sns"), &["r-1", "r-2", "r-3"]),
            (of("dev", "dora", ""), &["r-1"]),
            (of("dev", "", "sns"), &["r-1", "r-2"]),
            (of("", "dora", "dynamodb"), &["r-1"]),
            (of("dev", "dan", "sns"), &["r-2"]),
            (of("dev", "dan", "dynamodb"), &[]),
        ] {
            assert_eq!(ids(&reader, &facet, Status::Pending), found, "{facet:?}");
        }
        let dev = EnvironmentId::new("dev").unwrap();
        assert_eq!(reader.find(&PENDING, &dev).unwrap(), Some(2));

        let credential = CredentialId::new("c-1").unwrap();
        (first.status, first.credential) = (Status::Active, Some(credential.clone()));
        store.transact(|tx| put(tx, &first)).unwrap();
        let reader = store.read().unwrap();
        for facet in [of("", "", ""), of("dev", "", "sns"), of("dev", "dora", "dynamodb")] {
            assert!(!ids(&reader, &facet, Status::Pending).contains(&"r-1".to_owned()), "{facet:?}");
            assert_eq!(ids(&reader, &facet, Status::Active), ["r-1"], "{facet:?}");
        }
        assert_eq!(reader.find(&PENDING, &dev).unwrap(), Some(1));
        let living = (credential.clone(), first.id.clone());
        assert_eq!(reader.find(&LIVING_BY_CREDENTIAL, &living).unwrap(), Some(dev.clone()));

        first.status = Status::Revoked;
        let denied = AccessRequest { status: Status::Denied, ..second };
        store.transact(|tx| put(tx, &first).and_then(|()| put(tx, &denied))).unwrap();
        let reader = store.read().unwrap();
        assert_eq!(reader.find(&LIVING_BY_CREDENTIAL, &living).unwrap(), None);
        assert_eq!(reader.find(&PENDING, &dev).unwrap(), None);
    }

    #[test]
    fn a_status_is_read_as_it_was_written_and_sorts_as_it_does() {
        let codes = Status::ALL.map(|status| super::super::super::codec::encode(&status));
        assert!(codes.is_sorted());
        for (status, code) in Status::ALL.into_iter().zip(codes) {
            assert_eq!(Status::decode(&mut code.as_slice()), Some(status));
        }
        assert_eq!(Status::decode(&mut [0].as_slice()), None);
    }
}

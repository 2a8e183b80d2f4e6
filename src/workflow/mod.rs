//! The use cases: submit, decide, reveal, rotate, revoke, expire, administer. The only writer of the store.
//!
//! Whoever wants something proves who they are ([`Workflow::caller`]) and then asks the [`Caller`] for a handle
//! ([`Caller::approver`], [`Caller::administrator`], …): it exists only if the permission does, and it has the methods.
//! The permission is looked at once more inside the transaction, so that a role taken away a moment ago counts.
//!
//! A change and the [`WorkflowEvent`](crate::model::WorkflowEvent) that tells of it are one commit, and the
//! [`Snapshot`](crate::model::Snapshot) that the data plane reads is published in the order of the commits.
//!
//! Everything here blocks: on the disk, and on password hashing. Call it from a thread that may.

mod account;
mod auditor;
mod authority;
mod caller;
mod check;
mod credentials;
mod duration;
mod environments;
mod error;
mod expire;
mod grants;
mod half_session;
mod local;
mod news;
mod origin;
mod page;
mod password;
mod people;
mod policies;
mod random;
mod requests;
mod roles;
mod second_factor;
mod set_up;
mod settings;
mod sign_in;
mod state;
mod throttle;
mod tokens;
mod transaction;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

pub use account::OwnSession;
pub use auditor::{Auditor, EventFilter};
pub use authority::StoredAuthority;
pub use caller::{Caller, Scope};
pub use check::Checker;
pub use credentials::{CredentialAdministrator, CredentialChange, NewCredential, NewKeys};
pub use duration::{DurationError, parse_duration};
pub use environments::{EnvironmentAdministrator, EnvironmentChange, EnvironmentView, NewEnvironment};
pub use error::{Error, FieldError};
pub use half_session::Token as HalfSession;
pub use news::News;
pub use origin::Origin;
pub use page::{Page, PageRequest};
pub use people::{Administrator, NewUser, UserChange};
pub use policies::{NewPolicy, NewPolicyGroup, PolicyAdministrator, PolicyGroupView};
pub use requests::{
    AccessRequestView, Approval, Approver, Attach, KeyView, NamedGroup, NewAccessRequest, Owner, RequestFilter,
    RequestGroups, Requester, Revealed,
};
pub use roles::USUAL_SESSION;
pub use second_factor::{Enrolment, SecondFactorView};
pub use set_up::FirstLink;
pub use sign_in::{Begun, SignedIn};
pub use state::StateSummary;
pub use tokens::{ApiToken, NewApiToken};

pub use crate::store::tables::settings::Settings;
use crate::{
    clock::Clock,
    model::{CloudId, Publisher, ServiceId, Subscriber, UserName},
    store::{Reader, Store},
};
use transaction::Transaction;

/// The services that can be asked for, by cloud.
pub type KnownServices = BTreeMap<CloudId, BTreeSet<ServiceId>>;

/// The use cases. Clones share everything.
#[derive(Clone)]
pub struct Workflow(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    services: KnownServices,
    publisher: Publisher,
    /// Held from the beginning of a transaction until its snapshot is published, so that they come in commit order.
    in_order: Mutex<()>,
    passwords: password::Passwords,
    throttle: throttle::Throttle,
    check: check::Check,
    half_sessions: half_session::HalfSessions,
}

impl std::fmt::Debug for Workflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workflow").field("store", &self.0.store).finish_non_exhaustive()
    }
}

impl Workflow {
    /// Opens the use cases over `store`: ends what is due and publishes all grants.
    pub fn open(store: Store, clock: Clock, services: KnownServices, publisher: Publisher) -> Result<Self, Error> {
        let workflow = Self(Arc::new(Inner {
            store,
            clock,
            services,
            publisher,
            in_order: Mutex::new(()),
            passwords: password::Passwords::default(),
            throttle: throttle::Throttle::default(),
            check: check::Check::default(),
            half_sessions: half_session::HalfSessions::default(),
        }));
        let before = workflow.0.publisher.current();
        let all = grants::all(&workflow.read()?, workflow.0.store.sealer(), workflow.0.clock.now(), &before)?;
        workflow.0.publisher.publish(all);
        workflow.expire_due()?;
        Ok(workflow)
    }

    /// Closes the store, so that another process can open it; the snapshot that was published last stays. Comes back if
    /// somebody else still has a part of it.
    pub fn close(self) -> Result<(), Self> {
        let inner = Arc::try_unwrap(self.0).map_err(Self)?;
        // A clone of the store is nobody's but the workflow's.
        drop(inner.store);
        Ok(())
    }

    /// The store, for a backup of all that is in it.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The snapshots that are published from now on, and the one that is there.
    pub fn subscribe(&self) -> Subscriber {
        self.0.publisher.subscribe()
    }

    /// Tells of every commit: then [`Workflow::next_expiry`] may be another.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.store.watch()
    }

    /// The time, as the use cases see it.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn read(&self) -> Result<Reader, Error> {
        Ok(self.0.store.read()?)
    }

    /// Commits what `work` writes, in the name of `actor` or of the appliance itself, and publishes what it changed.
    ///
    /// The new grants are made inside the transaction: once it is committed nothing can fail any more between the
    /// commit and the data plane's knowing of it.
    fn commit<T>(
        &self,
        actor: Option<&UserName>,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let inner = &*self.0;
        let _in_order = inner.in_order.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, published) = (inner.clock.now(), inner.publisher.current());
        let (value, next) = inner.store.transact(|writer| {
            let mut tx = Transaction::new(writer, inner.store.sealer(), now, actor);
            let value = work(&mut tx)?;
            Ok::<_, Error>((value, grants::after(&tx, &published)?))
        })?;
        if let Some(next) = next {
            inner.publisher.publish(next);
        }
        Ok(value)
    }
}

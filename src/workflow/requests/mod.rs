//! Access requests: who sees which, and what they see of it. The steps of their life are in the files beside this one.

mod decide;
mod own;
mod submit;

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

pub use decide::{Approval, Approver};
pub use own::{Owner, Revealed};
pub use submit::{NewAccessRequest, Requester};

use super::{Caller, Error, Page, PageRequest, Transaction, caller::sees_environment, grants, settings};
use crate::{
    clock::Timestamp,
    model::{AccessKeyId, AccessRequest, AccessRequestId, EnvironmentId, Permission, Status, User, UserName},
    store::{
        Order, Read, Reader, Span,
        tables::{
            access_keys::{ACCESS_KEYS, AccessKeyRecord},
            access_requests::ACCESS_REQUESTS,
            environments::ENVIRONMENTS,
        },
    },
};

const LONGEST_TEXT: usize = 4000;

/// Which access requests; all that is given must fit.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// In one of these states; in any if empty.
    pub statuses: BTreeSet<Status>,
    /// In this environment.
    pub environment: Option<EnvironmentId>,
    /// Made by this person.
    pub requested_by: Option<UserName>,
}

/// An access request as it is shown.
#[derive(Clone, Debug)]
pub struct AccessRequestView {
    /// The access request.
    pub request: AccessRequest,
    /// The key to use: the newest whose secret was shown, or else the one that waits for that.
    pub access_key_id: Option<AccessKeyId>,
    /// Is there a secret that the requester can read, once?
    pub secret_available: bool,
    /// All its keys, the oldest first.
    pub keys: Vec<KeyView>,
}

/// One key of an access request as it is shown.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// Its id.
    pub access_key_id: AccessKeyId,
    /// When its id was made.
    pub created_at: Timestamp,
    /// When its secret was shown.
    pub revealed_at: Option<Timestamp>,
    /// When it ends because another has replaced it.
    pub ends_at: Option<Timestamp>,
}

impl Caller {
    /// One access request: the caller's own, or one that they may decide on.
    pub fn access_request(&self, id: &AccessRequestId) -> Result<AccessRequestView, Error> {
        let reader = self.workflow.read()?;
        let request = visible(&reader, &self.user, id)?;
        view(&reader, request, self.workflow.0.clock.now())
    }

    /// Everybody's access requests, the newest first: needs `access_requests.manage`, account-wide.
    pub fn all_access_requests(
        &self,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<AccessRequestView>, Error> {
        self.demand(Permission::AccessRequestsManage, None)?;
        self.list(filter, page)
    }

    /// The access requests of an environment, the newest first: all of them for who may decide there, or the caller's.
    pub fn environment_access_requests(
        &self,
        environment: &EnvironmentId,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<AccessRequestView>, Error> {
        let exists = self.workflow.read()?.find(&ENVIRONMENTS, environment)?.is_some();
        if !exists || !sees_environment(&self.user, environment) {
            return Err(Error::NotFound("environment"));
        }
        self.list(&RequestFilter { environment: Some(environment.clone()), ..filter.clone() }, page)
    }

    /// The access requests that the caller may see, wherever they are, the newest first.
    pub fn access_requests(
        &self,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<AccessRequestView>, Error> {
        self.list(filter, page)
    }

    /// How many access requests wait for a decision that the caller may make.
    pub fn waiting(&self) -> Result<usize, Error> {
        let decides = |held: &crate::model::RoleAssignment| {
            self.user.may(Permission::AccessRequestsManage, held.environment.as_ref())
        };
        if !self.user.roles.iter().any(decides) {
            return Ok(0);
        }
        let reader = self.workflow.read()?;
        let own = settings::read(&reader)?.self_approval;
        let pending = self.workflow.0.waiting.pending(&reader)?;
        let waits = |(environment, by): &&(EnvironmentId, UserName)| {
            (own || *by != self.user.name) && self.user.may(Permission::AccessRequestsManage, Some(environment))
        };
        Ok(pending.iter().filter(waits).count())
    }

    fn list(&self, filter: &RequestFilter, page: &PageRequest) -> Result<Page<AccessRequestView>, Error> {
        let span = page.rest(Span::all(), Order::Descending, |id| AccessRequestId::new(id).ok())?;
        let (reader, now) = (self.workflow.read()?, self.workflow.0.clock.now());
        page.fill(&reader, &ACCESS_REQUESTS, &span, Order::Descending, |request| {
            let fits = (filter.statuses.is_empty() || filter.statuses.contains(&request.status))
                && filter.environment.as_ref().is_none_or(|id| request.environment == *id)
                && filter.requested_by.as_ref().is_none_or(|name| request.requested_by == *name)
                && sees(&self.user, &request);
            fits.then(|| view(&reader, request, now)).transpose()
        })
    }
}

pub(super) fn sees(user: &User, request: &AccessRequest) -> bool {
    user.name == request.requested_by || user.may(Permission::AccessRequestsManage, Some(&request.environment))
}

/// The request, if the person may know of it.
fn visible(read: &impl Read, user: &User, id: &AccessRequestId) -> Result<AccessRequest, Error> {
    let found = read.find(&ACCESS_REQUESTS, id)?.filter(|request| sees(user, request));
    found.ok_or(Error::NotFound("access request"))
}

fn keys(read: &impl Read, id: &AccessRequestId) -> Result<Vec<(AccessKeyId, AccessKeyRecord)>, Error> {
    let keys = read.all(&ACCESS_KEYS, &Span::of(id), Order::Ascending)?;
    let mut keys: Vec<_> = keys.into_iter().map(|((_, id), key)| (id, key)).collect();
    keys.sort_by_key(|(_, key)| key.created_at);
    Ok(keys)
}

/// Where, and by whom, the access requests were made that are not decided. Every page counts them, so they are read once
/// for each version of the store.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Option<(u64, Pending)>>);

type Pending = Arc<[(EnvironmentId, UserName)]>;

impl Waiting {
    fn pending(&self, reader: &Reader) -> Result<Pending, Error> {
        let version = reader.version()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, pending)) = &*known
            && *of == version
        {
            return Ok(Arc::clone(pending));
        }
        let mut pending = Vec::new();
        reader.visit(&ACCESS_REQUESTS, &Span::all(), Order::Ascending, |_, request| {
            if request.status == Status::Pending {
                pending.push((request.environment, request.requested_by));
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        let pending: Pending = pending.into();
        *known = Some((version, Arc::clone(&pending)));
        Ok(pending)
    }
}

fn view(read: &impl Read, request: AccessRequest, now: Timestamp) -> Result<AccessRequestView, Error> {
    let keys = keys(read, &request.id)?;
    let lives =
        matches!(request.status, Status::Approved | Status::Active) && request.expires_at.is_none_or(|end| end > now);
    Ok(AccessRequestView {
        access_key_id: grants::current_key(&keys).cloned(),
        secret_available: lives && keys.iter().any(|(_, key)| key.revealed_at.is_none()),
        keys: keys
            .into_iter()
            .map(|(access_key_id, key)| KeyView {
                access_key_id,
                created_at: key.created_at,
                revealed_at: key.revealed_at,
                ends_at: key.ends_at,
            })
            .collect(),
        request,
    })
}

/// The one way from state to state, once the state machine has said where to.
pub(super) fn move_to(
    tx: &mut Transaction<'_>,
    request: &mut AccessRequest,
    next: Status,
    action: &'static str,
    comment: Option<String>,
) -> Result<(), Error> {
    request.status = next;
    tx.put_request(request)?;
    tx.record_on(request, action, comment)
}

/// Refuses if an undecided or living access request needs something.
pub(super) fn refuse_if_in_use(
    tx: &Transaction<'_>,
    what: &str,
    uses: impl Fn(&AccessRequest) -> bool,
) -> Result<(), Error> {
    let all = tx.writer.all(&ACCESS_REQUESTS, &Span::all(), Order::Ascending)?;
    let lives = |status| matches!(status, Status::Pending | Status::Approved | Status::Active);
    match all.iter().filter(|(_, request)| lives(request.status) && uses(request)).count() {
        0 => Ok(()),
        1 => Err(Error::conflict(format!("the {what} is in use by an access request: end that first"))),
        count => Err(Error::conflict(format!("the {what} is in use by {count} access requests: end those first"))),
    }
}

//! Access requests: who sees which, and what they see of it. The steps of their life are in the files beside this one.

mod decide;
mod list;
mod own;
mod policy_group;
mod submit;

pub use decide::{Approval, Approver};
pub use list::RequestFilter;
pub(super) use list::{
    bound, refuse_if_credential_in_use, refuse_if_environment_in_use, refuse_if_policy_group_in_use,
};
pub use own::{Owner, Revealed};
pub use policy_group::{Attach, NamedGroup, RequestGroups};
pub use submit::{NewAccessRequest, Requester};

use super::{Caller, Error, Transaction, grants};
use crate::{
    clock::Timestamp,
    model::{AccessKeyId, AccessRequest, AccessRequestId, Permission, Status, User},
    store::{
        Order, Read, Span,
        tables::{
            access_keys::{ACCESS_KEYS, AccessKeyRecord},
            access_requests::ACCESS_REQUESTS,
        },
    },
};

const LONGEST_TEXT: usize = 4000;

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

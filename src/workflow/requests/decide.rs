//! What an approver does: approve, deny, revoke, archive.

use std::time::Duration;

use super::{
    super::{Caller, Error, Transaction, caller::demand, error::Checks, expire, random, settings},
    AccessRequestView, Attach, LONGEST_TEXT, move_to, policy_group, view, visible,
};
use crate::{
    clock::Timestamp,
    cloud::credential_operations,
    model::{AccessRequest, AccessRequestId, Action, CredentialId, Permission, PolicyGroup, User},
    store::{
        Read as _,
        tables::{
            access_keys::{ACCESS_KEYS, AccessKeyRecord},
            credentials::CREDENTIALS,
        },
    },
};

/// A yes, and what it comes with.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The real credential: one that is linked to the environment.
    pub credential: CredentialId,
    /// The policy group whose rules the calls must keep.
    pub policy_group: Attach,
    /// When access ends; after the duration that was asked for if none.
    pub expires_at: Option<Timestamp>,
    /// Operations that hand out cloud credentials and are to be allowed all the same, as `service:Operation`.
    pub allow_credential_operations: Vec<String>,
    /// For the requester to read.
    pub comment: Option<String>,
}

/// May decide on an access request.
#[derive(Clone, Debug)]
pub struct Approver<'c> {
    caller: &'c Caller,
    request: AccessRequestId,
}

impl Caller {
    /// The handle for deciding on a request: needs `access_requests.manage` in its environment.
    pub fn approver(&self, request: &AccessRequestId) -> Result<Approver<'_>, Error> {
        let found = visible(&self.workflow.read()?, &self.user, request)?;
        demand(&self.user, Permission::AccessRequestsManage, Some(&found.environment))?;
        Ok(Approver { caller: self, request: found.id })
    }
}

impl Approver<'_> {
    /// Would a yes be taken from them, or is the request their own?
    pub fn may_approve(&self) -> Result<bool, Error> {
        let reader = self.caller.workflow.read()?;
        let request = visible(&reader, &self.caller.user, &self.request)?;
        Ok(request.requested_by != self.caller.user.name || settings::read(&reader)?.self_approval)
    }

    /// Says yes. Of two approvers who decide at once, one gets a conflict.
    pub fn approve(&self, approval: &Approval) -> Result<AccessRequestView, Error> {
        self.act(|tx, me, request| {
            let next = request.status.after(Action::Approve).ok_or(Error::state(request.status))?;
            if request.requested_by == me.name && !settings::read(tx.writer)?.self_approval {
                return Err(Error::NotAllowed("nobody approves their own access request here: ask another approver"));
            }
            let (operations, group) = checked(tx, approval, request)?;
            let after = request.duration_seconds.map(|seconds| tx.now.plus(Duration::from_secs(seconds)));
            request.expires_at = approval.expires_at.or(after);
            request.credential = Some(approval.credential.clone());
            request.policy_group = group.as_ref().map(|group| group.id.clone());
            request.allow_credential_operations = operations;
            decided(request, me, tx.now, approval.comment.as_deref());
            add_key(tx, &request.id, Duration::ZERO)?;
            if let Some(end) = request.expires_at {
                expire::remember(tx, end, &request.id)?;
            }
            let detail = describe(tx, approval, request, group.as_ref())?;
            move_to(tx, request, next, "access_request.approve", Some(detail))
        })
    }

    /// Says no.
    pub fn deny(&self, comment: Option<&str>) -> Result<AccessRequestView, Error> {
        self.step(Action::Deny, "access_request.deny", comment)
    }

    /// Ends access.
    pub fn revoke(&self, comment: Option<&str>) -> Result<AccessRequestView, Error> {
        self.step(Action::Revoke, "access_request.revoke", comment)
    }

    /// Puts the request away; ends access if there is any.
    pub fn archive(&self, comment: Option<&str>) -> Result<AccessRequestView, Error> {
        self.step(Action::Archive, "access_request.archive", comment)
    }

    fn step(&self, action: Action, name: &'static str, comment: Option<&str>) -> Result<AccessRequestView, Error> {
        let mut checks = Checks::default();
        checks.comment(comment, LONGEST_TEXT, "comment");
        checks.done()?;
        self.act(|tx, me, request| {
            let next = request.status.after(action).ok_or(Error::state(request.status))?;
            if action == Action::Deny {
                decided(request, me, tx.now, comment);
            }
            move_to(tx, request, next, name, comment.map(str::to_owned))
        })
    }

    fn act(
        &self,
        mut work: impl FnMut(&mut Transaction<'_>, &User, &mut AccessRequest) -> Result<(), Error>,
    ) -> Result<AccessRequestView, Error> {
        self.caller.act(|tx, me| {
            let mut request = tx.request(&self.request)?;
            demand(me, Permission::AccessRequestsManage, Some(&request.environment))?;
            work(tx, me, &mut request)?;
            view(tx.writer, request, tx.now)
        })
    }
}

/// A new key of a request: its id now, its secret when it is shown, so that nobody has it before.
pub(super) fn add_key(tx: &mut Transaction<'_>, request: &AccessRequestId, overlap: Duration) -> Result<(), Error> {
    let key = AccessKeyRecord {
        created_at: tx.now,
        revealed_at: None,
        secret: None,
        overlap_seconds: overlap.as_secs(),
        ends_at: None,
    };
    Ok(tx.writer.put(&ACCESS_KEYS, &(request.clone(), random::access_key_id()?), &key)?)
}

fn decided(request: &mut AccessRequest, me: &User, now: Timestamp, comment: Option<&str>) {
    request.decided_by = Some(me.name.clone());
    request.decided_at = Some(now);
    request.decision_comment = comment.map(str::to_owned);
}

/// Looks at all that an approval comes with; returns the allowed operations, sorted, and the policy group.
fn checked(
    tx: &Transaction<'_>,
    approval: &Approval,
    request: &AccessRequest,
) -> Result<(Vec<String>, Option<PolicyGroup>), Error> {
    let mut checks = Checks::default();
    let fits = tx.writer.find(&CREDENTIALS, &approval.credential)?.is_some_and(|record| {
        record.credential.cloud == request.cloud && record.credential.environments.contains(&request.environment)
    });
    let rule = format!("must be a credential for {} that is linked to {}", request.cloud, request.environment);
    checks.require(fits, "credential", rule);
    let group = policy_group::attached(tx.writer, &approval.policy_group, request, &mut checks)?;
    checks.require(approval.expires_at.is_none_or(|end| end > tx.now), "expires_at", "must be in the future");
    for operation in &approval.allow_credential_operations {
        if let Err(rule) = hands_out_credentials(request, operation) {
            checks.require(false, "allow_credential_operations", format!("{rule}; not {operation:?}"));
        }
    }
    checks.comment(approval.comment.as_deref(), LONGEST_TEXT, "comment");
    checks.done()?;
    let mut operations = approval.allow_credential_operations.clone();
    operations.sort();
    operations.dedup();
    Ok((operations, group))
}

/// Is `operation` one of a requested service, whose answer would hold cloud credentials? There is no use in allowing
/// any other by name: it is allowed, or does not exist and may come to mean something one day.
fn hands_out_credentials(request: &AccessRequest, operation: &str) -> Result<(), &'static str> {
    let (service, name) = operation.split_once(':').ok_or("must be of the form service:Operation")?;
    let service = request.services.iter().find(|known| known.as_str() == service);
    let service = service.ok_or("must be an operation of a requested service")?;
    let handing = credential_operations(&request.cloud, service).contains(&name);
    if handing { Ok(()) } else { Err("must be an operation that hands out cloud credentials") }
}

fn describe(
    tx: &Transaction<'_>,
    approval: &Approval,
    request: &AccessRequest,
    group: Option<&PolicyGroup>,
) -> Result<String, Error> {
    let operations = &request.allow_credential_operations;
    let parts = [
        Some(format!("credential {}", approval.credential)),
        policy_group::describe(tx, request, group)?,
        request.expires_at.map(|end| format!("until {end}")),
        (!operations.is_empty()).then(|| format!("may call {}", operations.join(", "))),
        approval.comment.clone(),
    ];
    Ok(parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

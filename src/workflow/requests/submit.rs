//! Asking for access.

use std::time::Duration;

use super::{
    super::{Caller, Error, caller::demand, error::Checks, random},
    AccessRequestView, LONGEST_TEXT, policy_group, view,
};
use crate::{
    model::{AccessRequest, AccessRequestId, CloudId, EnvironmentId, Permission, PolicyGroupId, ServiceId, Status},
    store::{Read as _, tables::environments::ENVIRONMENTS},
};

/// An access request to be made.
#[derive(Clone, Debug)]
pub struct NewAccessRequest {
    /// The cloud.
    pub cloud: CloudId,
    /// The services.
    pub services: Vec<ServiceId>,
    /// Why.
    pub justification: String,
    /// For how long, from approval; until revoked if none.
    pub duration: Option<Duration>,
    /// The policy group whose rules the calls are to keep, if a certain one is wished for; whoever decides may attach
    /// another, or none.
    pub policy_group: Option<PolicyGroupId>,
}

/// May ask for access in an environment.
#[derive(Clone, Debug)]
pub struct Requester<'c> {
    caller: &'c Caller,
    environment: EnvironmentId,
}

impl Caller {
    /// The handle for asking: needs `cloud_services.request` in the environment.
    pub fn requester(&self, environment: &EnvironmentId) -> Result<Requester<'_>, Error> {
        self.demand(Permission::CloudServicesRequest, Some(environment))?;
        Ok(Requester { caller: self, environment: environment.clone() })
    }
}

impl Requester<'_> {
    /// Asks for access.
    pub fn submit(&self, new: &NewAccessRequest) -> Result<AccessRequestView, Error> {
        let mut services = new.services.clone();
        services.sort();
        services.dedup();
        let mut checks = Checks::default();
        match self.caller.workflow.0.services.get(&new.cloud) {
            None => checks.require(false, "cloud", "must be a cloud that this gateway knows"),
            Some(known) => {
                for service in services.iter().filter(|service| !known.contains(*service)) {
                    checks.require(
                        false,
                        "services",
                        format!("must not name {service}: {} has no such service", new.cloud),
                    );
                }
            }
        }
        checks.require(!services.is_empty(), "services", "must not be empty");
        checks.text(&new.justification, LONGEST_TEXT, "justification");
        checks.require(new.duration.is_none_or(|span| span.as_secs() > 0), "duration", "must be more than 0");
        policy_group::wished(&self.caller.workflow.read()?, new.policy_group.as_ref(), &mut checks)?;
        checks.done()?;
        self.caller.act(|tx, me| {
            tx.writer.find(&ENVIRONMENTS, &self.environment)?.ok_or(Error::NotFound("environment"))?;
            demand(me, Permission::CloudServicesRequest, Some(&self.environment))?;
            // It may have been deleted a moment ago.
            let mut checks = Checks::default();
            let group = policy_group::wished(tx.writer, new.policy_group.as_ref(), &mut checks)?;
            checks.done()?;
            let mut request = AccessRequest {
                id: AccessRequestId::new(random::id(tx.now)?).map_err(|_| Error::Random)?,
                environment: self.environment.clone(),
                cloud: new.cloud.clone(),
                services: services.clone(),
                status: Status::Pending,
                requested_by: me.name.clone(),
                justification: new.justification.clone(),
                duration_seconds: new.duration.map(|span| span.as_secs()),
                requested_policy_group: new.policy_group.clone(),
                created_at: tx.now,
                decided_by: None,
                decided_at: None,
                decision_comment: None,
                credential: None,
                policy_group: None,
                expires_at: None,
                allow_credential_operations: Vec::new(),
                version: 0,
            };
            tx.put_request(&mut request)?;
            let detail = policy_group::describe_wish(&request, group.as_ref());
            tx.record_on(&request, "access_request.submit", Some(detail))?;
            view(tx.writer, request, tx.now)
        })
    }
}

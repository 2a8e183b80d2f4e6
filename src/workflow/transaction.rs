//! What a use case writes with: the store's writer, the audit trail, and a list of what the data plane must be told.

use super::{Error, random};
use crate::{
    clock::Timestamp,
    model::{
        AccessRequest, AccessRequestId, CredentialId, EnvironmentId, PolicyGroupId, User, UserName, WorkflowEvent,
    },
    store::{
        Read as _, Sealer, Writer,
        tables::{
            access_requests::{self, ACCESS_REQUESTS},
            events::{EVENTS, EVENTS_BY_REQUEST},
            users::USERS,
        },
    },
};

/// Something that grants are made from, and that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    Credential(CredentialId),
    Environment(EnvironmentId),
    PolicyGroup(PolicyGroupId),
    Request(AccessRequestId),
    User(UserName),
}

/// An act, before it has a time and an id.
#[derive(Default)]
pub(super) struct Act {
    pub(super) action: &'static str,
    pub(super) subject: String,
    pub(super) request: Option<AccessRequestId>,
    pub(super) environment: Option<EnvironmentId>,
    pub(super) detail: Option<String>,
}

pub(super) struct Transaction<'w> {
    pub(super) writer: &'w mut Writer,
    pub(super) sealer: &'w Sealer,
    pub(super) now: Timestamp,
    pub(super) touched: Vec<Touched>,
    actor: Option<&'w UserName>,
    events: u32,
}

impl<'w> Transaction<'w> {
    pub(super) fn new(writer: &'w mut Writer, sealer: &'w Sealer, now: Timestamp, actor: Option<&'w UserName>) -> Self {
        Self { writer, sealer, now, touched: Vec::new(), actor, events: 0 }
    }

    /// Writes down who did what.
    pub(super) fn record(&mut self, act: Act) -> Result<(), Error> {
        let id = random::event_id(self.now, self.writer.version(), self.events);
        self.events += 1;
        if let Some(request) = &act.request {
            self.writer.put(&EVENTS_BY_REQUEST, &(request.clone(), id.clone()), &())?;
        }
        let event = WorkflowEvent {
            at: self.now,
            id: id.clone(),
            actor: self.actor.cloned(),
            action: act.action.into(),
            subject: act.subject,
            request: act.request,
            environment: act.environment,
            detail: act.detail,
        };
        Ok(self.writer.put(&EVENTS, &id, &event)?)
    }

    pub(super) fn record_on(
        &mut self,
        request: &AccessRequest,
        action: &'static str,
        detail: Option<String>,
    ) -> Result<(), Error> {
        self.record(Act {
            action,
            subject: request.id.to_string(),
            request: Some(request.id.clone()),
            environment: Some(request.environment.clone()),
            detail,
        })
    }

    pub(super) fn user(&self, name: &UserName) -> Result<Option<User>, Error> {
        Ok(self.writer.find(&USERS, name)?.map(|record| record.user))
    }

    pub(super) fn request(&self, id: &AccessRequestId) -> Result<AccessRequest, Error> {
        self.writer.find(&ACCESS_REQUESTS, id)?.ok_or(Error::NotFound("access request"))
    }

    /// Keeps the changed request where it is found by what it is, counts the change, and has its grants made anew.
    pub(super) fn put_request(&mut self, request: &mut AccessRequest) -> Result<(), Error> {
        request.version += 1;
        access_requests::put(self.writer, request)?;
        self.touched.push(Touched::Request(request.id.clone()));
        Ok(())
    }
}

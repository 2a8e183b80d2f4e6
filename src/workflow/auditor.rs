//! The trail of what people did.

use super::{Caller, Error, Page, PageRequest, random};
use crate::{
    clock::Timestamp,
    model::{AccessRequestId, EnvironmentId, Permission, UserName, WorkflowEvent},
    store::{
        Order, Read as _, Span,
        tables::events::{EVENTS, EVENTS_BY_REQUEST},
    },
};

/// Which events; all that is given must fit.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// At this moment or later.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// About this access request.
    pub request: Option<AccessRequestId>,
    /// By this person, or about them.
    pub user: Option<UserName>,
    /// In this environment.
    pub environment: Option<EnvironmentId>,
}

/// May read the audit trail: everywhere, or in one environment.
#[derive(Clone, Debug)]
pub struct Auditor<'c> {
    caller: &'c Caller,
    scope: Option<EnvironmentId>,
}

impl Caller {
    /// The handle for the audit trail: needs `audit.read`, in `scope` or account-wide.
    pub fn auditor(&self, scope: Option<&EnvironmentId>) -> Result<Auditor<'_>, Error> {
        self.demand(Permission::AuditRead, scope)?;
        Ok(Auditor { caller: self, scope: scope.cloned() })
    }

    /// Whose use of an environment the caller may see: everybody's, for who decides or audits there, or their own.
    pub fn whose_use(&self, environment: &EnvironmentId) -> Result<Option<UserName>, Error> {
        self.environment(environment)?;
        let everybodys = [Permission::AccessRequestsManage, Permission::AuditRead];
        let may = everybodys.into_iter().any(|permission| self.may(permission, Some(environment)));
        Ok((!may).then(|| self.user.name.clone()))
    }

    /// What happened to an access request that the caller may see, the oldest first.
    pub fn history(&self, id: &AccessRequestId) -> Result<Vec<WorkflowEvent>, Error> {
        self.access_request(id)?;
        let reader = self.workflow.read()?;
        let index = reader.all(&EVENTS_BY_REQUEST, &Span::of(id), Order::Ascending)?;
        let events = index.into_iter().filter_map(|((_, event), ())| reader.find(&EVENTS, &event).transpose());
        Ok(events.collect::<Result<_, _>>()?)
    }
}

impl Auditor<'_> {
    /// The environment it is limited to; everywhere if none.
    pub fn scope(&self) -> Option<&EnvironmentId> {
        self.scope.as_ref()
    }

    /// Events, the newest first.
    pub fn events(&self, filter: &EventFilter, page: &PageRequest) -> Result<Page<WorkflowEvent>, Error> {
        let mut span = Span::all();
        if let Some(from) = filter.from {
            span = span.after(&random::event_id_bound(from));
        }
        if let Some(to) = filter.to {
            span = span.before(&random::event_id_bound(to));
        }
        // A cursor is always before `to`, where the page before it ended.
        let span = page.rest(span, Order::Descending, |id| (!id.contains('\0')).then(|| id.to_owned()))?;
        let reader = self.caller.workflow.read()?;
        page.fill(&reader, &EVENTS, &span, Order::Descending, |event| {
            let by = |name: &UserName| event.actor.as_ref() == Some(name) || event.subject == name.as_str();
            let fits = filter.request.as_ref().is_none_or(|id| event.request.as_ref() == Some(id))
                && filter.user.as_ref().is_none_or(by)
                && [&filter.environment, &self.scope]
                    .into_iter()
                    .flatten()
                    .all(|id| event.environment.as_ref() == Some(id));
            Ok(fits.then_some(event))
        })
    }
}

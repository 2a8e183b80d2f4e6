//! How an environment is used: by day, by service, by whom. Everybody's, or the visitor's own.

use askama::Template;
use axum::response::Response;

use super::{
    chart::Bars,
    frame::{self, Frame},
    usage::{bytes, chart},
    visitor::Visitor,
    words::{Chip, When, number, service_name, services},
};
use crate::{
    audit::{DayUse, RequestUse, Tally},
    console::{api::usage::Days, error::Problem, extract::Id},
    model::{AccessRequest, EnvironmentId, Permission},
};

/// Of people and access requests, so many have a row: those with the most calls.
const SHOWN: usize = 20;

#[derive(Template)]
#[template(path = "environment_usage.html")]
struct EnvironmentUsage {
    frame: Frame,
    name: String,
    cloud_services: String,
    /// The calls behind it, for who may read the audit log here.
    audit: Option<String>,
    may_request: bool,
    everybodys: bool,
    total: Counted,
    chart: Bars,
    services: Vec<(String, Counted)>,
    people: Vec<(String, Counted)>,
    requests: Vec<Used>,
    days: Vec<(String, Counted)>,
}

/// What was counted, in words.
struct Counted {
    calls: String,
    errors: String,
    bytes: String,
    last: Option<When>,
}

/// An access request that was used, with what the visitor may know of it.
struct Used {
    id: String,
    known: Option<(String, Chip)>,
    who: String,
    counted: Counted,
}

impl Counted {
    fn new(visitor: &Visitor, tally: &Tally) -> Self {
        Self {
            calls: number(tally.calls),
            errors: number(tally.errors),
            bytes: bytes(tally.bytes_in.saturating_add(tally.bytes_out)),
            last: tally.last_used_at.map(|at| visitor.when(at)),
        }
    }
}

pub(crate) async fn show(visitor: Visitor, Id(id): Id<EnvironmentId>) -> Result<Response, Problem> {
    let (audit, from) = (visitor.state.audit.clone(), Days::default().begin(visitor.now));
    let read = {
        let id = id.clone();
        visitor.session.clone().try_run(move |caller| {
            let whose = caller.whose_use(&id)?;
            let mut used = audit.environment_use(&id, whose.as_ref(), from)?;
            used.by_access_request.truncate(SHOWN);
            // An auditor sees that it was used, and not what was asked for.
            let known = used.by_access_request.iter();
            let known: Vec<_> = known.map(|used| caller.access_request(&used.request).ok()).collect();
            Ok((caller.environment(&id)?.environment, whose.is_none(), used, known))
        })
    };
    let (environment, everybodys, used, known) = read.await?;
    let counted = |tally: &Tally| Counted::new(&visitor, tally);
    let service = |id: &Option<_>| id.as_ref().map_or("Not recognised", service_name).to_owned();
    let row = |used: &RequestUse, request: Option<&AccessRequest>| Used {
        id: used.request.to_string(),
        known: request.map(|request| (services(request), Chip(request.status))),
        who: used.user.to_string(),
        counted: counted(&used.tally),
    };
    Ok(visitor.page(&EnvironmentUsage {
        frame: visitor.frame(),
        name: environment.name,
        cloud_services: frame::cloud_services(&id),
        audit: visitor.may(Permission::AuditRead, Some(&id)).then(|| format!("/audit?environment={id}")),
        may_request: visitor.may(Permission::CloudServicesRequest, Some(&id)),
        everybodys,
        total: counted(&used.total),
        chart: chart(&used.by_day, visitor.now),
        services: used.by_service.iter().map(|used| (service(&used.service), counted(&used.tally))).collect(),
        people: used.by_person.iter().take(SHOWN).map(|used| (used.user.to_string(), counted(&used.tally))).collect(),
        requests: used
            .by_access_request
            .iter()
            .zip(&known)
            .map(|(used, view)| row(used, view.as_ref().map(|view| &view.request)))
            .collect(),
        days: used.by_day.iter().rev().map(|DayUse { day, tally }| (day.clone(), counted(tally))).collect(),
    }))
}

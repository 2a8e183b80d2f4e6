//! An environment's Cloud Services: what one may use there, what waits, what has been.

use askama::Template;
use axum::{extract::State as FromState, response::Response};

use super::{
    frame::{self, Frame},
    line::Line,
    visitor::Visitor,
    words::When,
};
use crate::{
    console::{State, error::Problem, extract::Id},
    model::{EnvironmentId, Permission, Status},
    workflow::{AccessRequestView, PageRequest, RequestFilter},
};

/// More than most people have at a time; the older ones are a page further.
const LIVING: usize = 50;
const EARLIER: usize = 25;

#[derive(Template)]
#[template(path = "cloud_services.html")]
struct CloudServices {
    frame: Frame,
    id: EnvironmentId,
    name: String,
    may_request: bool,
    /// Does the list show everybody's?
    everybodys: bool,
    waiting: Vec<Row>,
    living: Vec<Row>,
    earlier: Vec<Row>,
    /// Where the list of what waits and lives goes on.
    more: Option<String>,
    next: Option<String>,
    here: String,
    is_first_page: bool,
}

/// A line of a list of access requests.
struct Row {
    line: Line,
    status: Status,
    until: Option<When>,
    secret_waits: bool,
}

impl Row {
    fn new(visitor: &Visitor, view: &AccessRequestView) -> Self {
        let request = &view.request;
        Self {
            line: Line::new(visitor, request),
            status: request.status,
            until: request.expires_at.map(|at| visitor.when(at)),
            secret_waits: view.secret_available,
        }
    }
}

#[derive(serde::Deserialize)]
pub(crate) struct Query {
    /// Behind this one of those that wait and live.
    living: Option<String>,
    /// Behind this one of those that are over.
    after: Option<String>,
}

pub(crate) async fn show(
    visitor: Visitor,
    FromState(_): FromState<State>,
    Id(id): Id<EnvironmentId>,
    crate::console::extract::Query(query): crate::console::extract::Query<Query>,
) -> Result<Response, Problem> {
    let is_first_page = query.after.is_none() && query.living.is_none();
    let (environment, living, earlier) = {
        let id = id.clone();
        let lists = visitor.run(move |caller| {
            let of = |statuses: &[Status], limit, cursor| {
                let filter = RequestFilter { statuses: statuses.iter().copied().collect(), ..RequestFilter::default() };
                caller.environment_access_requests(&id, &filter, &PageRequest { limit, cursor })
            };
            let living = of(&[Status::Pending, Status::Approved, Status::Active], LIVING, query.living)?;
            let over = [Status::Denied, Status::Withdrawn, Status::Revoked, Status::Expired, Status::Archived];
            Ok((caller.environment(&id)?.environment, living, of(&over, EARLIER, query.after)?))
        });
        lists.await?
    };
    let rows = |views: &[AccessRequestView]| views.iter().map(|view| Row::new(&visitor, view)).collect::<Vec<_>>();
    let here = frame::cloud_services(&id);
    let more = living.next_cursor.as_ref().map(|cursor| format!("{here}?living={cursor}"));
    let (waiting, living) = rows(&living.items).into_iter().partition(|row| row.status == Status::Pending);
    Ok(visitor.page(&CloudServices {
        frame: visitor.frame(),
        may_request: visitor.may(Permission::CloudServicesRequest, Some(&id)),
        everybodys: visitor.may(Permission::AccessRequestsManage, Some(&id)),
        name: environment.name,
        id,
        waiting,
        living,
        earlier: rows(&earlier.items),
        more,
        next: earlier.next_cursor.map(|cursor| format!("{here}?after={cursor}")),
        here,
        is_first_page,
    }))
}

//! Everybody's access requests, for whoever decides on them: what waits is first, the oldest before all.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    form::Fields,
    frame::Frame,
    line::Line,
    visitor::Visitor,
    words::{self, When},
};
use crate::{
    console::error::{Problem, capital},
    model::{EnvironmentId, Permission, ServiceId, Status, UserName},
    workflow::{AccessRequestView, PageRequest, RequestFilter},
};

/// The address of the list.
pub(crate) const LIST: &str = "/access-requests";
/// So many on a page; together they can be chosen for one act.
pub(super) const ON_A_PAGE: usize = 40;

#[derive(Template)]
#[template(path = "access_requests.html")]
struct AccessRequests {
    frame: Frame,
    waiting: usize,
    pending: Vec<Row>,
    decided: Vec<Row>,
    form: FilterForm,
    next: Option<String>,
    is_first_page: bool,
}

/// A line of the list.
struct Row {
    line: Line,
    justification: String,
    /// `30 days`, of one that waits.
    wanted: String,
    until: Option<When>,
    lives: bool,
}

/// What the list is narrowed to, as it was chosen.
struct FilterForm {
    statuses: Vec<Choice>,
    environments: Vec<Choice>,
    service: String,
    person: String,
    person_error: Option<String>,
    is_set: bool,
}

struct Choice {
    value: String,
    label: String,
    picked: bool,
}

pub(crate) async fn show(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri);
    let cursor = fields.optional("after").map(str::to_owned);
    let is_first_page = cursor.is_none();
    let filter = read(&fields);
    let page = visitor.run(move |caller| {
        // Who may not look at the list is told so, whatever they ask for.
        let Some(filter) = filter else {
            let none = PageRequest { limit: 1, cursor: None };
            return caller.access_request_queue(&RequestFilter::default(), &none).map(|_| None);
        };
        caller.access_request_queue(&filter, &PageRequest { limit: ON_A_PAGE, cursor }).map(Some)
    });
    let (views, next) = page.await?.map_or_else(Default::default, |page| (page.items, page.next_cursor));
    let rows = views.iter().map(|view| Row::new(&visitor, view));
    let (pending, decided) = rows.partition(|row| row.line.chip.0 == Status::Pending);
    Ok(visitor.page(&AccessRequests {
        frame: visitor.frame().at(LIST),
        waiting: visitor.waiting,
        pending,
        decided,
        form: FilterForm::new(&visitor, &fields),
        next: next.map(|next| format!("{LIST}?{}", fields.filters(&FILTERS, Some(&next)))),
        is_first_page,
    }))
}

/// None if something is named that there can't be: then nothing fits.
fn read(fields: &Fields) -> Option<RequestFilter> {
    let known = |name: &str| Status::ALL.into_iter().find(|status| status.name() == name);
    let status = match fields.optional("status") {
        Some(name) => Some(known(name)?),
        None => None,
    };
    Some(RequestFilter {
        statuses: status.into_iter().collect(),
        environment: fields.optional("environment").map(EnvironmentId::new).transpose().ok()?,
        requested_by: fields.optional("requested_by").map(UserName::new).transpose().ok()?,
        service: fields.optional("service").map(ServiceId::new).transpose().ok()?,
    })
}

const FILTERS: [&str; 4] = ["status", "environment", "requested_by", "service"];

impl Row {
    fn new(visitor: &Visitor, view: &AccessRequestView) -> Self {
        let request = &view.request;
        let waits = request.status == Status::Pending;
        let lives = matches!(request.status, Status::Approved | Status::Active);
        let mut line = Line::new(visitor, request);
        if waits {
            line.href = decide(&request.id);
        }
        Self {
            line,
            justification: words::beginning(&request.justification),
            wanted: words::wanted(request),
            // What was ended before its time does not end then.
            until: request.expires_at.filter(|_| lives || request.status == Status::Expired).map(|at| visitor.when(at)),
            lives,
        }
    }
}

/// The page on which a request is decided.
pub(super) fn decide(id: &crate::model::AccessRequestId) -> String {
    format!("{LIST}/{id}/decide")
}

impl FilterForm {
    fn new(visitor: &Visitor, fields: &Fields) -> Self {
        let choice = |field: &str, value: &str, label: &str| Choice {
            picked: fields.text(field) == value,
            value: value.to_owned(),
            label: label.to_owned(),
        };
        let decides = |id: &EnvironmentId| visitor.may(Permission::AccessRequestsManage, Some(id));
        let environments = visitor.environments.iter().filter(|known| decides(&known.id));
        let mut environments: Vec<_> =
            environments.map(|known| choice("environment", known.id.as_str(), &known.name)).collect();
        // One that the switcher has no room for can come in by a link.
        if let Some(other) = fields.optional("environment").filter(|_| !environments.iter().any(|known| known.picked)) {
            environments.push(choice("environment", other, other));
        }
        let person = fields.optional("requested_by");
        let statuses = Status::ALL.map(|status| choice("status", status.name(), words::status_word(status)));
        Self {
            statuses: statuses.into(),
            environments,
            service: fields.text("service").to_owned(),
            person: person.unwrap_or_default().to_owned(),
            person_error: person.and_then(|name| UserName::new(name).err()).map(|error| capital(&error.to_string())),
            is_set: FILTERS.iter().any(|name| fields.optional(name).is_some()),
        }
    }
}

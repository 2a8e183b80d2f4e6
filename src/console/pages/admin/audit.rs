//! The audit log: what cloud clients called and what people did, as one list, newest first.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{PAGE, Wrong, wrong::id};
use crate::{
    clock::Timestamp,
    console::{
        api::{
            audit::{Entry, FLUSH, Question},
            list::Limit,
        },
        error::Problem,
        pages::{
            form::Fields,
            frame::Frame,
            visitor::Visitor,
            words::{When, service_name},
        },
    },
    model::{AccessRequestId, CallRecord, EnvironmentId, Outcome, Permission, ServiceId, UserName, WorkflowEvent},
    workflow::{Error, FieldError},
};

/// The fields of the filter, in the order of the form.
const FIELDS: [&str; 8] = ["from", "to", "user", "environment", "request", "service", "operation", "outcome"];

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct Audit {
    frame: Frame,
    filter: Filter,
    /// Is anything filtered at all?
    filtered: bool,
    /// May everything be seen, or only what was in one environment?
    everywhere: bool,
    environments: Vec<(String, String)>,
    outcomes: [Outcome; 4],
    rows: Vec<Row>,
    /// The filter as a query, for the exports.
    query: String,
    /// The address of the next page.
    next: Option<String>,
    first: String,
    is_first_page: bool,
    wrong: Wrong,
}

impl Audit {
    /// The end of an id, which tells it from others: its beginning is the time.
    fn tail(id: &str) -> &str {
        id.get(id.len().saturating_sub(6)..).unwrap_or(id)
    }
}

/// The filter as it was typed.
#[derive(Default)]
struct Filter {
    from: String,
    to: String,
    user: String,
    environment: String,
    request: String,
    service: String,
    operation: String,
    outcome: String,
}

/// A line of the log.
struct Row {
    at: When,
    who: String,
    what: String,
    detail: String,
    outcome: Option<Outcome>,
    status: u16,
    environment: String,
    request: Option<String>,
}

pub(crate) async fn show(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri);
    let cursor = fields.optional("after").map(str::to_owned);
    let is_first_page = cursor.is_none();
    let (question, wrong) = match question(&visitor, &fields) {
        Ok(question) => (Some(Question { limit: Limit(PAGE), cursor, ..question }), Wrong::default()),
        Err(wrong) => (None, wrong),
    };
    let reader = visitor.state.audit.clone();
    let bad = question.is_none();
    let page = visitor.session.clone().try_run(move |caller| {
        // Who may not read is told that, and nothing of the filter.
        if !caller.scopes().iter().any(|scope| scope.permissions.contains(&Permission::AuditRead)) {
            caller.auditor(None)?;
        }
        reader.flush(FLUSH);
        question.map(|question| question.page(&reader, caller)).transpose()
    });
    let page = page.await?;
    let (items, next) = page.map_or_else(|| (Vec::new(), None), |page| (page.items, page.next_cursor));
    let query = fields.filters(&FIELDS, None);
    let text = |name: &str| fields.text(name).to_owned();
    let everywhere = visitor.may(Permission::AuditRead, None);
    let environment = place(&visitor, &fields).map_or_else(String::new, |id| id.to_string());
    let template = Audit {
        frame: visitor.frame(),
        filtered: FIELDS.iter().any(|name| !fields.text(name).is_empty()),
        filter: Filter {
            from: text("from"),
            to: text("to"),
            user: text("user"),
            environment,
            request: text("request"),
            service: text("service"),
            operation: text("operation"),
            outcome: text("outcome"),
        },
        everywhere,
        environments: visitor
            .environments
            .iter()
            .filter(|known| visitor.may(Permission::AuditRead, Some(&known.id)))
            .map(|known| (known.id.to_string(), known.name.clone()))
            .collect(),
        outcomes: [Outcome::Allowed, Outcome::Refused, Outcome::Failed, Outcome::Cut],
        rows: items.into_iter().map(|entry| Row::new(&visitor, entry)).collect(),
        next: next.map(|cursor| format!("/audit?{}", fields.filters(&FIELDS, Some(&cursor)))),
        first: format!("/audit?{query}"),
        query,
        is_first_page,
        wrong,
    };
    Ok(if bad { visitor.again(&template) } else { visitor.page(&template) })
}

/// The environment that is looked at: whoever may read in some only, reads in the first of them until they pick another.
fn place(visitor: &Visitor, fields: &Fields) -> Option<EnvironmentId> {
    let picked = EnvironmentId::new(fields.text("environment")).ok();
    let first = || {
        let scopes = visitor.caller().scopes().into_iter();
        let mut readable = scopes.filter(|scope| scope.permissions.contains(&Permission::AuditRead));
        readable.next().and_then(|scope| scope.environment)
    };
    if visitor.may(Permission::AuditRead, None) { picked } else { picked.or_else(first) }
}

/// What the filter asks for.
pub(super) fn question(visitor: &Visitor, fields: &Fields) -> Result<Question, Wrong> {
    let mut wrong = Vec::new();
    let asked = Question {
        from: read(&mut wrong, fields, "from", moment),
        to: read(&mut wrong, fields, "to", moment),
        request: read(&mut wrong, fields, "request", |text| id("request", AccessRequestId::new(text))),
        user: read(&mut wrong, fields, "user", |text| id("user", UserName::new(text))),
        environment: read(&mut wrong, fields, "environment", |text| id("environment", EnvironmentId::new(text)))
            .or_else(|| place(visitor, fields)),
        service: read(&mut wrong, fields, "service", |text| id("service", ServiceId::new(text))),
        operation: fields.optional("operation").map(str::to_owned),
        outcome: read(&mut wrong, fields, "outcome", outcome),
        ..Question::default()
    };
    if wrong.is_empty() { Ok(asked) } else { Err(Wrong::new(wrong)) }
}

fn read<T>(
    wrong: &mut Vec<FieldError>,
    fields: &Fields,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, Error>,
) -> Option<T> {
    match parse(fields.optional(name)?) {
        Ok(value) => Some(value),
        Err(Error::Invalid(errors)) => {
            wrong.extend(errors);
            None
        }
        Err(_) => None,
    }
}

/// RFC 3339, or what a browser's field gives, as UTC.
fn moment(text: &str) -> Result<Timestamp, Error> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse_rfc3339(&whole).map_err(|_| {
        let message = "the times must be like 2026-12-31 or 2026-12-31T23:59, in UTC".to_owned();
        Error::Invalid(vec![FieldError::new("time", message)])
    })
}

fn outcome(text: &str) -> Result<Outcome, Error> {
    let all = [Outcome::Allowed, Outcome::Cut, Outcome::Failed, Outcome::Refused];
    all.into_iter()
        .find(|outcome| outcome.name() == text)
        .ok_or_else(|| Error::Invalid(vec![FieldError::new("outcome", "must be one of the list")]))
}

impl Row {
    fn new(visitor: &Visitor, entry: Entry) -> Self {
        match entry {
            Entry::Call(call) => Self::call(visitor, call.record),
            Entry::Event(event) => Self::event(visitor, event.event),
        }
    }

    fn call(visitor: &Visitor, call: CallRecord) -> Self {
        let service = call.service.as_ref().map_or(&*call.host, service_name);
        let mut detail = vec![call.client.to_string()];
        detail.extend(call.region);
        detail.extend(call.error);
        Self {
            at: visitor.when(call.at),
            who: call.user.map_or_else(|| "nobody known".to_owned(), |user| user.to_string()),
            what: format!("{service} {}", call.operation.as_deref().unwrap_or("call")),
            detail: detail.join(" · "),
            outcome: Some(call.outcome),
            status: call.status,
            environment: call.environment.map_or_else(String::new, |id| id.to_string()),
            request: call.request.map(|id| id.to_string()),
        }
    }

    fn event(visitor: &Visitor, event: WorkflowEvent) -> Self {
        let mut detail = vec![event.subject];
        detail.extend(event.detail);
        Self {
            at: visitor.when(event.at),
            who: event.actor.map_or_else(|| "the gateway".to_owned(), |actor| actor.to_string()),
            what: event.action,
            detail: detail.join(" · "),
            outcome: None,
            status: 0,
            environment: event.environment.map_or_else(String::new, |id| id.to_string()),
            request: event.request.map(|id| id.to_string()),
        }
    }
}

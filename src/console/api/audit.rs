//! `/audit`: what cloud clients called and what people did, as one list, newest first; or all of it, as NDJSON.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State as FromState,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};
use utoipa::{IntoParams, ToSchema};

use super::{
    audit_form::Form,
    list::{Limit, Page},
    merge::{Place, Side, merge},
};
use crate::{
    audit::{Cursor, Filter, Reader},
    clock::Timestamp,
    console::{State, error::Problem, extract::Query, session::Session},
    model::{AccessRequestId, CallRecord, EnvironmentId, Outcome, ServiceId, UserName, WorkflowEvent},
    workflow::{Caller, EventFilter, PageRequest},
};

/// Calls that were recorded so far are waited for, but not for ever: a disk may have failed.
pub(crate) const FLUSH: Duration = Duration::from_secs(1);
/// An export is read in pages of this size.
const EXPORT_PAGE: usize = 1_000;
/// A client that takes no more of its export for so long has lost it.
const PATIENCE: Duration = Duration::from_mins(1);
/// Each export holds a thread and a read of the state while its client takes its time.
static EXPORTS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(4)));

#[derive(Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// Not before.
    pub(crate) from: Option<Timestamp>,
    /// Before.
    pub(crate) to: Option<Timestamp>,
    /// Of this access request.
    pub(crate) request: Option<AccessRequestId>,
    /// Calls with this person's keys, and what they did.
    pub(crate) user: Option<UserName>,
    pub(crate) environment: Option<EnvironmentId>,
    pub(crate) service: Option<ServiceId>,
    pub(crate) operation: Option<String>,
    pub(crate) outcome: Option<Outcome>,
    /// How many items the page may have.
    #[serde(default)]
    #[param(inline, required = false)]
    pub(crate) limit: Limit,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// What happened: `kind` tells which.
#[derive(Serialize, ToSchema)]
#[schema(
    as = AuditEntry,
    discriminator(
        property_name = "kind",
        mapping(("call" = "#/components/schemas/AuditCall"), ("event" = "#/components/schemas/AuditEvent")),
    )
)]
#[serde(untagged)]
pub(crate) enum Entry {
    Call(Call),
    Event(Event),
}

/// A call of a cloud client.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditCall)]
pub(crate) struct Call {
    kind: CallKind,
    #[serde(flatten)]
    pub(crate) record: CallRecord,
}

/// An act of a person, or of the gateway itself.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct Event {
    kind: EventKind,
    #[serde(flatten)]
    pub(crate) event: WorkflowEvent,
}

// Types of their own: what generates clients takes a `kind` that can be one thing only for what tells entries apart.

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CallKind {
    Call,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EventKind {
    Event,
}

impl From<CallRecord> for Entry {
    fn from(record: CallRecord) -> Self {
        Self::Call(Call { kind: CallKind::Call, record })
    }
}

impl From<WorkflowEvent> for Entry {
    fn from(event: WorkflowEvent) -> Self {
        Self::Event(Event { kind: EventKind::Event, event })
    }
}

/// Read the audit log
///
/// What cloud clients called and what people did, as one list, newest first. Needs `audit.read`, everywhere or in the `environment` that is asked for. `service`, `operation` and `outcome` leave calls only.
///
/// With `Accept: application/x-ndjson` everything that fits is streamed, one object a line, and with `Accept: text/csv` as a table; `limit` does not count then.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    operation_id = "list_audit",
    tag = "Audit",
    params(Question),
    responses((status = 200, description = "A page of the list, or all of it as lines.", content((Page<Entry> = "application/json"), (Entry = "application/x-ndjson"), (String = "text/csv"))), (status = 404, description = "There is no such environment."), (status = 429, description = "Too many exports run.")),
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    headers: HeaderMap,
    session: Session,
    Query(question): Query<Question>,
) -> Result<Response, Problem> {
    let reader = state.audit;
    if let Some(form) = wanted_form(&headers) {
        return export(reader, session, question, form).await;
    }
    let page = session.try_run(move |caller| {
        reader.flush(FLUSH);
        question.page(&reader, caller)
    });
    page.await.map(|page| Json(page).into_response())
}

fn wanted_form(headers: &HeaderMap) -> Option<Form> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').find_map(|kind| match kind.split(';').next()?.trim() {
        "application/x-ndjson" => Some(Form::Ndjson),
        "text/csv" => Some(Form::Csv),
        _ => None,
    })
}

impl Question {
    /// The page that the cursor asks for.
    pub(crate) fn page(&self, reader: &Reader, caller: &Caller) -> Result<Page<Entry>, Problem> {
        let auditor = caller.auditor(self.environment.as_ref())?;
        let (calls, events) = self
            .cursor
            .as_deref()
            .map_or(Some((Place::Start, Place::Start)), read_cursor)
            .ok_or_else(|| Problem::invalid_field("cursor", "is not one that a list has returned"))?;
        let calls = self.calls(reader, calls)?;
        let events = self.events(|filter, page| Ok(auditor.events(filter, page)?), events)?;
        let (items, calls, events) = merge(calls, events, self.limit.0, Entry::from, Entry::from);
        Ok(Page { items, next_cursor: write_cursor(calls, events) })
    }

    fn calls(&self, reader: &Reader, place: Place<Cursor>) -> Result<Side<Cursor, CallRecord>, Problem> {
        let cursor = match place {
            Place::Start => None,
            Place::Behind(cursor) => Some(cursor),
            Place::End => return Ok(Side::new(place, [], None)),
        };
        let page = reader.calls(&self.filter(), cursor, self.limit.0)?;
        let items = page.items.into_iter().map(|(cursor, call)| (cursor, call.at, call));
        Ok(Side::new(place, items, page.next.map(|next| (next, next.at()))))
    }

    fn events(
        &self,
        read: impl FnOnce(&EventFilter, &PageRequest) -> Result<crate::workflow::Page<WorkflowEvent>, Problem>,
        place: Place<String>,
    ) -> Result<Side<String, WorkflowEvent>, Problem> {
        // An act of a person has none of these.
        if self.service.is_some() || self.operation.is_some() || self.outcome.is_some() {
            return Ok(Side::new(Place::End, [], None));
        }
        let cursor = match &place {
            Place::Start => None,
            Place::Behind(cursor) => Some(cursor.clone()),
            Place::End => return Ok(Side::new(place, [], None)),
        };
        let filter = EventFilter {
            from: self.from,
            to: self.to,
            request: self.request.clone(),
            user: self.user.clone(),
            environment: self.environment.clone(),
        };
        let page = read(&filter, &PageRequest { limit: self.limit.0, cursor })?;
        let rest = page.next_cursor.zip(page.items.last().map(|event| event.at));
        Ok(Side::new(place, page.items.into_iter().map(|event| (event.id.clone(), event.at, event)), rest))
    }

    fn filter(&self) -> Filter {
        Filter {
            from: self.from,
            to: self.to,
            request: self.request.clone(),
            user: self.user.clone(),
            environment: self.environment.clone(),
            service: self.service.clone(),
            operation: self.operation.clone(),
            outcome: self.outcome,
        }
    }
}

/// `CALLS~EVENTS`: each empty at the start, `-` at the end.
fn write_cursor(calls: Place<Cursor>, events: Place<String>) -> Option<String> {
    fn part(place: Place<impl ToString>) -> String {
        match place {
            Place::Start => String::new(),
            Place::Behind(cursor) => cursor.to_string(),
            Place::End => "-".into(),
        }
    }
    if calls == Place::End && events == Place::End {
        return None;
    }
    Some(format!("{}~{}", part(calls), part(events)))
}

fn read_cursor(text: &str) -> Option<(Place<Cursor>, Place<String>)> {
    let (calls, events) = text.split_once('~')?;
    let calls = match calls {
        "" => Place::Start,
        "-" => Place::End,
        cursor => Place::Behind(cursor.parse().ok()?),
    };
    let events = match events {
        "" => Place::Start,
        "-" => Place::End,
        cursor => Place::Behind(cursor.to_owned()),
    };
    Some((calls, events))
}

/// Streams everything that fits, however much it is. `limit` does not count here.
pub(crate) async fn export(
    reader: Reader,
    session: Session,
    question: Question,
    form: Form,
) -> Result<Response, Problem> {
    let busy =
        || Problem::too_many("Other exports are running; try again when one has ended.", Duration::from_secs(10));
    let place = Arc::clone(&EXPORTS).try_acquire_owned().map_err(|_| busy())?;
    let first = Question { limit: Limit(EXPORT_PAGE), ..question };
    // One page is read before the answer begins, so that what is refused is told with a status.
    let (lines, next, reader) = session
        .clone()
        .try_run(move |caller| {
            reader.flush(FLUSH);
            let (mut lines, next) = first.lines(&reader, caller, form)?;
            lines.splice(0..0, form.head()?);
            Ok((lines, next, reader))
        })
        .await?;
    let (sender, pages) = mpsc::channel(2);
    drop(tokio::task::spawn_blocking(move || {
        let _place = place;
        let (mut page, mut next) = (Ok(Bytes::from(lines)), next);
        while Handle::current().block_on(sender.send_timeout(page, PATIENCE)).is_ok() {
            let Some(question) = next.take() else { return };
            page = question.lines(&reader, session.caller(), form).map(|(lines, after)| {
                next = after;
                lines.into()
            });
        }
    }));
    let kind = [(header::CONTENT_TYPE, form.media_type())];
    Ok((kind, Body::new(Lines(pages))).into_response())
}

impl Question {
    /// A page as lines, and the question for the next.
    fn lines(self, reader: &Reader, caller: &Caller, form: Form) -> Result<(Vec<u8>, Option<Self>), Problem> {
        let page = self.page(reader, caller)?;
        let lines = form.lines(&page.items)?;
        let next = page.next_cursor.map(|cursor| Self { cursor: Some(cursor), ..self });
        Ok((lines, next))
    }
}

/// The pages of an export as a body. A page that can't be read cuts the connection: a short export must not look whole.
struct Lines(mpsc::Receiver<Result<Bytes, Problem>>);

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|page| {
            page.map(|page| page.map(http_body::Frame::data).map_err(|problem| std::io::Error::other(problem.detail)))
        })
    }
}

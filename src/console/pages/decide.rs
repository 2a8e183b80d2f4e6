//! Deciding on an access request: what is asked and what the person has already beside what a yes comes with, and in
//! plain words what it will allow.

use std::time::Duration;

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::{
    access_request::{self, Step, step},
    access_requests::LIST,
    form::{Fields, Submitted},
    frame::Frame,
    visitor::Visitor,
    words::{self, Chip, When},
};
use crate::{
    clock::Timestamp,
    cloud::aws::Catalogue,
    console::{
        error::{Problem, capital},
        extract::Id,
    },
    model::{AccessRequest, AccessRequestId, Credential, CredentialId, Environment, Status, WorkflowEvent},
    workflow::{AccessRequestView, Approval, Caller, Error, FieldError, PageRequest, RequestFilter, parse_duration},
};

/// How long access may last: what is picked from besides what was asked for.
const SPANS: [(&str, &str); 5] =
    [("1d", "1 day"), ("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("365d", "1 year")];
const AS_ASKED: &str = "asked";
const ON_A_DATE: &str = "date";

#[derive(Template)]
#[template(path = "decide.html")]
struct Decide {
    frame: Frame,
    id: String,
    version: u64,
    list: &'static str,
    details: String,
    services: String,
    who: String,
    mine: bool,
    environment: String,
    slug: String,
    justification: String,
    asked: When,
    wanted: String,
    chip: Chip,
    has: Vec<Held>,
    /// Where to see more of it.
    more: Option<String>,
    /// How it was decided, if it was.
    decided: Option<Decided>,
    /// Somebody else was quicker than this person's own click.
    too_late: bool,
    /// It is their own, and nobody decides on those here.
    refused: bool,
    credentials: Vec<Pick>,
    accounts: String,
    spans: Vec<Pick>,
    date: String,
    operations: Vec<Pick>,
    comment: String,
    credential_error: Option<String>,
    until_error: Option<String>,
    other_error: Option<String>,
}

/// Access that the person has.
struct Held {
    href: String,
    services: String,
    environment: String,
    /// In the environment that is asked for?
    here: bool,
    chip: Chip,
    until: Option<When>,
    last_used: Option<When>,
}

struct Decided {
    step: Step,
    comment: Option<String>,
    /// Is there access now?
    lives: bool,
}

struct Pick {
    value: String,
    label: String,
    about: String,
    /// How the sentence says it.
    words: String,
    picked: bool,
}

/// All that the page tells, as the workflow has it.
struct Found {
    view: AccessRequestView,
    history: Vec<WorkflowEvent>,
    /// None if it was removed since; then nothing waits there.
    environment: Option<Environment>,
    credentials: Vec<Credential>,
    has: Vec<AccessRequestView>,
    more: bool,
    refused: bool,
}

pub(crate) async fn show(visitor: Visitor, Id(id): Id<AccessRequestId>) -> Result<Response, Problem> {
    Ok(visitor.page(&page(&visitor, id, &Fields::default(), &[], false).await?))
}

pub(crate) async fn submit(
    Id(id): Id<AccessRequestId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let approves = match fields.text("decision") {
        "approve" => true,
        "deny" => false,
        _ => return Err(Problem::malformed("The form says neither to approve nor to deny.")),
    };
    let (of, sent, now) = (id.clone(), fields.clone(), visitor.now);
    let decided = visitor.session.clone().try_run(move |caller| {
        let comment = sent.optional("comment");
        let done = caller.approver(&of).and_then(|approver| {
            if approves { approver.approve(&approval(&sent, comment, now)?) } else { approver.deny(comment) }
        });
        match done {
            Ok(view) => Ok(Outcome::Done(told(&view.request))),
            Err(Error::Invalid(errors)) => Ok(Outcome::Wrong(errors)),
            Err(Error::Conflict { status: Some(_), .. }) => Ok(Outcome::TooLate),
            Err(other) => Err(other.into()),
        }
    });
    match decided.await? {
        Outcome::Done(message) => Ok(visitor.done(LIST, &message)),
        Outcome::Wrong(errors) => Ok(visitor.again(&page(&visitor, id, &fields, &errors, false).await?)),
        Outcome::TooLate => {
            let page = visitor.page(&page(&visitor, id, &fields, &[], true).await?);
            Ok((StatusCode::CONFLICT, page).into_response())
        }
    }
}

enum Outcome {
    Done(String),
    Wrong(Vec<FieldError>),
    TooLate,
}

fn told(request: &AccessRequest) -> String {
    let (who, services) = (&request.requested_by, words::services(request));
    if request.status == Status::Denied {
        format!("{who}'s request for {services} is denied.")
    } else {
        format!("{who}'s access to {services} is approved. It works once {who} has taken the secret.")
    }
}

/// A yes as the form says it.
fn approval(fields: &Fields, comment: Option<&str>, now: Timestamp) -> Result<Approval, Error> {
    let mut errors = Vec::new();
    let credential = CredentialId::new(fields.text("credential"));
    if credential.is_err() {
        errors.push(FieldError { field: "credential", message: "must be picked".into() });
    }
    let expires_at = until(fields, now).unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    match credential {
        Ok(credential) if errors.is_empty() => Ok(Approval {
            credential,
            policy_group: None,
            expires_at,
            allow_credential_operations: fields.all("allow").map(str::to_owned).collect(),
            comment: comment.map(str::to_owned),
        }),
        _ => Err(Error::Invalid(errors)),
    }
}

/// When access is to end; none if as was asked for.
fn until(fields: &Fields, now: Timestamp) -> Result<Option<Timestamp>, FieldError> {
    let wrong = |message: &str| FieldError { field: "expires_at", message: message.into() };
    let (picked, date) = (fields.text("until"), fields.text("date"));
    match picked {
        // Without scripts nothing picks the date for whoever has filled it in.
        _ if picked != ON_A_DATE && !date.is_empty() => {
            Err(wrong("must be told once: pick “On a date”, or leave the date empty"))
        }
        AS_ASKED => Ok(None),
        ON_A_DATE => {
            let end = Timestamp::parse_rfc3339(&format!("{date}T23:59:59Z"));
            end.map(Some).map_err(|_| wrong("must be a date, such as 2026-12-31"))
        }
        span => {
            let known = SPANS.iter().any(|(value, _)| *value == span);
            let span = parse_duration(span).ok().filter(|_| known);
            span.map(|span| Some(now.plus(span))).ok_or_else(|| wrong("must be picked"))
        }
    }
}

async fn page(
    visitor: &Visitor,
    id: AccessRequestId,
    fields: &Fields,
    errors: &[FieldError],
    too_late: bool,
) -> Result<Decide, Problem> {
    let found = visitor.run(move |caller| find(caller, &id)).await?;
    let request = &found.view.request;
    let of = |field: &str| errors.iter().find(|error| error.field == field).map(sentence);
    let known = ["credential", "expires_at"];
    let is_new = fields.text("decision").is_empty();
    let until = if is_new { AS_ASKED } else { fields.text("until") };
    Ok(Decide {
        frame: visitor.frame_in(&request.environment).at(LIST),
        id: request.id.to_string(),
        version: request.version,
        list: LIST,
        details: access_request::path(&request.id),
        services: words::services(request),
        who: request.requested_by.to_string(),
        mine: request.requested_by == *visitor.name(),
        environment: found
            .environment
            .as_ref()
            .map_or_else(|| request.environment.to_string(), |known| known.name.clone()),
        slug: request.environment.to_string(),
        justification: request.justification.clone(),
        asked: visitor.when(request.created_at),
        wanted: words::wanted(request),
        chip: Chip(request.status),
        has: found.has.iter().map(|view| held(visitor, view, request)).collect(),
        more: found.more.then(|| more(request)),
        decided: decided(visitor, request, &found.history),
        too_late,
        refused: found.refused,
        accounts: accounts(found.environment.as_ref()),
        spans: spans(visitor, request, until),
        date: fields.text("date").to_owned(),
        operations: operations(request, fields),
        comment: fields.text("comment").to_owned(),
        credential_error: of("credential"),
        until_error: of("expires_at"),
        other_error: errors.iter().find(|error| !known.contains(&error.field)).map(sentence),
        credentials: credentials(&found.credentials, fields.text("credential")),
    })
}

fn find(caller: &Caller, id: &AccessRequestId) -> Result<Found, Error> {
    /// More than anybody reads to decide.
    const SHOWN: usize = 20;
    let refused = !caller.approver(id)?.may_approve()?;
    let view = caller.access_request(id)?;
    let place = &view.request.environment;
    let environment = match caller.environment(place) {
        Ok(found) => Some(found.environment),
        Err(Error::NotFound(_)) => None,
        Err(other) => return Err(other),
    };
    let linked = PageRequest { limit: 1000, cursor: None };
    let mut credentials = caller.credentials(Some(place), &linked)?.items;
    credentials.retain(|credential| credential.cloud == view.request.cloud);
    let living = RequestFilter {
        statuses: [Status::Approved, Status::Active].into(),
        requested_by: Some(view.request.requested_by.clone()),
        ..RequestFilter::default()
    };
    let has = caller.access_requests(&living, &PageRequest { limit: SHOWN, cursor: None })?;
    Ok(Found {
        history: caller.history(id)?,
        environment,
        credentials,
        more: has.next_cursor.is_some(),
        has: has.items,
        refused,
        view,
    })
}

fn held(visitor: &Visitor, view: &AccessRequestView, asked: &AccessRequest) -> Held {
    let request = &view.request;
    Held {
        href: access_request::path(&request.id),
        services: words::services(request),
        environment: request.environment.to_string(),
        here: request.environment == asked.environment,
        chip: Chip(request.status),
        until: request.expires_at.map(|at| visitor.when(at)),
        last_used: visitor.state.audit.last_used(&request.id).map(|at| visitor.when(at)),
    }
}

fn more(request: &AccessRequest) -> String {
    let who = [("requested_by", request.requested_by.as_str())];
    format!("{LIST}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(who).finish())
}

/// Who has decided, and how; the last step, where no decision led here.
fn decided(visitor: &Visitor, request: &AccessRequest, history: &[WorkflowEvent]) -> Option<Decided> {
    const DECISIONS: [&str; 3] = ["access_request.approve", "access_request.deny", "access_request.withdraw"];
    if request.status == Status::Pending {
        return None;
    }
    let decision = history.iter().rev().find(|event| DECISIONS.contains(&event.action.as_str()));
    let step = step(visitor, decision.or(history.last())?);
    let comment = request.decision_comment.clone().filter(|comment| !comment.is_empty());
    Some(Decided { step, comment, lives: matches!(request.status, Status::Approved | Status::Active) })
}

fn credentials(all: &[Credential], picked: &str) -> Vec<Pick> {
    let pick = |credential: &Credential| Pick {
        value: credential.id.to_string(),
        label: credential.name.clone(),
        about: credential.access_key_id.clone(),
        words: format!("the credential {} ({})", credential.name, credential.access_key_id),
        // The only one there is need not be looked for.
        picked: credential.id.as_str() == picked || (picked.is_empty() && all.len() == 1),
    };
    all.iter().map(pick).collect()
}

fn spans(visitor: &Visitor, request: &AccessRequest, picked: &str) -> Vec<Pick> {
    let on = |span: Duration| visitor.when(visitor.now.plus(span)).date();
    let asked = match request.duration_seconds.map(Duration::from_secs) {
        Some(span) => Pick {
            value: AS_ASKED.into(),
            label: capital(&words::span(span)).trim_end_matches('.').to_owned(),
            about: format!(", as asked, until {}", on(span)),
            words: format!("until {}", on(span)),
            picked: picked == AS_ASKED,
        },
        None => Pick {
            value: AS_ASKED.into(),
            label: "Until revoked".into(),
            about: ", as asked".into(),
            words: "until it is revoked".into(),
            picked: picked == AS_ASKED,
        },
    };
    let others = SPANS.iter().filter_map(|(value, label)| {
        let span = parse_duration(value).ok().filter(|span| Some(span.as_secs()) != request.duration_seconds)?;
        Some(Pick {
            value: (*value).into(),
            label: (*label).into(),
            about: format!(", until {}", on(span)),
            words: format!("until {}", on(span)),
            picked: picked == *value,
        })
    });
    // The sentence says the date itself.
    let date = Pick {
        value: ON_A_DATE.into(),
        label: "On a date:".into(),
        about: String::new(),
        words: String::new(),
        picked: picked == ON_A_DATE,
    };
    [asked].into_iter().chain(others).chain([date]).collect()
}

/// What the requested services have that hands out cloud credentials: refused unless it is allowed by name.
fn operations(request: &AccessRequest, fields: &Fields) -> Vec<Pick> {
    let services = request.services.iter().filter_map(|id| Catalogue::embedded().service(id.as_str()));
    let mut all: Vec<_> = services
        .flat_map(|service| {
            let handing = service.operations().filter(|operation| operation.hands_out_credentials);
            handing.map(move |operation| (format!("{}:{}", service.id, operation.name), service.name, operation.name))
        })
        .map(|(value, service, operation)| Pick {
            picked: fields.all("allow").any(|ticked| ticked == value),
            words: value.clone(),
            value,
            label: operation.into(),
            about: service.into(),
        })
        .collect();
    all.sort_by(|one, other| one.value.cmp(&other.value));
    all
}

fn accounts(environment: Option<&Environment>) -> String {
    let ids: Vec<_> = environment.iter().flat_map(|known| &known.accounts).map(ToString::to_string).collect();
    match ids.as_slice() {
        [] => "in every account that the credential reaches".into(),
        [one] => format!("in account {one}"),
        several => format!("in the accounts {}", several.join(", ")),
    }
}

fn sentence(error: &FieldError) -> String {
    match (error.field, error.message.as_str()) {
        ("credential", "must be picked") => "Pick the credential that stands behind the access.".into(),
        ("credential", _) => "This credential is no longer linked to the environment: pick another.".into(),
        ("expires_at", "must be picked") => "Pick when the access ends.".into(),
        ("comment", message) => format!("The comment {message}."),
        (_, message) => capital(message),
    }
}

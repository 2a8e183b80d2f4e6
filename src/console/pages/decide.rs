//! Deciding on an access request: what is asked and what the person has already beside what a yes comes with, and in
//! plain words what it will allow.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::{
    access_request::{self, Step, step},
    access_requests::LIST,
    approval::{self, AS_ASKED, Pick},
    form::{Fields, Submitted},
    frame::Frame,
    rules,
    visitor::Visitor,
    words::{self, Chip, When},
};
use crate::{
    console::{error::Problem, extract::Id},
    model::{
        AccessRequest, AccessRequestId, AccountId, Credential, Environment, PolicyGroup, PolicyGroupId, Status,
        WorkflowEvent,
    },
    workflow::{AccessRequestView, Caller, Error, FieldError, NamedGroup, PageRequest, RequestFilter},
};

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
    /// What the environment refuses besides.
    reach: Option<String>,
    /// None, and those that there are; empty if there is nothing to pick.
    policy_groups: Vec<Pick>,
    /// The rules that are asked for, if any are.
    rules: Option<Rules>,
    spans: Vec<Pick>,
    date: String,
    operations: Vec<Pick>,
    comment: String,
    credential_error: Option<String>,
    policy_group_error: Option<String>,
    until_error: Option<String>,
    other_error: Option<String>,
}

/// The policy group that is asked for.
struct Rules {
    id: PolicyGroupId,
    name: String,
    /// What it demands of this access; none if it was deleted since.
    words: Option<String>,
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

/// All that the page tells, as the workflow has it.
struct Found {
    view: AccessRequestView,
    history: Vec<WorkflowEvent>,
    /// None if it was removed since; then nothing waits there.
    environment: Option<Environment>,
    credentials: Vec<Credential>,
    policy_groups: Vec<PolicyGroup>,
    asked: Option<NamedGroup>,
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
            if approves { approver.approve(&approval::read(&sent, comment, now)?) } else { approver.deny(comment) }
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

async fn page(
    visitor: &Visitor,
    id: AccessRequestId,
    fields: &Fields,
    errors: &[FieldError],
    too_late: bool,
) -> Result<Decide, Problem> {
    let found = visitor.run(move |caller| find(caller, &id)).await?;
    let request = &found.view.request;
    let of = |field: &str| errors.iter().find(|error| error.field == field).map(approval::sentence);
    let known = ["credential", "expires_at", "policy_group"];
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
        reach: found.environment.as_ref().and_then(reach),
        policy_groups: {
            let picked = (!is_new).then(|| fields.all("policy_group").next()).flatten();
            approval::policy_groups(&found.policy_groups, request, found.asked.as_ref(), picked)
        },
        rules: found.asked.as_ref().map(|asked| Rules {
            id: asked.id.clone(),
            name: asked.name.clone(),
            words: asked.group.as_ref().map(|group| rules::sentence(group, &request.services)),
        }),
        spans: approval::spans(visitor, request, until),
        date: fields.text("date").to_owned(),
        operations: approval::operations(request, fields),
        comment: fields.text("comment").to_owned(),
        credential_error: of("credential"),
        policy_group_error: of("policy_group"),
        until_error: of("expires_at"),
        other_error: errors.iter().find(|error| !known.contains(&error.field.as_ref())).map(approval::sentence),
        credentials: {
            let accounts = found.environment.as_ref().map_or(&[][..], |environment| &environment.accounts);
            approval::credentials(&found.credentials, accounts, fields.text("credential"))
        },
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
    let groups = caller.policy_groups(&PageRequest { limit: 1000, cursor: None })?.items;
    let living = RequestFilter {
        statuses: [Status::Approved, Status::Active].into(),
        requested_by: Some(view.request.requested_by.clone()),
        ..RequestFilter::default()
    };
    let has = caller.access_requests(&living, &PageRequest { limit: SHOWN, cursor: None })?;
    Ok(Found {
        history: caller.history(id)?,
        asked: caller.policy_groups_of(id)?.asked,
        environment,
        credentials,
        policy_groups: groups.into_iter().map(|view| view.group).collect(),
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

/// Nothing if any account may be addressed.
fn reach(environment: &Environment) -> Option<String> {
    let ids: Vec<_> = environment.accounts.iter().map(AccountId::as_str).collect();
    let others = match ids.as_slice() {
        [] => return None,
        [one] => format!("another account than {one}"),
        several => format!("other accounts than {}", words::and(several)),
    };
    Some(format!("Calls that address {others} are refused in {}.", environment.name))
}

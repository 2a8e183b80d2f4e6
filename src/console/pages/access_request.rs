//! One access request: where it stands and how it came there, the key, the set-up, the use, and how to end it.

use std::time::Duration;

use askama::Template;
use axum::response::Response;

use super::{
    access_requests,
    form::Submitted,
    frame::{Frame, cloud_services},
    redirect, request_rules,
    snippets::{self, Snippet},
    usage::Use,
    visitor::Visitor,
    words::{self, Chip, When},
};
use crate::{
    console::{error::Problem, extract::Id},
    model::{AccessRequest, AccessRequestId, Action, Credential, Permission, Status, WorkflowEvent},
    workflow::{AccessRequestView, KeyView, RequestGroups, parse_duration},
};

/// So long the page waits for the calls of a moment ago to be counted.
const COUNTED: Duration = Duration::from_millis(300);

#[derive(Template)]
#[template(path = "access_request.html")]
struct Details {
    frame: Frame,
    id: String,
    version: u64,
    services: String,
    environment: String,
    back: String,
    chip: Chip,
    status: Status,
    mine: bool,
    who: String,
    justification: String,
    asked: When,
    /// `for 30 days`.
    wanted: String,
    until: Option<When>,
    decided_by: Option<String>,
    comment: Option<String>,
    /// Those that hand out cloud credentials and are allowed by name.
    operations: Vec<String>,
    /// The policy groups that were asked for and attached.
    rules: Vec<request_rules::Fact>,
    history: Vec<Step>,
    access: Option<Access>,
    keys: Vec<Key>,
    secret_waits: bool,
    usage: Option<Use>,
    /// What an approver may know and do.
    decider: Option<Decider>,
}

struct Decider {
    decide: Option<String>,
    /// `dev account (AKIA…)`.
    credential: Option<String>,
    may_revoke: bool,
    may_archive: bool,
}

/// What a client is set up with.
struct Access {
    endpoint: String,
    ca_url: String,
    key: String,
    /// What stands in the secret's place.
    secret: &'static str,
    snippets: Vec<Snippet>,
    test: String,
    sample_is_granted: bool,
}

struct Key {
    id: String,
    made: When,
    shown: Option<When>,
    ends: Option<When>,
    over: bool,
}

/// A step of its life.
pub(super) struct Step {
    pub(super) who: String,
    pub(super) what: &'static str,
    pub(super) detail: Option<String>,
    pub(super) at: When,
}

pub(crate) async fn show(visitor: Visitor, Id(id): Id<AccessRequestId>) -> Result<Response, Problem> {
    let audit = visitor.state.audit.clone();
    let read = visitor.session.clone().try_run(move |caller| {
        let view = caller.access_request(&id)?;
        let history = caller.history(&id)?;
        let usage = if view.keys.iter().any(|key| key.revealed_at.is_some()) {
            audit.flush(COUNTED);
            Some(audit.usage(&id, view.request.created_at)?)
        } else {
            None
        };
        // One that was removed since, or that is not theirs to see, is not told of.
        let credential = view.request.credential.as_ref().and_then(|id| caller.credential(id).ok());
        let groups = caller.policy_groups_of(&id)?;
        Ok((view, history, usage, credential, groups))
    });
    let (view, history, usage, credential, groups) = read.await?;
    let usage = usage.map(|usage| Use::new(&visitor, &usage));
    let decider = decider(&visitor, &view.request, credential);
    Ok(visitor.page(&details(&visitor, &view, &history, usage, &groups, decider)))
}

fn decider(visitor: &Visitor, request: &AccessRequest, credential: Option<Credential>) -> Option<Decider> {
    if !visitor.may(Permission::AccessRequestsManage, Some(&request.environment)) {
        return None;
    }
    let waits = request.status == Status::Pending;
    Some(Decider {
        decide: waits.then(|| access_requests::decide(&request.id)),
        credential: credential.map(|found| format!("{} ({})", found.name, found.keys)),
        may_revoke: request.status.after(Action::Revoke).is_some(),
        may_archive: request.status.after(Action::Archive).is_some(),
    })
}

fn details(
    visitor: &Visitor,
    view: &AccessRequestView,
    history: &[WorkflowEvent],
    usage: Option<Use>,
    groups: &RequestGroups,
    decider: Option<Decider>,
) -> Details {
    let request = &view.request;
    let environment = visitor.environments.iter().find(|known| known.id == request.environment);
    let back = cloud_services(&request.environment);
    let lives = matches!(request.status, Status::Approved | Status::Active);
    let access = view.access_key_id.as_ref().filter(|_| lives).map(|key| Access {
        endpoint: visitor.state.endpoint.to_string(),
        ca_url: visitor.state.ca_url(),
        key: key.to_string(),
        secret: snippets::SECRET,
        snippets: snippets::all(&visitor.state, request, key),
        test: snippets::test_command(request),
        sample_is_granted: snippets::sample_is_granted(request),
    });
    Details {
        frame: visitor.frame_in(&request.environment).at(&back),
        id: request.id.to_string(),
        version: request.version,
        services: words::services(request),
        environment: environment.map_or_else(|| request.environment.to_string(), |known| known.name.clone()),
        chip: Chip(request.status),
        status: request.status,
        mine: request.requested_by == *visitor.name(),
        who: request.requested_by.to_string(),
        justification: request.justification.clone(),
        asked: visitor.when(request.created_at),
        wanted: words::wanted(request),
        until: request.expires_at.map(|at| visitor.when(at)),
        decided_by: request.decided_by.as_ref().map(ToString::to_string),
        comment: request.decision_comment.clone().filter(|comment| !comment.is_empty()),
        operations: request.allow_credential_operations.clone(),
        rules: request_rules::facts(request, groups),
        history: history.iter().map(|event| told(visitor, event, request, groups)).collect(),
        keys: if lives { view.keys.iter().map(|view| key(visitor, view)).collect() } else { Vec::new() },
        secret_waits: view.secret_available,
        access,
        usage,
        decider,
        back,
    }
}

fn key(visitor: &Visitor, view: &KeyView) -> Key {
    Key {
        id: view.access_key_id.to_string(),
        made: visitor.when(view.created_at),
        shown: view.revealed_at.map(|at| visitor.when(at)),
        ends: view.ends_at.map(|at| visitor.when(at)),
        over: view.ends_at.is_some_and(|at| at <= visitor.now),
    }
}

/// A step, with the rules that were asked for or attached by it.
fn told(visitor: &Visitor, event: &WorkflowEvent, request: &AccessRequest, groups: &RequestGroups) -> Step {
    let step = step(visitor, event);
    match event.action.as_str() {
        "access_request.submit" => Step { detail: request_rules::wish(groups), ..step },
        "access_request.approve" => Step { detail: request_rules::answer(request, groups), ..step },
        _ => step,
    }
}

pub(super) fn step(visitor: &Visitor, event: &WorkflowEvent) -> Step {
    let (what, tells) = match event.action.as_str() {
        "access_request.submit" => ("asked for access", false),
        "access_request.approve" => ("approved it", false),
        "access_request.deny" => ("denied it", true),
        "access_request.withdraw" => ("withdrew the request", true),
        "access_request.reveal" => ("read the secret", false),
        "access_request.rotate" => ("asked for a new key", false),
        "access_request.revoke" => ("revoked access", true),
        "access_request.expire" => ("ended access: its time is over", false),
        "access_request.archive" => ("put it away", true),
        "access_request.end_replaced_key" => ("ended the key that was replaced", false),
        _ => ("changed something", true),
    };
    Step {
        who: event.actor.as_ref().map_or_else(|| "The gateway".into(), ToString::to_string),
        what,
        detail: event.detail.clone().filter(|detail| tells && !detail.is_empty()),
        at: visitor.when(event.at),
    }
}

pub(super) fn path(id: &AccessRequestId) -> String {
    format!("/access-requests/{id}")
}

#[derive(Template)]
#[template(path = "secret.html")]
struct OneTime {
    frame: Frame,
    back: String,
    services: String,
    key: String,
    secret: String,
    endpoint: String,
    profile: String,
    file: String,
}

/// Shows the secret, the one time. The answer is the page itself: the secret is kept nowhere to be fetched from.
pub(crate) async fn reveal(
    Id(id): Id<AccessRequestId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Problem> {
    let back = path(&id);
    let (revealed, request) =
        visitor.run(move |caller| Ok((caller.owner(&id)?.reveal()?, caller.access_request(&id)?.request))).await?;
    let (key, secret) = (revealed.access_key_id.to_string(), revealed.secret_access_key.expose());
    Ok(visitor.page(&OneTime {
        frame: visitor.frame_in(&request.environment).at(&cloud_services(&request.environment)),
        services: words::services(&request),
        file: snippets::credentials_file(&request, &key, secret),
        profile: format!("csg-{}", request.environment),
        secret: secret.to_owned(),
        endpoint: visitor.state.endpoint.to_string(),
        back,
        key,
    }))
}

/// The address of the secret is no page: there is nothing to come back to.
pub(crate) async fn no_secret(Id(id): Id<AccessRequestId>) -> Response {
    redirect::see(&path(&id))
}

pub(crate) async fn withdraw(
    Id(id): Id<AccessRequestId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (to, comment) = (path(&id), fields.optional("comment").map(str::to_owned));
    visitor.run(move |caller| caller.owner(&id)?.withdraw(comment.as_deref())).await?;
    Ok(visitor.done(&to, "The request is withdrawn."))
}

pub(crate) async fn rotate(
    Id(id): Id<AccessRequestId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (to, overlap) = (path(&id), parse_duration(fields.text("overlap")).unwrap_or_default());
    visitor.run(move |caller| caller.owner(&id)?.rotate(overlap)).await?;
    Ok(visitor.done(&to, "A new key is made. Show its secret when you are ready to save it."))
}

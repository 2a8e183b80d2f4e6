//! Denying, revoking and archiving, one access request or several at once: first a page that says what stops working and
//! for whom, then each on its own, then what became of each.
//!
//! Approving is not among it: what a yes allows has to be read request by request.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    access_request::{self, Step, step},
    access_requests::{LIST, ON_A_PAGE},
    form::{Fields, Submitted},
    frame::Frame,
    line::Line,
    redirect,
    visitor::Visitor,
    words::{self, Chip},
};
use crate::{
    console::error::{Problem, capital},
    model::{AccessRequest, AccessRequestId, Action, Status, WorkflowEvent},
    workflow::{AccessRequestView, Caller, Error, FieldError},
};

const OUTCOME: &str = "/access-requests/several/outcome";

/// What can be done to several at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Archive,
    Deny,
    Revoke,
}

#[derive(Template)]
#[template(path = "several.html")]
struct Confirm {
    frame: Frame,
    back: String,
    act: Act,
    rows: Vec<Row>,
    /// Those that the act is not for, as they stand.
    others: Vec<Row>,
    ends: usize,
    people: String,
    comment: String,
    comment_error: Option<String>,
}

struct Row {
    line: Line,
    /// Keys that work, or will once their secret is taken.
    keys: Vec<String>,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct Outcome {
    frame: Frame,
    list: &'static str,
    act: Act,
    done: Vec<Fate>,
    failed: Vec<Fate>,
}

/// What became of one.
struct Fate {
    href: String,
    services: String,
    who: String,
    environment: String,
    chip: Chip,
    last: Option<Step>,
}

pub(crate) async fn confirm(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri);
    let (act, ids) = read(&fields)?;
    if ids.is_empty() {
        return Ok(visitor.done(LIST, "Nothing was ticked: tick the requests first, then say what to do with them."));
    }
    Ok(visitor.page(&page(&visitor, act, ids, &fields, &[]).await?))
}

pub(crate) async fn submit(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let (act, ids) = read(&fields)?;
    let (comment, chosen) = (fields.optional("comment").map(str::to_owned), ids.clone());
    let done = visitor.attempt(move |caller| {
        for id in &chosen {
            match act.take(caller, id, comment.as_deref()) {
                // Somebody else was quicker, or the right to it is gone: the others are done all the same.
                Ok(_) | Err(Error::Conflict { .. } | Error::Forbidden { .. } | Error::NotFound(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    });
    if let Err(errors) = done.await? {
        return Ok(visitor.again(&page(&visitor, act, ids, &fields, &errors).await?));
    }
    let chosen = ids.iter().map(|id| ("request", id.as_str()));
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("step", act.name()).extend_pairs(chosen).finish();
    Ok(redirect::see(&format!("{OUTCOME}?{query}")))
}

/// What became of each is read from what is kept of it: the page can be loaded again, and tells no more than is so.
pub(crate) async fn outcome(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let (act, ids) = read(&Fields::of_query(&uri))?;
    let fates = visitor.run(move |caller| {
        let fate = |id| Ok((view(caller, id)?.request, caller.history(id)?));
        ids.iter().map(fate).collect::<Result<Vec<_>, Error>>()
    });
    let (done, failed): (Vec<_>, Vec<_>) = fates.await?.into_iter().partition(|(_, history)| {
        history.iter().any(|event| event.action == act.event() && event.actor.as_ref() == Some(visitor.name()))
    });
    let told = |all: Vec<(AccessRequest, Vec<WorkflowEvent>)>| -> Vec<Fate> {
        all.iter().map(|(request, history)| fate(&visitor, request, history)).collect()
    };
    let (done, failed) = (told(done), told(failed));
    Ok(visitor.page(&Outcome { frame: visitor.frame().at(LIST), list: LIST, act, done, failed }))
}

fn read(fields: &Fields) -> Result<(Act, Vec<AccessRequestId>), Problem> {
    let act = [Act::Archive, Act::Deny, Act::Revoke].into_iter().find(|act| act.name() == fields.text("step"));
    let act = act.ok_or_else(|| Problem::not_found("Several access requests can be denied, revoked or archived."))?;
    let mut ids = Vec::new();
    for id in fields.all("request") {
        let id = AccessRequestId::new(id).map_err(|_| Problem::not_found("There is no such access request."))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > ON_A_PAGE {
            return Err(Problem::malformed(format!("At most {ON_A_PAGE} access requests can be chosen at once.")));
        }
    }
    Ok((act, ids))
}

/// One that the person may decide on.
fn view(caller: &Caller, id: &AccessRequestId) -> Result<AccessRequestView, Error> {
    caller.approver(id)?;
    caller.access_request(id)
}

async fn page(
    visitor: &Visitor,
    act: Act,
    ids: Vec<AccessRequestId>,
    fields: &Fields,
    errors: &[FieldError],
) -> Result<Confirm, Problem> {
    let back = match ids.as_slice() {
        [one] => access_request::path(one),
        _ => LIST.to_owned(),
    };
    let views = visitor.run(move |caller| ids.iter().map(|id| view(caller, id)).collect::<Result<Vec<_>, _>>()).await?;
    let (fit, others): (Vec<_>, Vec<_>) =
        views.iter().partition(|view| view.request.status.after(act.action()).is_some());
    let mut people: Vec<_> = fit.iter().map(|view| view.request.requested_by.as_str()).collect();
    people.sort_unstable();
    people.dedup();
    let lives = |view: &&&AccessRequestView| matches!(view.request.status, Status::Approved | Status::Active);
    Ok(Confirm {
        frame: visitor.frame().at(LIST),
        back,
        act,
        ends: fit.iter().filter(lives).count(),
        people: words::and(&people),
        rows: fit.iter().map(|view| Row::new(visitor, view)).collect(),
        others: others.iter().map(|view| Row::new(visitor, view)).collect(),
        comment: fields.text("comment").to_owned(),
        comment_error: errors.iter().find(|error| error.field == "comment").map(|error| capital(&error.message)),
    })
}

impl Row {
    fn new(visitor: &Visitor, view: &AccessRequestView) -> Self {
        let request = &view.request;
        let lives = matches!(request.status, Status::Approved | Status::Active);
        let works = |key: &&crate::workflow::KeyView| lives && key.ends_at.is_none_or(|end| end > visitor.now);
        Self {
            line: Line::new(visitor, request),
            keys: view.keys.iter().filter(works).map(|key| key.access_key_id.to_string()).collect(),
        }
    }
}

fn fate(visitor: &Visitor, request: &AccessRequest, history: &[WorkflowEvent]) -> Fate {
    Fate {
        href: access_request::path(&request.id),
        services: words::services(request),
        who: request.requested_by.to_string(),
        environment: request.environment.to_string(),
        chip: Chip(request.status),
        last: history.last().map(|event| step(visitor, event)),
    }
}

impl Act {
    const fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Deny => "deny",
            Self::Revoke => "revoke",
        }
    }

    const fn action(self) -> Action {
        match self {
            Self::Archive => Action::Archive,
            Self::Deny => Action::Deny,
            Self::Revoke => Action::Revoke,
        }
    }

    /// What the trail calls it.
    const fn event(self) -> &'static str {
        match self {
            Self::Archive => "access_request.archive",
            Self::Deny => "access_request.deny",
            Self::Revoke => "access_request.revoke",
        }
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Archive => "Archive",
            Self::Deny => "Deny",
            Self::Revoke => "Revoke",
        }
    }

    /// What has been done: `archived`.
    const fn done(self) -> &'static str {
        match self {
            Self::Archive => "archived",
            Self::Deny => "denied",
            Self::Revoke => "revoked",
        }
    }

    fn take(self, caller: &Caller, id: &AccessRequestId, comment: Option<&str>) -> Result<AccessRequestView, Error> {
        let approver = caller.approver(id)?;
        match self {
            Self::Archive => approver.archive(comment),
            Self::Deny => approver.deny(comment),
            Self::Revoke => approver.revoke(comment),
        }
    }
}

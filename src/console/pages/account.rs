//! One's own account: the password, and where one is signed in.

use askama::Template;
use axum::response::Response;

use super::{form::Submitted, frame::Frame, redirect, visitor::Visitor, words::When};
use crate::{
    console::error::{Problem, capital},
    workflow::Error,
};

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    frame: Frame,
    roles: Vec<String>,
    sessions: Vec<Row>,
    others: usize,
    current_error: Option<String>,
    password_error: Option<String>,
}

struct Row {
    id: String,
    current: bool,
    since: When,
    until: When,
}

pub(crate) async fn show(visitor: Visitor) -> Result<Response, Problem> {
    Ok(visitor.page(&account(&visitor, None, None).await?))
}

async fn account(visitor: &Visitor, current: Option<String>, new: Option<String>) -> Result<Account, Problem> {
    let sessions = visitor.run(crate::workflow::Caller::sessions).await?;
    let sessions: Vec<_> = sessions
        .into_iter()
        .map(|session| Row {
            id: session.id,
            current: session.current,
            since: visitor.when(session.created_at),
            until: visitor.when(session.expires_at),
        })
        .collect();
    let roles = visitor.caller().user().roles.iter().map(|held| match &held.environment {
        Some(environment) => format!("{} in {environment}", held.role.name()),
        None => format!("{} everywhere", held.role.name()),
    });
    Ok(Account {
        frame: visitor.frame(),
        roles: roles.collect(),
        others: sessions.iter().filter(|session| !session.current).count(),
        sessions,
        current_error: current,
        password_error: new,
    })
}

pub(crate) async fn change_password(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let (current, new) = (fields.secret("current_password"), fields.secret("new_password"));
    let changed = visitor.session.clone().try_run(move |caller| Ok(caller.change_password(&current, &new)));
    let (current, new) = match changed.await? {
        Ok(()) => {
            return Ok(visitor.done("/account", "Your password is changed. Other sessions have ended."));
        }
        Err(Error::Invalid(errors)) => {
            let of = |field| errors.iter().find(|error| error.field == field).map(|error| capital(&error.message));
            (of("current_password"), of("password"))
        }
        Err(Error::Throttled { retry_after }) => {
            let seconds = retry_after.as_secs().max(1);
            (Some(format!("There were many attempts. Try again in {seconds} s.")), None)
        }
        Err(other) => return Err(other.into()),
    };
    Ok(visitor.again(&account(&visitor, current, new).await?))
}

/// Ends the session that is named, or all others.
pub(crate) async fn end_session(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let id = fields.optional("session").map(str::to_owned);
    let ended = visitor.run(move |caller| caller.end_sessions(id.as_deref())).await?;
    Ok(match ended {
        0 => redirect::see("/account"),
        1 => visitor.done("/account", "The session has ended."),
        count => visitor.done("/account", &format!("{count} sessions have ended.")),
    })
}

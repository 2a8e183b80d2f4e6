//! One's own account: the password, and where one is signed in.

use askama::Template;
use axum::response::Response;

use super::{form::Submitted, frame::Frame, redirect, sign_in, visitor::Visitor, words::When};
use crate::{
    console::error::{Problem, capital},
    workflow::Error,
};

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    frame: Frame,
    roles: Vec<String>,
    second_factor: bool,
    sessions: Vec<Row>,
    others: usize,
    current_error: Option<String>,
    password_error: Option<String>,
}

struct Row {
    id: String,
    current: bool,
    since: When,
    used: Option<When>,
    until: When,
    program: String,
    address: Option<String>,
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
            used: session.last_used_at.map(|at| visitor.when(at)),
            until: visitor.when(session.expires_at),
            program: session.client.as_deref().map_or_else(|| "Unknown".to_owned(), program),
            address: session.address,
        })
        .collect();
    let roles = visitor.caller().user().roles.iter().map(|held| match &held.environment {
        Some(environment) => format!("{} in {environment}", held.role.name()),
        None => format!("{} everywhere", held.role.name()),
    });
    Ok(Account {
        frame: visitor.frame(),
        roles: roles.collect(),
        second_factor: visitor.caller().user().second_factor,
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
        Ok(signed_in) => {
            let answer = visitor.done("/account", "Your password is changed. Other sessions have ended.");
            return Ok(sign_in::begin(&visitor.state, answer, &signed_in));
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

/// `Firefox on Linux`, out of what browsers say of themselves, most of which is there for reasons of history.
fn program(client: &str) -> String {
    const PROGRAMS: [(&str, &str); 5] =
        [("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let of =
        |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| client.contains(mark)).map(|(_, name)| *name);
    match (of(&PROGRAMS), of(&SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        _ => match client.split(['/', ' ']).next() {
            None | Some("") => "Unknown".to_owned(),
            Some(name) => name.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn browsers_are_named_as_people_know_them() {
        for (client, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 \
                 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("csg/0.1.0", "csg"),
            ("<script>alert(1)</script>", "<script>alert(1)<"),
            ("", "Unknown"),
        ] {
            assert_eq!(program(client), name);
        }
    }
}

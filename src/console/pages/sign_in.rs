//! Signing in and out.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::State as FromState,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{
    form::{Fields, Submitted},
    page, redirect, sign_in_code,
    visitor::{Visitor, tell},
};
use crate::{
    console::{State, cookie, error::Problem, session},
    model::Permission,
    secret::Secret,
    workflow::{Begun, Caller, Error, Origin, SignedIn, Workflow},
};

#[derive(Default, Template)]
#[template(path = "sign_in.html")]
struct SignIn<'f> {
    username: &'f str,
    next: &'f str,
    problem: Option<String>,
    signed_out: bool,
}

/// The form; or what it leads to, for who is signed in already.
pub(crate) async fn show(FromState(state): FromState<State>, uri: Uri, visitor: Result<Visitor, Response>) -> Response {
    let query = Fields::of_query(&uri);
    let next = redirect::own(query.text("next"));
    if visitor.is_ok() {
        return redirect::see(next);
    }
    match session::run(move || state.workflow.is_set_up()).await {
        Err(problem) => problem.into_response(),
        Ok(false) => redirect::see("/setup"),
        Ok(true) => page(&SignIn { next, signed_out: query.ticked("out"), ..SignIn::default() }),
    }
}

/// Begins a session with a new token, whatever token the browser came with, which ends.
pub(crate) async fn submit(
    FromState(state): FromState<State>,
    origin: Origin,
    headers: HeaderMap,
    fields: Fields,
) -> Response {
    let (workflow, name, password) =
        (state.workflow.clone(), fields.text("username").to_owned(), fields.secret("password"));
    let before = cookie::SESSION.find(&state, &headers).map(Secret::new);
    let done = session::blocking(move || {
        let begun = workflow.begin_sign_in(&name, &password, &origin);
        if matches!(begun, Ok(Begun::Whole(_))) {
            end_before(&workflow, before)?;
        }
        Ok(begun)
    });
    let next = redirect::own(fields.text("next"));
    match done.await {
        Err(problem) => problem.into_response(),
        Ok(Ok(Begun::Half(half))) => sign_in_code::ask(&state, &half, next),
        Ok(Ok(Begun::Whole(signed_in))) => begin(&state, redirect::see(next), &signed_in),
        Ok(Err(error)) => again(&SignIn { username: fields.text("username"), next, ..SignIn::default() }, error),
    }
}

/// Ends the session that the browser came with: nobody goes on in one that they have not begun.
pub(super) fn end_before(workflow: &Workflow, before: Option<Secret>) -> Result<(), Error> {
    match before.map(|before| workflow.caller(&before)) {
        Some(Ok(before)) => before.sign_out(),
        _ => Ok(()),
    }
}

/// The form, for whoever took too long over the code, or tried too many.
pub(super) fn begin_again(next: &str) -> Response {
    let text = "The code took too long, or too many were tried. Sign in again from the beginning.";
    let form = SignIn { next, problem: Some(text.to_owned()), ..SignIn::default() };
    (StatusCode::UNAUTHORIZED, page(&form)).into_response()
}

/// How long to wait: for the header, and in words.
pub(super) fn seconds(retry_after: Duration) -> (u64, String) {
    let seconds = retry_after.as_secs().max(1);
    (seconds, format!("{seconds} {}", if seconds == 1 { "second" } else { "seconds" }))
}

fn again(form: &SignIn<'_>, error: Error) -> Response {
    let (status, problem, wait) = match error {
        Error::Unauthenticated => {
            let text = "The user name or the password is wrong. Check both; if you have forgotten the password, \
                        an administrator can give you a new one.";
            (StatusCode::UNAUTHORIZED, text.to_owned(), None)
        }
        Error::Throttled { retry_after } => {
            let (seconds, words) = seconds(retry_after);
            let text = format!(
                "There were many attempts with this name or from your address, so each one has to wait a little now. \
                 Try again in {words}. Nobody is locked out for good."
            );
            (StatusCode::TOO_MANY_REQUESTS, text, Some(seconds))
        }
        other => return Problem::from(other).into_response(),
    };
    let mut answer = page(&SignIn { problem: Some(problem), ..*form });
    *answer.status_mut() = status;
    if let Some(seconds) = wait {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// Gives the browser the session.
pub(super) fn begin(state: &State, mut answer: Response, signed_in: &SignedIn) -> Response {
    let life = signed_in.expires_at.since(state.workflow.clock().now());
    let session = cookie::SESSION.set(state, signed_in.token.expose(), life);
    answer.headers_mut().append(header::SET_COOKIE, session);
    answer
}

/// Ends the session.
pub(crate) async fn sign_out(Submitted { visitor, .. }: Submitted) -> Result<Response, Problem> {
    visitor.run(Caller::sign_out).await?;
    let mut answer = redirect::see("/sign-in?out=1");
    answer.headers_mut().append(header::SET_COOKIE, cookie::SESSION.clear(&visitor.state));
    Ok(answer)
}

/// Where somebody who is signed in begins.
pub(crate) async fn start(FromState(state): FromState<State>, visitor: Result<Visitor, Response>) -> Response {
    let Ok(visitor) = visitor else {
        return redirect::see("/sign-in");
    };
    // Who only decides begins with what waits, and who only reads, with what happened.
    let only =
        |permission| visitor.may_somewhere(permission) && !visitor.may_somewhere(Permission::CloudServicesRequest);
    let path = match &visitor.environment {
        _ if only(Permission::AccessRequestsManage) => super::access_requests::LIST.to_owned(),
        _ if only(Permission::AuditRead) => "/audit".to_owned(),
        Some(environment) => super::frame::cloud_services(environment),
        None if visitor.may(Permission::EnvironmentsManage, None) => "/welcome".to_owned(),
        None => "/account".to_owned(),
    };
    match &visitor.flash {
        Some(message) => tell(&state, redirect::see(&path), message),
        None => redirect::see(&path),
    }
}

//! The second step of signing in, for who has a second factor: the code.

use askama::Template;
use axum::{
    extract::State as FromState,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{
    form::Fields,
    page, redirect,
    sign_in::{begin, end_before, seconds},
};
use crate::{
    console::{State, cookie, error::Problem, session},
    secret::Secret,
    workflow::{Error, HalfSession, Origin},
};

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct Code<'f> {
    next: &'f str,
    problem: Option<String>,
}

/// From the password to the code.
pub(super) fn ask(state: &State, half: &HalfSession, next: &str) -> Response {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    let mut answer = redirect::see(&format!("/sign-in/code?{query}"));
    let cookie = cookie::HALF_SESSION.set(state, half.secret.expose(), half.life);
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
}

pub(crate) async fn show(FromState(state): FromState<State>, headers: HeaderMap, uri: Uri) -> Response {
    let half = cookie::HALF_SESSION.find(&state, &headers).map(Secret::new);
    if !half.is_some_and(|half| state.workflow.waits_for_code(&half)) {
        return redirect::see("/sign-in");
    }
    let query = Fields::of_query(&uri);
    page(&Code { next: redirect::own(query.text("next")), problem: None })
}

pub(crate) async fn submit(
    FromState(state): FromState<State>,
    origin: Origin,
    headers: HeaderMap,
    fields: Fields,
) -> Response {
    let half = Secret::new(cookie::HALF_SESSION.find(&state, &headers).unwrap_or_default());
    let (workflow, code) = (state.workflow.clone(), fields.secret("code"));
    let before = cookie::SESSION.find(&state, &headers).map(Secret::new);
    let done = session::blocking(move || {
        let signed_in = workflow.finish_sign_in(&half, &code, &origin);
        if signed_in.is_ok() {
            end_before(&workflow, before)?;
        }
        Ok(signed_in)
    });
    let next = redirect::own(fields.text("next"));
    let (status, problem, wait) = match done.await {
        Err(problem) => return problem.into_response(),
        Ok(Ok(signed_in)) => return without_half(&state, begin(&state, redirect::see(next), &signed_in)),
        Ok(Err(Error::Invalid(_))) => {
            let text = "The code is not right, or was used already. Wait for the next one.";
            (StatusCode::UNAUTHORIZED, text.to_owned(), None)
        }
        Ok(Err(Error::Throttled { retry_after })) => {
            let (wait, words) = seconds(retry_after);
            let text = format!("There were many wrong codes, so each one has to wait now. Try again in {words}.");
            (StatusCode::TOO_MANY_REQUESTS, text, Some(wait))
        }
        Ok(Err(Error::Unauthenticated)) => return without_half(&state, super::sign_in::begin_again(next)),
        Ok(Err(other)) => return Problem::from(other).into_response(),
    };
    let mut answer = page(&Code { next, problem: Some(problem) });
    *answer.status_mut() = status;
    if let Some(seconds) = wait {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn without_half(state: &State, mut answer: Response) -> Response {
    answer.headers_mut().append(header::SET_COOKIE, cookie::HALF_SESSION.clear(state));
    answer
}

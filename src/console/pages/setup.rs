//! `/setup`: the one-time link that the gateway prints makes the first administrator.

use askama::Template;
use axum::{
    Form,
    body::Body,
    extract::{FromRequest as _, Query, Request, State as FromState, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{page, redirect, sign_in::begin, visitor::tell};
use crate::{
    console::{
        State, csrf,
        error::{Problem, capital},
        extract, session,
    },
    model::UserName,
    secret::Secret,
    workflow::{self, Origin},
};

#[derive(Default, Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct Administrator {
    #[serde(default)]
    token: String,
    #[serde(default)]
    username: String,
    password: Secret,
}

#[derive(Default, Template)]
#[template(path = "setup.html")]
struct SetUp<'f> {
    token: &'f str,
    username: &'f str,
    problem: Option<String>,
    username_error: Option<String>,
    password_error: Option<String>,
}

const VOID: &str = "This set-up link is not valid: it works once, for an hour, and only the newest one does. \
                    On the gateway's machine, `csg setup-link` prints a new one, for root and the gateway's own user.";
const IS_SET_UP: &str = "This gateway is set up already. Ask its administrator to add you.";

pub(crate) async fn show(FromState(state): FromState<State>, link: Result<Query<Link>, QueryRejection>) -> Response {
    let Query(link) = link.unwrap_or_default();
    let token = Secret::new(link.token.as_str());
    let checked = session::blocking(move || {
        let given = !token.expose().is_empty();
        Ok(if state.workflow.is_set_up()? {
            Err(workflow::Error::Gone(IS_SET_UP))
        } else if given {
            state.workflow.check_set_up_token(&token)
        } else {
            Ok(())
        })
    });
    match checked.await {
        Err(problem) => problem.into_response(),
        Ok(Ok(())) => page(&SetUp { token: &link.token, ..SetUp::default() }),
        Ok(Err(error)) => refused(&SetUp::default(), error),
    }
}

pub(crate) async fn submit(FromState(state): FromState<State>, origin: Origin, request: Request) -> Response {
    if let Err(problem) = csrf::check_origin(request.headers()) {
        return problem.into_response();
    }
    let (head, body) = request.into_parts();
    let body = match extract::body(body).await {
        Ok(body) => Body::from(body),
        Err(problem) => return problem.into_response(),
    };
    let Ok(Form(form)) = Form::<Administrator>::from_request(Request::from_parts(head, body), &()).await else {
        return Problem::malformed("This is not the form of the set-up page.").into_response();
    };
    let again = SetUp { token: &form.token, username: &form.username, ..SetUp::default() };
    let name = match UserName::new(&form.username) {
        Ok(name) => name,
        Err(error) => {
            let page = page(&SetUp { username_error: Some(capital(&error.to_string())), ..again });
            return (StatusCode::UNPROCESSABLE_ENTITY, page).into_response();
        }
    };
    let (token, password) = (Secret::new(form.token.as_str()), form.password.clone());
    let workflow = state.workflow.clone();
    let made = session::blocking(move || Ok(workflow.finish_set_up(&token, &name, &password, &origin))).await;
    match made {
        Err(problem) => problem.into_response(),
        Ok(Ok(signed_in)) => {
            let message = "You are this gateway's administrator. The set-up link no longer works.";
            tell(&state, begin(&state, redirect::see("/welcome"), &signed_in), message)
        }
        Ok(Err(error)) => refused(&again, error),
    }
}

/// The form again, with what is wrong; or only what is wrong, where trying again does not help.
fn refused(again: &SetUp<'_>, error: workflow::Error) -> Response {
    let (status, form) = match error {
        workflow::Error::Invalid(errors) => {
            let mut form = SetUp { username: again.username, token: again.token, ..SetUp::default() };
            for error in errors {
                match error.field.as_ref() {
                    "password" => form.password_error = Some(capital(&error.message)),
                    field => form.problem = Some(format!("{field}: {}", error.message)),
                }
            }
            (StatusCode::UNPROCESSABLE_ENTITY, form)
        }
        workflow::Error::Gone(_) => (StatusCode::GONE, SetUp { problem: Some(IS_SET_UP.into()), ..SetUp::default() }),
        workflow::Error::Unauthenticated => {
            let form = SetUp { username: again.username, problem: Some(VOID.into()), ..SetUp::default() };
            (StatusCode::FORBIDDEN, form)
        }
        other => return Problem::from(other).into_response(),
    };
    (status, page(&form)).into_response()
}

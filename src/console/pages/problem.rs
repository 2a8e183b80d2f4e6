//! What went wrong, as a page, for whoever asked for one.

use askama::Template;
use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::page;
use crate::console::error::Problem;

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'p> {
    title: &'p str,
    detail: &'p str,
    status: u16,
    next: &'static str,
}

/// Makes pages of problems, where a browser shows them to a person.
pub(crate) async fn problems_as_pages(request: Request, next: Next) -> Response {
    let for_person = !request.uri().path().starts_with("/api/") && wants_page(request.headers());
    let answer = next.run(request).await;
    match answer.extensions().get::<Problem>() {
        Some(problem) if for_person => show(problem, answer.headers()),
        _ => answer,
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

fn show(problem: &Problem, headers: &HeaderMap) -> Response {
    let next = match problem.status {
        StatusCode::FORBIDDEN => "If you should be able to do this, ask an administrator for the role.",
        StatusCode::NOT_FOUND => "It may have been removed, or it is not yours to see.",
        StatusCode::TOO_MANY_REQUESTS => "Wait a moment, then try again.",
        StatusCode::CONFLICT => "Somebody may have acted before you: go back and load the page again.",
        StatusCode::GONE => "Go back to the page that you came from: it says what can be done instead.",
        status if status.is_server_error() => "Try again; if it stays so, tell who runs this gateway.",
        _ => "Go back and try again.",
    };
    let mut answer =
        page(&ProblemPage { title: problem.title, detail: &problem.detail, status: problem.status.as_u16(), next });
    *answer.status_mut() = problem.status;
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

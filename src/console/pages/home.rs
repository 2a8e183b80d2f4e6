//! The start page: what this is, how a client is set up, where to go.

use askama::Template;
use axum::{
    extract,
    response::{IntoResponse, Response},
};

use super::page;
use crate::console::{State, session};

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'s> {
    needs_setup: bool,
    endpoint: &'s str,
    ca_until: String,
    /// In parts, between which a line may break.
    ca_fingerprint: Vec<String>,
}

pub(crate) async fn show(extract::State(state): extract::State<State>) -> Response {
    let workflow = state.workflow.clone();
    let set_up = match session::run(move || workflow.is_set_up()).await {
        Ok(set_up) => set_up,
        Err(problem) => return problem.into_response(),
    };
    let fingerprint = state.authority.fingerprint();
    let fingerprint: Vec<_> = fingerprint.split(':').collect();
    page(&Home {
        needs_setup: !set_up,
        endpoint: &state.endpoint,
        ca_until: state.authority.not_after().to_utc().date().to_string(),
        ca_fingerprint: fingerprint.chunks(8).map(|part| part.join(":")).collect(),
    })
}

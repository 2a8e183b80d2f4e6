//! The start page: what this is, how a client is set up, where to go.

use askama::Template;
use axum::{extract, response::Response};

use super::page;
use crate::console::State;

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'s> {
    needs_setup: bool,
    endpoint: &'s str,
    ca_until: String,
    ca_fingerprint: String,
}

pub(crate) async fn show(extract::State(state): extract::State<State>) -> Response {
    page(&Home {
        needs_setup: false,
        endpoint: &state.endpoint,
        ca_until: state.authority.not_after().to_utc().date().to_string(),
        ca_fingerprint: state.authority.fingerprint(),
    })
}

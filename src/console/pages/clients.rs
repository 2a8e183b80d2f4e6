//! How a client is set up, for everybody who has the address: nothing in it is secret.

use askama::Template;
use axum::{extract::State as FromState, response::Response};

use super::page;
use crate::console::State;

#[derive(Template)]
#[template(path = "clients.html")]
struct Clients<'s> {
    endpoint: &'s str,
    ca_until: String,
    /// In parts, between which a line may break.
    ca_fingerprint: Vec<String>,
}

pub(crate) async fn show(FromState(state): FromState<State>) -> Response {
    let fingerprint = state.authority.fingerprint();
    let fingerprint: Vec<_> = fingerprint.split(':').collect();
    page(&Clients {
        endpoint: &state.endpoint,
        ca_until: state.authority.not_after().to_utc().date().to_string(),
        ca_fingerprint: fingerprint.chunks(8).map(|part| part.join(":")).collect(),
    })
}

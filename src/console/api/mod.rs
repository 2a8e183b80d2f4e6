//! The REST API, version 1: one file for each resource. Handlers translate; `workflow` decides.

mod ca;

use axum::{Router, routing::get};

use super::State;

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/ca", get(ca::show))
}

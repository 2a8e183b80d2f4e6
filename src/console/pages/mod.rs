//! What people see: one file for each screen, rendered here, whole without scripts.

mod home;
mod setup;

use askama::Template;
use axum::{
    Router,
    response::{Html, IntoResponse, Response},
    routing::get,
};

use super::{State, error::Problem};

/// What the foot of each page names.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/", get(home::show)).route("/setup", get(setup::show).post(setup::submit))
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

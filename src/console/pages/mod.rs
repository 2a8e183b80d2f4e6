//! What people see: one file for each screen, rendered here, whole without scripts.
//!
//! A page takes a [`visitor::Visitor`], a write takes a [`form::Submitted`]: without a session neither comes about, and
//! a form that is not of this session is refused before any page sees it. A page that is for somebody who is signed in
//! extends `app.html` and has a field `frame`.

mod access_request;
mod access_requests;
mod account;
mod admin;
mod approval;
mod authority;
mod chart;
mod clients;
mod cloud_services;
mod decide;
mod environment_usage;
mod form;
mod frame;
mod line;
mod live;
mod problem;
mod redirect;
mod request_access;
mod request_rules;
mod rules;
mod search;
mod second_factor;
mod setup;
mod several;
mod sign_in;
mod sign_in_code;
mod snippets;
mod usage;
mod visitor;
mod welcome;
mod words;

use askama::Template;
use axum::{
    Router,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};

pub(crate) use self::problem::problems_as_pages;
use super::{State, error::Problem};

/// What the foot of each page names.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/", get(sign_in::start))
        .route("/access-requests", get(access_requests::show))
        .route("/access-requests/several", get(several::confirm).post(several::submit))
        .route("/access-requests/several/outcome", get(several::outcome))
        .route("/access-requests/{id}", get(access_request::show))
        .route("/access-requests/{id}/decide", get(decide::show).post(decide::submit))
        .route("/access-requests/{id}/rotate", post(access_request::rotate))
        .route("/access-requests/{id}/secret", get(access_request::no_secret).post(access_request::reveal))
        .route("/access-requests/{id}/withdraw", post(access_request::withdraw))
        .route("/account", get(account::show))
        .route("/account/password", post(account::change_password))
        .route("/account/second-factor", get(second_factor::show).post(second_factor::begin))
        .route("/account/second-factor/confirm", get(second_factor::back).post(second_factor::confirm))
        .route("/account/second-factor/disable", get(second_factor::back).post(second_factor::disable))
        .route("/account/sessions/end", post(account::end_session))
        .route("/ca/{form}", get(authority::download))
        .route("/clients", get(clients::show))
        .route("/environments/{id}/cloud-services", get(cloud_services::show))
        .route("/environments/{id}/cloud-services/request", get(request_access::show).post(request_access::submit))
        .route("/environments/{id}/usage", get(environment_usage::show))
        .route("/live", get(live::stream))
        .route("/search", get(search::show))
        .route("/setup", get(setup::show).post(setup::submit))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/code", get(sign_in_code::show).post(sign_in_code::submit))
        .route("/sign-out", post(sign_in::sign_out))
        .merge(admin::routes())
        .route("/welcome", get(welcome::show))
        .route("/welcome/credential", post(welcome::add_credential))
        .route("/welcome/environment", post(welcome::make_environment))
}

fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => Html(page).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

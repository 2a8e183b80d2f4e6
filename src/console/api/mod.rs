//! The REST API, version 1: one file for each resource. Handlers translate; `workflow` decides.

mod access_request_steps;
mod access_requests;
pub(crate) mod audit;
pub(crate) mod audit_form;
mod ca;
mod clouds;
mod credentials;
mod environments;
pub(crate) mod list;
mod me;
mod merge;
mod new_credential;
pub(crate) mod openapi;
mod policy_groups;
mod second_factor;
mod sessions;
mod settings;
mod span;
mod system;
mod tokens;
pub(crate) mod usage;
mod users;

use axum::{
    Router,
    routing::{delete, get, patch, post},
};

use super::State;

pub(crate) fn routes() -> Router<State> {
    Router::new()
        .route("/access-requests", get(access_requests::list))
        .route("/access-requests/{id}", get(access_requests::show))
        .route("/access-requests/{id}/approve", post(access_request_steps::approve))
        .route("/access-requests/{id}/archive", post(access_request_steps::archive))
        .route("/access-requests/{id}/deny", post(access_request_steps::deny))
        .route("/access-requests/{id}/revoke", post(access_request_steps::revoke))
        .route("/access-requests/{id}/rotate", post(access_request_steps::rotate))
        .route("/access-requests/{id}/secret", post(access_request_steps::secret))
        .route("/access-requests/{id}/usage", get(usage::of_access_request))
        .route("/access-requests/{id}/withdraw", post(access_request_steps::withdraw))
        .route("/audit", get(audit::list))
        .route("/ca", get(ca::show))
        .route("/clouds", get(clouds::list))
        .route("/credentials", get(credentials::list).post(credentials::create))
        .route("/credentials/{id}", get(credentials::show).patch(credentials::change).delete(credentials::delete))
        .route("/credentials/{id}/test", post(credentials::test))
        .route("/environments", get(environments::list).post(environments::create))
        .route("/environments/{id}", get(environments::show).patch(environments::change).delete(environments::delete))
        .route(
            "/environments/{id}/access-requests",
            get(access_requests::list_in_environment).post(access_requests::create),
        )
        .route("/environments/{id}/usage", get(usage::of_environment))
        .route("/me", get(me::show))
        .route("/me/password", post(second_factor::change_password))
        .route("/me/second-factor", get(second_factor::show).post(second_factor::begin))
        .route("/me/second-factor/confirm", post(second_factor::confirm))
        .route("/me/second-factor/disable", post(second_factor::disable))
        .route("/policy-groups", get(policy_groups::list).post(policy_groups::create))
        .route(
            "/policy-groups/{id}",
            get(policy_groups::show).put(policy_groups::replace).delete(policy_groups::delete),
        )
        .route("/sessions", get(sessions::list).post(sessions::create))
        .route("/sessions/current", delete(sessions::delete))
        .route("/sessions/{id}", delete(sessions::end))
        .route("/settings", get(settings::show).post(settings::change))
        .route("/system", get(system::show))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}", delete(tokens::delete))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{id}", patch(users::change).get(users::show))
        .route("/users/{id}/tokens", get(users::tokens))
        .route("/users/{id}/tokens/{token}", delete(users::delete_token))
        .route("/users/{id}/second-factor", delete(second_factor::reset))
}

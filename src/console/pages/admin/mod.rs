//! Administration: environments, credentials, policy groups, people, tokens, certificate authority, audit log, settings, health.
//!
//! What makes something new has its form at `/new/…`, so that no id can be taken for it. What ends something is asked
//! about on a page of its own first, which says what stops working, and for whom.

mod assumed_role;
mod audit;
mod authority;
mod confirm;
mod credential;
mod credentials;
mod environment;
mod environments;
mod export;
mod once;
pub(super) mod people;
mod person;
mod policy_group;
mod policy_groups;
mod rules_form;
mod settings;
mod system;
mod tokens;
mod trust;
mod wrong;

use axum::{
    Router,
    routing::{get, post},
};

pub(super) use self::{
    credentials::{adder, told},
    wrong::{Wrong, attempt},
};
use crate::console::State;

/// So many items has a page of a list.
const PAGE: usize = 50;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/audit", get(audit::show))
        .route("/audit/export.csv", get(export::csv))
        .route("/audit/export.ndjson", get(export::ndjson))
        .route("/ca", get(authority::show))
        .route("/credentials", get(credentials::show).post(credentials::add))
        .route("/credentials/{id}", get(credential::show).post(credential::change))
        .route("/credentials/{id}/delete", get(credential::ask_delete).post(credential::delete))
        .route("/credentials/{id}/role", post(credential::change_role))
        .route("/credentials/{id}/secret", post(credential::replace))
        .route("/credentials/{id}/test", post(credential::test))
        .route("/environments", get(environments::show).post(environments::make))
        .route("/environments/{id}", get(environment::show).post(environment::change))
        .route("/environments/{id}/delete", get(environment::ask_delete).post(environment::delete))
        .route("/new/credential", get(credentials::form))
        .route("/new/environment", get(environments::form))
        .route("/new/person", get(people::form))
        .route("/new/policy-group", get(policy_groups::form))
        .route("/people", get(people::show).post(people::add))
        .route("/people/{id}", get(person::show))
        .route("/people/{id}/disable", get(person::ask_disable).post(person::disable))
        .route("/people/{id}/enable", post(person::enable))
        .route("/people/{id}/password", post(person::reset_password))
        .route("/people/{id}/roles", post(person::give_role))
        .route("/people/{id}/roles/take", get(person::ask_take_role).post(person::take_role))
        .route("/people/{id}/tokens/{token}/end", get(person::ask_end_token).post(person::end_token))
        .route("/policy-groups", get(policy_groups::show).post(policy_groups::make))
        .route("/policy-groups/{id}", get(policy_group::show).post(policy_group::change))
        .route("/policy-groups/{id}/delete", get(policy_group::ask_delete).post(policy_group::delete))
        .route("/settings", get(settings::show).post(settings::change))
        .route("/system", get(system::show))
        .route("/tokens", get(tokens::show).post(tokens::make))
        .route("/tokens/{id}/end", get(tokens::ask_end).post(tokens::end))
}

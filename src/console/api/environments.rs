//! `/environments`: where people work.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::list::{Page, Paging};
use crate::{
    clock::Timestamp,
    console::{
        error::Problem,
        extract::{self, Id, Query},
        session::Session,
    },
    model::{AccountId, CredentialId, EnvironmentId},
    workflow::{EnvironmentChange, EnvironmentView, NewEnvironment},
};

/// Where people work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Environment {
    id: EnvironmentId,
    name: String,
    /// What may be picked at approval; shown to who decides or administers there.
    credentials: Vec<CredentialId>,
    /// Any if empty.
    accounts: Vec<AccountId>,
    created_at: Timestamp,
}

impl From<EnvironmentView> for Environment {
    fn from(EnvironmentView { environment, credentials }: EnvironmentView) -> Self {
        let crate::model::Environment { id, name, accounts, created_at } = environment;
        Self { id, name, credentials, accounts, created_at }
    }
}

/// An environment to be added.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewEnvironment)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    id: EnvironmentId,
    /// At most 200 bytes.
    #[schema(min_length = 1, max_length = 200, examples("Payments, development"))]
    name: String,
    #[serde(default)]
    credentials: Vec<CredentialId>,
    #[serde(default)]
    accounts: Vec<AccountId>,
}

/// What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[schema(as = EnvironmentChange)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    credentials: Option<Vec<CredentialId>>,
    accounts: Option<Vec<AccountId>>,
}

/// List environments
///
/// Those in which the caller has any role.
#[utoipa::path(
    get,
    path = "/api/v1/environments",
    operation_id = "list_environments",
    tag = "Environments",
    params(Paging),
    responses((status = 200, description = "A page of the list.", body = Page<Environment>)),
)]
pub(crate) async fn list(session: Session, Query(paging): Query<Paging>) -> Result<Json<Page<Environment>>, Problem> {
    let page = session.run(move |caller| caller.environments(&paging.into())).await?;
    Ok(Json(Page::of(page, Environment::from)))
}

/// Add an environment
///
/// Needs `environments.manage`.
#[utoipa::path(
    post,
    path = "/api/v1/environments",
    operation_id = "create_environment",
    tag = "Environments",
    request_body = New,
    responses((status = 201, description = "Made.", body = Environment, headers(("location" = String, description = "Where what was made is."))), (status = 409, description = "There is one with this slug.")),
)]
pub(crate) async fn create(
    session: Session,
    extract::Json(new): extract::Json<New>,
) -> Result<impl IntoResponse, Problem> {
    let New { id, name, credentials, accounts } = new;
    let new = NewEnvironment { id, name, accounts, credentials };
    let made = session.run(move |caller| caller.environment_administrator(None)?.create(&new)).await?;
    let location = [(header::LOCATION, format!("/api/v1/environments/{}", made.environment.id))];
    Ok((StatusCode::CREATED, location, Json(Environment::from(made))))
}

/// Show an environment
#[utoipa::path(
    get,
    path = "/api/v1/environments/{id}",
    operation_id = "show_environment",
    tag = "Environments",
    params(("id" = EnvironmentId, Path, description = "The environment's slug.")),
    responses((status = 200, description = "As it is now.", body = Environment)),
)]
pub(crate) async fn show(session: Session, Id(id): Id<EnvironmentId>) -> Result<Json<Environment>, Problem> {
    session.run(move |caller| caller.environment(&id)).await.map(|found| Json(found.into()))
}

/// Change an environment
///
/// Needs `environments.manage`.
#[utoipa::path(
    patch,
    path = "/api/v1/environments/{id}",
    operation_id = "change_environment",
    tag = "Environments",
    params(("id" = EnvironmentId, Path, description = "The environment's slug.")),
    request_body = Change,
    responses((status = 200, description = "As it is now.", body = Environment), (status = 409, description = "It is in use in a way that forbids the change.")),
)]
pub(crate) async fn change(
    session: Session,
    Id(id): Id<EnvironmentId>,
    extract::Json(change): extract::Json<Change>,
) -> Result<Json<Environment>, Problem> {
    let Change { name, credentials, accounts } = change;
    let change = EnvironmentChange { name, accounts, credentials };
    let changed = session.run(move |caller| caller.environment_administrator(Some(&id))?.change(&id, &change));
    changed.await.map(|changed| Json(changed.into()))
}

/// Remove an environment
///
/// Needs `environments.manage`; not while access is under way in it.
#[utoipa::path(
    delete,
    path = "/api/v1/environments/{id}",
    operation_id = "delete_environment",
    tag = "Environments",
    params(("id" = EnvironmentId, Path, description = "The environment's slug.")),
    responses((status = 204, description = "Removed."), (status = 409, description = "Something in it is still in use.")),
)]
pub(crate) async fn delete(session: Session, Id(id): Id<EnvironmentId>) -> Result<StatusCode, Problem> {
    let deleted = session.run(move |caller| caller.environment_administrator(None)?.delete(&id));
    deleted.await.map(|()| StatusCode::NO_CONTENT)
}

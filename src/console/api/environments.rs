//! `/environments`: where people work.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

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

#[derive(Serialize)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    id: EnvironmentId,
    name: String,
    #[serde(default)]
    credentials: Vec<CredentialId>,
    #[serde(default)]
    accounts: Vec<AccountId>,
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    name: Option<String>,
    credentials: Option<Vec<CredentialId>>,
    accounts: Option<Vec<AccountId>>,
}

pub(crate) async fn list(session: Session, Query(paging): Query<Paging>) -> Result<Json<Page<Environment>>, Problem> {
    let page = session.run(move |caller| caller.environments(&paging.into())).await?;
    Ok(Json(Page::of(page, Environment::from)))
}

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

pub(crate) async fn show(session: Session, Id(id): Id<EnvironmentId>) -> Result<Json<Environment>, Problem> {
    session.run(move |caller| caller.environment(&id)).await.map(|found| Json(found.into()))
}

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

pub(crate) async fn delete(session: Session, Id(id): Id<EnvironmentId>) -> Result<StatusCode, Problem> {
    let deleted = session.run(move |caller| caller.environment_administrator(None)?.delete(&id));
    deleted.await.map(|()| StatusCode::NO_CONTENT)
}

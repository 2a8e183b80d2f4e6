//! `/credentials`: real cloud credentials. Their secrets go in and never come out.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

use super::list::{Limit, Page};
use crate::{
    clock::Timestamp,
    console::{
        error::Problem,
        extract::{self, Id, Query},
        session::Session,
    },
    model::{self, CloudId, CredentialId, EnvironmentId},
    secret::Secret,
    workflow::{CredentialChange, NewCredential, PageRequest},
};

/// How the credential comes by its keys.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A long-lived key, as given.
    Static,
}

#[derive(Serialize)]
pub(crate) struct Credential {
    id: CredentialId,
    name: String,
    cloud: CloudId,
    kind: Kind,
    access_key_id: String,
    environments: Vec<EnvironmentId>,
    created_at: Timestamp,
}

impl From<model::Credential> for Credential {
    fn from(credential: model::Credential) -> Self {
        let model::Credential { id, name, cloud, access_key_id, environments, created_at } = credential;
        Self { id, name, cloud, kind: Kind::Static, access_key_id, environments, created_at }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    name: String,
    cloud: CloudId,
    #[serde(rename = "kind")]
    _kind: Kind,
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    #[serde(default)]
    environments: Vec<EnvironmentId>,
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    name: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    session_token: Option<Secret>,
    environments: Option<Vec<EnvironmentId>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    environment: Option<EnvironmentId>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

pub(crate) async fn list(session: Session, Query(filter): Query<Filter>) -> Result<Json<Page<Credential>>, Problem> {
    let Filter { environment, limit: Limit(limit), cursor } = filter;
    let page =
        session.run(move |caller| caller.credentials(environment.as_ref(), &PageRequest { limit, cursor })).await?;
    Ok(Json(Page::of(page, Credential::from)))
}

pub(crate) async fn create(
    session: Session,
    extract::Json(new): extract::Json<New>,
) -> Result<impl IntoResponse, Problem> {
    let New { name, cloud, _kind, access_key_id, secret_access_key, session_token, environments } = new;
    let new = NewCredential { name, cloud, access_key_id, secret_access_key, session_token, environments };
    let made = session.run(move |caller| caller.credential_administrator()?.create(&new)).await?;
    let location = [(header::LOCATION, format!("/api/v1/credentials/{}", made.id))];
    Ok((StatusCode::CREATED, location, Json(Credential::from(made))))
}

pub(crate) async fn show(session: Session, Id(id): Id<CredentialId>) -> Result<Json<Credential>, Problem> {
    session.run(move |caller| caller.credential(&id)).await.map(|found| Json(found.into()))
}

pub(crate) async fn change(
    session: Session,
    Id(id): Id<CredentialId>,
    extract::Json(change): extract::Json<Change>,
) -> Result<Json<Credential>, Problem> {
    let Change { name, access_key_id, secret_access_key, session_token, environments } = change;
    let change = CredentialChange { name, access_key_id, secret_access_key, session_token, environments };
    let changed = session.run(move |caller| caller.credential_administrator()?.change(&id, &change));
    changed.await.map(|changed| Json(changed.into()))
}

pub(crate) async fn delete(session: Session, Id(id): Id<CredentialId>) -> Result<StatusCode, Problem> {
    let deleted = session.run(move |caller| caller.credential_administrator()?.delete(&id));
    deleted.await.map(|()| StatusCode::NO_CONTENT)
}

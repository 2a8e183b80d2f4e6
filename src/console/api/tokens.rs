//! `/tokens`: API tokens of the caller's own, for programs.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

use super::{list::Page, span::Span};
use crate::{
    clock::Timestamp,
    console::{
        error::Problem,
        extract::{self, Id},
        session::Session,
    },
    workflow::{ApiToken, Caller, NewApiToken},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    name: String,
    duration: Option<Span>,
}

#[derive(Serialize)]
pub(crate) struct ApiTokenView {
    id: String,
    name: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// In the answer to its making only.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl From<ApiToken> for ApiTokenView {
    fn from(known: ApiToken) -> Self {
        let ApiToken { id, name, created_at, expires_at } = known;
        Self { id, name, created_at, expires_at, token: None }
    }
}

pub(crate) async fn create(
    session: Session,
    extract::Json(body): extract::Json<NewToken>,
) -> Result<impl IntoResponse, Problem> {
    let new = NewApiToken { name: body.name, duration: body.duration.map(|Span(span)| span) };
    let (known, secret) = session.run(move |caller| caller.create_api_token(&new)).await?;
    let location = [(header::LOCATION, format!("/api/v1/tokens/{}", known.id))];
    let made = ApiTokenView { token: Some(secret.expose().to_owned()), ..known.into() };
    Ok((StatusCode::CREATED, location, Json(made)))
}

pub(crate) async fn list(session: Session) -> Result<Json<Page<ApiTokenView>>, Problem> {
    let tokens = session.run(Caller::api_tokens).await?;
    Ok(Json(Page { items: tokens.into_iter().map(ApiTokenView::from).collect(), next_cursor: None }))
}

pub(crate) async fn delete(session: Session, Id(id): Id<String>) -> Result<StatusCode, Problem> {
    session.run(move |caller| caller.delete_api_token(&id)).await.map(|()| StatusCode::NO_CONTENT)
}

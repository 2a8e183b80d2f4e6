//! `/tokens`: API tokens of the caller's own, for programs.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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

/// An API token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// At most 100 bytes.
    #[schema(min_length = 1, max_length = 100, examples("nightly build"))]
    name: String,
    /// At most `366d`; `90d` if left out.
    duration: Option<Span>,
}

/// An API token.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiToken)]
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

/// Make an API token
///
/// For programs that act as the caller. The token itself is in this answer only.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    operation_id = "create_token",
    tag = "API tokens",
    request_body = NewToken,
    responses((status = 201, description = "Made.", body = ApiTokenView, headers(("location" = String, description = "Where what was made is.")))),
)]
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

/// List the caller's API tokens
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    operation_id = "list_tokens",
    tag = "API tokens",
    responses((status = 200, description = "All of them, on one page.", body = Page<ApiTokenView>)),
)]
pub(crate) async fn list(session: Session) -> Result<Json<Page<ApiTokenView>>, Problem> {
    let tokens = session.run(Caller::api_tokens).await?;
    Ok(Json(Page { items: tokens.into_iter().map(ApiTokenView::from).collect(), next_cursor: None }))
}

/// End one of the caller's API tokens
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    operation_id = "delete_token",
    tag = "API tokens",
    params(("id" = String, Path, description = "The token's id, which is not the token.", pattern = "^[a-z0-9-]{1,64}$")),
    responses((status = 204, description = "Removed.")),
)]
pub(crate) async fn delete(session: Session, Id(id): Id<String>) -> Result<StatusCode, Problem> {
    session.run(move |caller| caller.delete_api_token(&id)).await.map(|()| StatusCode::NO_CONTENT)
}

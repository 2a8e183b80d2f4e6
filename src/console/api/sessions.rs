//! `/sessions`: signing in and out.

use axum::{
    extract,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    console::{State, error::Problem, extract::Json, session, session::Session},
    secret::Secret,
    workflow::{Caller, SignedIn},
};

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    #[schema(examples("dora"))]
    username: String,
    #[schema(value_type = String, format = Password, write_only)]
    password: Secret,
}

/// A session that has begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewSession {
    /// For `Authorization: Bearer`.
    token: String,
    expires_at: Timestamp,
    user: super::users::Person,
}

impl From<SignedIn> for NewSession {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            token: signed_in.token.expose().to_owned(),
            expires_at: signed_in.expires_at,
            user: signed_in.user.into(),
        }
    }
}

/// Sign in
///
/// Wrong passwords are answered ever more slowly: 429 says when to try again.
#[utoipa::path(
    post,
    path = "/api/v1/sessions",
    operation_id = "create_session",
    tag = "Sessions",
    security(()),
    request_body = SignIn,
    responses((status = 201, description = "Signed in.", body = NewSession, headers(("location" = String, description = "Where the session is."))), (status = 401, description = "Wrong user name or password."), (status = 429, description = "Wait, as `retry-after` says.")),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Json(body): Json<SignIn>,
) -> Result<impl IntoResponse, Problem> {
    let signed_in = session::run(move || state.workflow.sign_in(&body.username, &body.password)).await?;
    let location = [(header::LOCATION, "/api/v1/sessions/current")];
    Ok((StatusCode::CREATED, location, axum::Json(NewSession::from(signed_in))))
}

/// Sign out
///
/// The token that the call is made with no longer works.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/current",
    operation_id = "delete_session",
    tag = "Sessions",
    responses((status = 204, description = "Signed out.")),
)]
pub(crate) async fn delete(session: Session) -> Result<StatusCode, Problem> {
    session.run(Caller::sign_out).await.map(|()| StatusCode::NO_CONTENT)
}

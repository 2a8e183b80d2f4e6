//! `/sessions`: signing in and out.

use axum::{
    extract,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::list::Page;
use crate::{
    clock::Timestamp,
    console::{
        State,
        error::Problem,
        extract::{Id, Json},
        session,
        session::Session,
    },
    secret::Secret,
    workflow::{Caller, Error, Origin, OwnSession, SignedIn},
};

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    #[schema(examples("dora"))]
    username: String,
    #[schema(value_type = String, format = Password, write_only)]
    password: Secret,
    /// For who has a second factor: a code of the authenticator app, or a recovery code.
    #[schema(value_type = Option<String>, write_only, examples("123456"))]
    otp: Option<Secret>,
}

/// Somewhere that the caller is signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct Known {
    id: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// The address that it was begun from; behind a program that ends TLS, that program's.
    #[schema(required)]
    address: Option<String>,
    /// The program that it was begun with, as that calls itself.
    #[schema(required)]
    client: Option<String>,
    /// To some minutes.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// Is it the one that the call is made with?
    current: bool,
}

impl From<OwnSession> for Known {
    fn from(known: OwnSession) -> Self {
        let OwnSession { id, created_at, expires_at, address, client, last_used_at, current } = known;
        Self { id, created_at, expires_at, address, client, last_used_at, current }
    }
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
/// Wrong passwords are answered ever more slowly: 429 says when to try again. Where a second factor is needed and `otp` is
/// missing, the answer is a problem of the type `urn:csg:problem:second_factor_required`.
#[utoipa::path(
    post,
    path = "/api/v1/sessions",
    operation_id = "create_session",
    tag = "Sessions",
    security(()),
    request_body = SignIn,
    responses((status = 201, description = "Signed in.", body = NewSession, headers(("location" = String, description = "Where the session is."))), (status = 401, description = "Wrong user name, password or code; or a code is needed, as `type` says."), (status = 429, description = "Wait, as `retry-after` says.")),
)]
pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    origin: Origin,
    Json(body): Json<SignIn>,
) -> Result<impl IntoResponse, Problem> {
    let SignIn { username, password, otp } = body;
    let signed_in = session::run(move || state.workflow.sign_in(&username, &password, otp.as_ref(), &origin)).await?;
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

/// List the caller's sessions
///
/// The newest first. API tokens are listed apart.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    operation_id = "list_sessions",
    tag = "Sessions",
    responses((status = 200, description = "All of them, on one page.", body = Page<Known>)),
)]
pub(crate) async fn list(session: Session) -> Result<axum::Json<Page<Known>>, Problem> {
    let sessions = session.run(Caller::sessions).await?;
    Ok(axum::Json(Page { items: sessions.into_iter().map(Known::from).collect(), next_cursor: None }))
}

/// End another session of the caller's
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{id}",
    operation_id = "end_session",
    tag = "Sessions",
    params(("id" = String, Path, description = "The session's id, which is not its token.", pattern = "^[a-z0-9-]{1,64}$")),
    responses((status = 204, description = "Ended.")),
)]
pub(crate) async fn end(session: Session, Id(id): Id<String>) -> Result<StatusCode, Problem> {
    let ended = session.run(move |caller| match caller.end_sessions(Some(&id))? {
        0 => Err(Error::NotFound("session")),
        _ => Ok(()),
    });
    ended.await.map(|()| StatusCode::NO_CONTENT)
}

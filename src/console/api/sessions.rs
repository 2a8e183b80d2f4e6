//! `/sessions`: signing in and out.

use axum::{
    extract,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    console::{State, error::Problem, extract::Json, session, session::Session},
    secret::Secret,
    workflow::{Caller, SignedIn},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    username: String,
    password: Secret,
}

#[derive(Serialize)]
struct NewSession {
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

pub(crate) async fn create(
    extract::State(state): extract::State<State>,
    Json(body): Json<SignIn>,
) -> Result<impl IntoResponse, Problem> {
    let signed_in = session::run(move || state.workflow.sign_in(&body.username, &body.password)).await?;
    let location = [(header::LOCATION, "/api/v1/sessions/current")];
    Ok((StatusCode::CREATED, location, axum::Json(NewSession::from(signed_in))))
}

pub(crate) async fn delete(session: Session) -> Result<StatusCode, Problem> {
    session.run(Caller::sign_out).await.map(|()| StatusCode::NO_CONTENT)
}

//! `/me/password` and `/me/second-factor`: how the caller signs in; and `/users/{id}/second-factor`, for who has lost it.

use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sessions::NewSession;
use crate::{
    clock::Timestamp,
    console::{
        error::Problem,
        extract::{self, Id},
        session::Session,
    },
    model::UserName,
    secret::Secret,
    workflow::Caller,
};

/// The present password and a new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    #[schema(value_type = String, format = Password, write_only)]
    current_password: Secret,
    /// 8 to 1,024 bytes.
    #[schema(value_type = String, format = Password, write_only, min_length = 8, max_length = 1024)]
    password: Secret,
}

/// The password once more, before a change that a session left open must not be enough for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Password {
    #[schema(value_type = String, format = Password, write_only)]
    password: Secret,
}

/// A code of the authenticator app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    #[schema(value_type = String, write_only, examples("123456"))]
    otp: Secret,
}

/// The password, and a code of the authenticator app or a recovery code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordAndCode {
    #[schema(value_type = String, format = Password, write_only)]
    password: Secret,
    #[schema(value_type = String, write_only, examples("123456"))]
    otp: Secret,
}

/// How the caller's second factor stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecondFactor {
    enabled: bool,
    /// When it was set up.
    #[schema(required)]
    created_at: Option<Timestamp>,
    /// How many recovery codes were not used yet.
    recovery_codes_left: usize,
}

/// What an authenticator app has to be told.
#[derive(Serialize, ToSchema)]
pub(crate) struct Enrolment {
    /// In base 32, as people type it.
    key: String,
    /// The same and all else, as an `otpauth:` address: what a QR code for the app says.
    address: String,
}

/// The second factor is on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Enabled {
    /// Each works once, in place of a code of the app. They are in this answer only.
    recovery_codes: Vec<String>,
    session: NewSession,
}

/// Change the caller's password
///
/// Other sessions end, and this one gets a new token. API tokens go on working; one can't make this call.
#[utoipa::path(
    post,
    path = "/api/v1/me/password",
    operation_id = "change_my_password",
    tag = "Sessions",
    request_body = PasswordChange,
    responses((status = 200, description = "Changed. The token that the call was made with no longer works.", body = NewSession), (status = 429, description = "Wait, as `retry-after` says.")),
)]
pub(crate) async fn change_password(
    session: Session,
    extract::Json(body): extract::Json<PasswordChange>,
) -> Result<Json<NewSession>, Problem> {
    let done = session.run(move |caller| caller.change_password(&body.current_password, &body.password));
    done.await.map(|signed_in| Json(signed_in.into()))
}

/// Show the caller's second factor
#[utoipa::path(
    get,
    path = "/api/v1/me/second-factor",
    operation_id = "show_second_factor",
    tag = "Sessions",
    responses((status = 200, description = "How it stands.", body = SecondFactor)),
)]
pub(crate) async fn show(session: Session) -> Result<Json<SecondFactor>, Problem> {
    let found = session.run(Caller::second_factor).await?;
    Ok(Json(SecondFactor {
        enabled: found.is_some(),
        created_at: found.map(|found| found.created_at),
        recovery_codes_left: found.map_or(0, |found| found.recovery_codes_left),
    }))
}

/// Begin to set up a second factor
///
/// The key is in this answer only, and counts once a code made with it is confirmed, within 15 minutes.
#[utoipa::path(
    post,
    path = "/api/v1/me/second-factor",
    operation_id = "begin_second_factor",
    tag = "Sessions",
    request_body = Password,
    responses((status = 201, description = "For the authenticator app.", body = Enrolment), (status = 409, description = "There is one already."), (status = 429, description = "Wait, as `retry-after` says.")),
)]
pub(crate) async fn begin(
    session: Session,
    extract::Json(body): extract::Json<Password>,
) -> Result<(StatusCode, Json<Enrolment>), Problem> {
    let begun = session.run(move |caller| caller.begin_second_factor(&body.password)).await?;
    let enrolment = Enrolment { key: begun.key.expose().to_owned(), address: begun.address.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(enrolment)))
}

/// Turn the second factor on
///
/// With a code made with the key. Other sessions end, and this one gets a new token.
#[utoipa::path(
    post,
    path = "/api/v1/me/second-factor/confirm",
    operation_id = "confirm_second_factor",
    tag = "Sessions",
    request_body = Code,
    responses((status = 200, description = "On. The token that the call was made with no longer works.", body = Enabled), (status = 409, description = "Nothing is being set up."), (status = 429, description = "Wait, as `retry-after` says.")),
)]
pub(crate) async fn confirm(
    session: Session,
    extract::Json(body): extract::Json<Code>,
) -> Result<Json<Enabled>, Problem> {
    let (codes, signed_in) = session.run(move |caller| caller.confirm_second_factor(&body.otp)).await?;
    let recovery_codes = codes.iter().map(|code| code.expose().to_owned()).collect();
    Ok(Json(Enabled { recovery_codes, session: signed_in.into() }))
}

/// Turn the second factor off
///
/// The session gets a new token.
#[utoipa::path(
    post,
    path = "/api/v1/me/second-factor/disable",
    operation_id = "disable_second_factor",
    tag = "Sessions",
    request_body = PasswordAndCode,
    responses((status = 200, description = "Off. The token that the call was made with no longer works.", body = NewSession), (status = 409, description = "There is none."), (status = 429, description = "Wait, as `retry-after` says.")),
)]
pub(crate) async fn disable(
    session: Session,
    extract::Json(body): extract::Json<PasswordAndCode>,
) -> Result<Json<NewSession>, Problem> {
    let done = session.run(move |caller| caller.disable_second_factor(&body.password, &body.otp));
    done.await.map(|signed_in| Json(signed_in.into()))
}

/// Take a person's second factor away
///
/// Needs `users.manage`; for who has lost it. The person's sessions end, and the password alone lets them in until they
/// set up another. Nobody can do it to themselves.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}/second-factor",
    operation_id = "reset_second_factor",
    tag = "People",
    params(("id" = UserName, Path, description = "The user name.")),
    responses((status = 204, description = "Taken away."), (status = 409, description = "There is none.")),
)]
pub(crate) async fn reset(session: Session, Id(name): Id<UserName>) -> Result<StatusCode, Problem> {
    let done = session.run(move |caller| caller.administrator()?.reset_second_factor(&name));
    done.await.map(|()| StatusCode::NO_CONTENT)
}

//! `/access-requests/{id}/…`: deciding, the secret, and the other steps of an access request's life.

use std::time::Duration;

use axum::{Json, extract::State as FromState};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{access_requests::AccessRequest, span::Span};
use crate::{
    clock::Timestamp,
    console::{
        State,
        error::Problem,
        extract::{self, Id},
        session::Session,
    },
    model::{AccessKeyId, AccessRequestId, CredentialId, PolicyGroupId},
    workflow::{self, AccessRequestView, Approval, Attach, Caller, Revealed},
};

/// A yes, and what it is for.
#[derive(Deserialize, ToSchema)]
#[schema(as = Approval)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approve {
    /// The real credential behind the key: one of the environment's.
    credential: CredentialId,
    /// Whose rules the calls must keep. If it is left out, the one that was asked for, which must still be there, or none
    /// where none was; if null, none, whatever was asked for.
    #[serde(default, deserialize_with = "attach")]
    #[schema(value_type = Option<PolicyGroupId>)]
    policy_group: Attach,
    /// When access ends; if null, after the duration that was asked for, or when revoked.
    expires_at: Option<Timestamp>,
    /// Operations that hand out cloud credentials and are allowed all the same: any of the request's `credential_operations`.
    #[serde(default)]
    #[schema(examples(json!(["sts:AssumeRole"])))]
    allow_credential_operations: Vec<String>,
    /// At most 4,000 bytes.
    #[schema(max_length = 4000)]
    comment: Option<String>,
}

/// Approve an access request
///
/// Needs `access_requests.manage`. Nobody approves their own request unless the settings say so. The key starts to work when the requester has read its secret.
#[utoipa::path(
    post,
    path = "/api/v1/access-requests/{id}/approve",
    operation_id = "approve_access_request",
    tag = "Access requests",
    request_body = Approve,
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "Done: the request as it is now.", body = AccessRequest), (status = 409, description = "Not from its present status, which the problem names.")),
)]
pub(crate) async fn approve(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    extract::Json(body): extract::Json<Approve>,
) -> Result<Json<AccessRequest>, Problem> {
    let Approve { credential, policy_group, expires_at, allow_credential_operations, comment } = body;
    let approval = Approval { credential, policy_group, expires_at, allow_credential_operations, comment };
    step(state, session, move |caller| caller.approver(&id)?.approve(&approval)).await
}

/// Null says something, too.
fn attach<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attach, D::Error> {
    let said = Option::<PolicyGroupId>::deserialize(deserializer)?;
    Ok(said.map_or(Attach::Nothing, Attach::Group))
}

/// What may go with a step; the whole body may be left out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comment {
    /// At most 4,000 bytes.
    #[schema(max_length = 4000)]
    comment: Option<String>,
}

type MaybeComment = Option<extract::Json<Comment>>;

fn comment(body: MaybeComment) -> Option<String> {
    body.and_then(|extract::Json(body)| body.comment)
}

/// Deny an access request
///
/// Needs `access_requests.manage`; the request is `pending`.
#[utoipa::path(
    post,
    path = "/api/v1/access-requests/{id}/deny",
    operation_id = "deny_access_request",
    tag = "Access requests",
    request_body(content = Option<Comment>, description = "May be left out."),
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "Done: the request as it is now.", body = AccessRequest), (status = 409, description = "Not from its present status, which the problem names.")),
)]
pub(crate) async fn deny(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: MaybeComment,
) -> Result<Json<AccessRequest>, Problem> {
    step(state, session, move |caller| caller.approver(&id)?.deny(comment(body).as_deref())).await
}

/// End access
///
/// Needs `access_requests.manage`. The next call is refused, and a stream in flight ends within 5 seconds. It can't be undone.
#[utoipa::path(
    post,
    path = "/api/v1/access-requests/{id}/revoke",
    operation_id = "revoke_access_request",
    tag = "Access requests",
    request_body(content = Option<Comment>, description = "May be left out."),
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "Done: the request as it is now.", body = AccessRequest), (status = 409, description = "Not from its present status, which the problem names.")),
)]
pub(crate) async fn revoke(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: MaybeComment,
) -> Result<Json<AccessRequest>, Problem> {
    step(state, session, move |caller| caller.approver(&id)?.revoke(comment(body).as_deref())).await
}

/// Put an access request away
///
/// Needs `access_requests.manage`. One that is `approved` or `active` is disabled by it.
#[utoipa::path(
    post,
    path = "/api/v1/access-requests/{id}/archive",
    operation_id = "archive_access_request",
    tag = "Access requests",
    request_body(content = Option<Comment>, description = "May be left out."),
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "Done: the request as it is now.", body = AccessRequest), (status = 409, description = "Not from its present status, which the problem names.")),
)]
pub(crate) async fn archive(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: MaybeComment,
) -> Result<Json<AccessRequest>, Problem> {
    step(state, session, move |caller| caller.approver(&id)?.archive(comment(body).as_deref())).await
}

/// Take an access request back
///
/// For who made it, while it is `pending`.
#[utoipa::path(
    post,
    path = "/api/v1/access-requests/{id}/withdraw",
    operation_id = "withdraw_access_request",
    tag = "Access requests",
    request_body(content = Option<Comment>, description = "May be left out."),
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "Done: the request as it is now.", body = AccessRequest), (status = 409, description = "Not from its present status, which the problem names.")),
)]
pub(crate) async fn withdraw(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: MaybeComment,
) -> Result<Json<AccessRequest>, Problem> {
    step(state, session, move |caller| caller.owner(&id)?.withdraw(comment(body).as_deref())).await
}

/// How the old key ends.
#[derive(Deserialize, ToSchema)]
#[schema(as = Rotation)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    /// How long the present key goes on working once the new secret was read: at most `7d`; not at all if left out.
    overlap: Option<Span>,
}

/// Make a new key pair
///
/// For who made the request, while it is `active`. The answer is the request with `secret_available: true`; `POST …/secret` then gives the new pair, once. The old key goes on working until the new secret was read and the overlap is over.
#[utoipa::path(
    post,
    path = "/api/v1/access-requests/{id}/rotate",
    operation_id = "rotate_access_request",
    tag = "Access requests",
    request_body(content = Option<Rotate>, description = "May be left out."),
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "Done: the request as it is now.", body = AccessRequest), (status = 409, description = "Not from its present status, which the problem names.")),
)]
pub(crate) async fn rotate(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: Option<extract::Json<Rotate>>,
) -> Result<Json<AccessRequest>, Problem> {
    let overlap = body.and_then(|extract::Json(body)| body.overlap).map_or(Duration::ZERO, |Span(span)| span);
    step(state, session, move |caller| caller.owner(&id)?.rotate(overlap)).await
}

/// A key pair, as it is shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneTimeSecret {
    access_key_id: AccessKeyId,
    secret_access_key: String,
    endpoint: String,
    ca_url: String,
}

/// Read the secret, once
///
/// For who made the request, after approval or rotation. It works exactly once, even for two calls at the same moment; from then on the key works. Afterwards 410.
#[utoipa::path(
    post,
    path = "/api/v1/access-requests/{id}/secret",
    operation_id = "read_secret",
    tag = "Access requests",
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "The key pair. It is never shown again.", body = OneTimeSecret), (status = 409, description = "There is no secret in its present status, which the problem names."), (status = 410, description = "The secret was read already.")),
)]
pub(crate) async fn secret(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
) -> Result<Json<OneTimeSecret>, Problem> {
    let Revealed { access_key_id, secret_access_key } = session.run(move |caller| caller.owner(&id)?.reveal()).await?;
    Ok(Json(OneTimeSecret {
        access_key_id,
        secret_access_key: secret_access_key.expose().to_owned(),
        endpoint: state.endpoint.to_string(),
        ca_url: state.ca_url(),
    }))
}

async fn step(
    state: State,
    session: Session,
    work: impl FnOnce(&Caller) -> Result<AccessRequestView, workflow::Error> + Send + 'static,
) -> Result<Json<AccessRequest>, Problem> {
    let view = session.run(work).await?;
    Ok(Json(AccessRequest::new(&state, view)))
}

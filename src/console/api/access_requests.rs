//! `/access-requests`: asking for access, deciding, and the steps of its life.

use axum::{
    Json,
    extract::State as FromState,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    list::{Limit, Page},
    span::Span,
};
use crate::{
    audit::Usage,
    clock::Timestamp,
    cloud::credential_operations,
    console::{
        State,
        error::Problem,
        extract::{self, Id, Query},
        session::Session,
    },
    model::{AccessKeyId, AccessRequestId, CloudId, CredentialId, EnvironmentId, ServiceId, Status, UserName},
    workflow::{
        self, AccessRequestView, Approval, Caller, KeyView, NewAccessRequest, PageRequest, RequestFilter, Revealed,
    },
};

/// A wish to use services of a cloud, and what became of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccessRequest {
    id: AccessRequestId,
    environment: EnvironmentId,
    cloud: CloudId,
    services: Vec<ServiceId>,
    status: Status,
    requested_by: UserName,
    justification: String,
    /// As asked for; null: until revoked.
    #[schema(required)]
    duration: Option<Span>,
    created_at: Timestamp,
    #[schema(required)]
    decided_by: Option<UserName>,
    #[schema(required)]
    decided_at: Option<Timestamp>,
    #[schema(required)]
    decision_comment: Option<String>,
    #[schema(required)]
    credential: Option<CredentialId>,
    #[schema(required)]
    policy_group: Option<String>,
    /// Those operations that hand out cloud credentials and are allowed all the same.
    #[schema(examples(json!(["sts:AssumeRole"])))]
    allow_credential_operations: Vec<String>,
    /// The operations of its services that hand out cloud credentials: each is refused unless an approval allows it.
    #[schema(examples(json!(["sts:AssumeRole", "sts:GetSessionToken"])))]
    credential_operations: Vec<String>,
    #[schema(required)]
    expires_at: Option<Timestamp>,
    #[schema(required)]
    access_key_id: Option<AccessKeyId>,
    /// The requester can read a secret now, once.
    secret_available: bool,
    keys: Vec<Key>,
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// Where cloud clients find the gateway.
    endpoint: String,
    ca_url: String,
}

/// One of an access request's key pairs; the secret is not in it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Key {
    access_key_id: AccessKeyId,
    created_at: Timestamp,
    /// When its secret was read; null while it waits for that.
    #[schema(required)]
    revealed_at: Option<Timestamp>,
    /// When it ends because another has replaced it.
    #[schema(required)]
    ends_at: Option<Timestamp>,
}

impl From<KeyView> for Key {
    fn from(KeyView { access_key_id, created_at, revealed_at, ends_at }: KeyView) -> Self {
        Self { access_key_id, created_at, revealed_at, ends_at }
    }
}

impl AccessRequest {
    fn new(state: &State, view: AccessRequestView) -> Self {
        let AccessRequestView { request, access_key_id, secret_available, keys } = view;
        let handing = |service: &ServiceId| {
            let names = credential_operations(&request.cloud, service).into_iter();
            names.map(|name| format!("{service}:{name}")).collect::<Vec<_>>()
        };
        let credential_operations = request.services.iter().flat_map(handing).collect();
        Self {
            last_used_at: state.audit.last_used(&request.id),
            id: request.id,
            environment: request.environment,
            cloud: request.cloud,
            services: request.services,
            status: request.status,
            requested_by: request.requested_by,
            justification: request.justification,
            duration: request.duration_seconds.map(|seconds| Span(std::time::Duration::from_secs(seconds))),
            created_at: request.created_at,
            decided_by: request.decided_by,
            decided_at: request.decided_at,
            decision_comment: request.decision_comment,
            credential: request.credential,
            policy_group: None,
            allow_credential_operations: request.allow_credential_operations,
            credential_operations,
            expires_at: request.expires_at,
            access_key_id,
            secret_available,
            keys: keys.into_iter().map(Key::from).collect(),
            endpoint: state.endpoint.to_string(),
            ca_url: state.ca_url(),
        }
    }
}

/// A wish for access.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewAccessRequest)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    cloud: CloudId,
    /// Ids of `GET /clouds`; repeats don't count.
    #[schema(min_items = 1)]
    services: Vec<ServiceId>,
    /// Why; at most 4,000 bytes.
    #[schema(min_length = 1, max_length = 4000, examples("The order service keeps its orders in DynamoDB."))]
    justification: String,
    /// For how long, from approval; until revoked if null.
    duration: Option<Span>,
}

/// Ask for access
///
/// Needs `cloud_services.request` in the environment. The request then waits for an approver.
#[utoipa::path(
    post,
    path = "/api/v1/environments/{id}/access-requests",
    operation_id = "create_access_request",
    tag = "Access requests",
    params(("id" = EnvironmentId, Path, description = "The environment's slug.")),
    request_body = New,
    responses((status = 201, description = "Made.", body = AccessRequest, headers(("location" = String, description = "Where what was made is.")))),
)]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    session: Session,
    Id(environment): Id<EnvironmentId>,
    extract::Json(new): extract::Json<New>,
) -> Result<impl IntoResponse, Problem> {
    let New { cloud, services, justification, duration } = new;
    let new = NewAccessRequest { cloud, services, justification, duration: duration.map(|Span(span)| span) };
    let made = session.run(move |caller| caller.requester(&environment)?.submit(&new)).await?;
    let location = [(header::LOCATION, format!("/api/v1/access-requests/{}", made.request.id))];
    Ok((StatusCode::CREATED, location, Json(AccessRequest::new(&state, made))))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// One status, or several with commas between them: pending, approved, active, denied, withdrawn, revoked, expired,
    /// archived.
    #[param(
        pattern = r"^(pending|approved|active|denied|withdrawn|revoked|expired|archived)(,(pending|approved|active|denied|withdrawn|revoked|expired|archived))*$",
        example = "pending,approved"
    )]
    status: Option<String>,
    environment: Option<EnvironmentId>,
    requested_by: Option<UserName>,
    /// Asking for this service, alone or among others.
    service: Option<ServiceId>,
    /// How many items the page may have.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Filter {
    fn split(self) -> Result<(RequestFilter, PageRequest), Problem> {
        let Self { status, environment, requested_by, service, limit: Limit(limit), cursor } = self;
        let known = |name: &str| Status::ALL.into_iter().find(|status| status.name() == name);
        let names = status.as_deref().map(|names| names.split(',').map(known).collect::<Option<_>>());
        let statuses = names.unwrap_or_else(|| Some(std::collections::BTreeSet::new())).ok_or_else(|| {
            let all: Vec<_> = Status::ALL.iter().map(|status| status.name()).collect();
            Problem::invalid_field("status", format!("must be of {}", all.join(", ")))
        })?;
        Ok((RequestFilter { statuses, environment, requested_by, service }, PageRequest { limit, cursor }))
    }
}

/// List all access requests
///
/// Account scope: needs `access_requests.manage` everywhere. Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/access-requests",
    operation_id = "list_access_requests",
    tag = "Access requests",
    params(Filter),
    responses((status = 200, description = "A page of the list.", body = Page<AccessRequest>)),
)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    session: Session,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<AccessRequest>>, Problem> {
    let (filter, page) = filter.split()?;
    let page = session.run(move |caller| caller.all_access_requests(&filter, &page)).await?;
    Ok(Json(Page::of(page, |view| AccessRequest::new(&state, view))))
}

/// List an environment's access requests
///
/// The caller's own, or all for who may see them. Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/environments/{id}/access-requests",
    operation_id = "list_environment_access_requests",
    tag = "Access requests",
    params(("id" = EnvironmentId, Path, description = "The environment's slug."), Filter),
    responses((status = 200, description = "A page of the list.", body = Page<AccessRequest>)),
)]
pub(crate) async fn list_in_environment(
    FromState(state): FromState<State>,
    session: Session,
    Id(environment): Id<EnvironmentId>,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<AccessRequest>>, Problem> {
    let (filter, page) = filter.split()?;
    if filter.environment.as_ref().is_some_and(|other| *other != environment) {
        return Err(Problem::invalid_field("environment", "must be the one in the path, or left out"));
    }
    let page = session.run(move |caller| caller.environment_access_requests(&environment, &filter, &page)).await?;
    Ok(Json(Page::of(page, |view| AccessRequest::new(&state, view))))
}

/// Show an access request
///
/// For who made it, and for who may decide it.
#[utoipa::path(
    get,
    path = "/api/v1/access-requests/{id}",
    operation_id = "show_access_request",
    tag = "Access requests",
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "As it is now.", body = AccessRequest)),
)]
pub(crate) async fn show(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
) -> Result<Json<AccessRequest>, Problem> {
    let view = session.run(move |caller| caller.access_request(&id)).await?;
    Ok(Json(AccessRequest::new(&state, view)))
}

/// A yes, and what it is for.
#[derive(Deserialize, ToSchema)]
#[schema(as = Approval)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approve {
    /// The real credential behind the key: one of the environment's.
    credential: CredentialId,
    /// None yet: null or left out.
    policy_group: Option<String>,
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
    let overlap =
        body.and_then(|extract::Json(body)| body.overlap).map_or(std::time::Duration::ZERO, |Span(span)| span);
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

/// Show how access was used
///
/// Calls, errors, bytes and last use; by service and operation, by hour and by day (UTC).
#[utoipa::path(
    get,
    path = "/api/v1/access-requests/{id}/usage",
    operation_id = "show_usage",
    tag = "Access requests",
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "What was counted.", body = Usage)),
)]
pub(crate) async fn usage(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
) -> Result<Json<Usage>, Problem> {
    let usage = session.try_run(move |caller| {
        let view = caller.access_request(&id)?;
        state.audit.flush(super::audit::FLUSH);
        Ok(state.audit.usage(&id, view.request.created_at)?)
    });
    usage.await.map(Json)
}

async fn step(
    state: State,
    session: Session,
    work: impl FnOnce(&Caller) -> Result<AccessRequestView, workflow::Error> + Send + 'static,
) -> Result<Json<AccessRequest>, Problem> {
    let view = session.run(work).await?;
    Ok(Json(AccessRequest::new(&state, view)))
}

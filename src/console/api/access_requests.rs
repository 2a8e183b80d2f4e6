//! `/access-requests`: asking for access, and what became of it. The steps of its life are in `access_request_steps`.

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
    clock::Timestamp,
    cloud::credential_operations,
    console::{
        State,
        error::Problem,
        extract::{self, Id, Query},
        session::Session,
    },
    model::{
        AccessKeyId, AccessRequestId, CloudId, CredentialId, EnvironmentId, PolicyGroupId, ServiceId, Status, UserName,
    },
    workflow::{AccessRequestView, KeyView, NewAccessRequest, PageRequest, RequestFilter},
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
    /// As asked for: the one whose rules the calls are to keep. It may have been deleted since.
    #[schema(required)]
    requested_policy_group: Option<PolicyGroupId>,
    created_at: Timestamp,
    #[schema(required)]
    decided_by: Option<UserName>,
    #[schema(required)]
    decided_at: Option<Timestamp>,
    #[schema(required)]
    decision_comment: Option<String>,
    #[schema(required)]
    credential: Option<CredentialId>,
    /// As attached by who approved it: the one whose rules its calls must keep (`GET /policy-groups/{id}`).
    #[schema(required)]
    policy_group: Option<PolicyGroupId>,
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
    pub(super) fn new(state: &State, view: AccessRequestView) -> Self {
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
            requested_policy_group: request.requested_policy_group,
            created_at: request.created_at,
            decided_by: request.decided_by,
            decided_at: request.decided_at,
            decision_comment: request.decision_comment,
            credential: request.credential,
            policy_group: request.policy_group,
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
    /// Whose rules the calls are to keep (`GET /policy-groups`). An approval that names no other attaches it.
    policy_group: Option<PolicyGroupId>,
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
    let New { cloud, services, justification, duration, policy_group } = new;
    let duration = duration.map(|Span(span)| span);
    let new = NewAccessRequest { cloud, services, justification, duration, policy_group };
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

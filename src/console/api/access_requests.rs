//! `/access-requests`: asking for access, deciding, and the steps of its life.

use axum::{
    Json,
    extract::State as FromState,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

use super::{
    list::{Limit, Page},
    span::Span,
};
use crate::{
    audit::Usage,
    clock::Timestamp,
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

#[derive(Serialize)]
pub(crate) struct AccessRequest {
    id: AccessRequestId,
    environment: EnvironmentId,
    cloud: CloudId,
    services: Vec<ServiceId>,
    status: Status,
    requested_by: UserName,
    justification: String,
    /// As asked for; null: until revoked.
    duration: Option<Span>,
    created_at: Timestamp,
    decided_by: Option<UserName>,
    decided_at: Option<Timestamp>,
    decision_comment: Option<String>,
    credential: Option<CredentialId>,
    policy_group: Option<String>,
    allow_credential_operations: Vec<String>,
    expires_at: Option<Timestamp>,
    access_key_id: Option<AccessKeyId>,
    /// The requester can read a secret now, once.
    secret_available: bool,
    keys: Vec<Key>,
    last_used_at: Option<Timestamp>,
    /// Where cloud clients find the gateway.
    endpoint: String,
    ca_url: String,
}

#[derive(Serialize)]
struct Key {
    access_key_id: AccessKeyId,
    created_at: Timestamp,
    /// When its secret was read; null while it waits for that.
    revealed_at: Option<Timestamp>,
    /// When it ends because another has replaced it.
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
            expires_at: request.expires_at,
            access_key_id,
            secret_available,
            keys: keys.into_iter().map(Key::from).collect(),
            endpoint: state.endpoint.to_string(),
            ca_url: state.ca_url(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    cloud: CloudId,
    services: Vec<ServiceId>,
    justification: String,
    duration: Option<Span>,
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// One status, or several with commas between them.
    status: Option<String>,
    environment: Option<EnvironmentId>,
    requested_by: Option<UserName>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

impl Filter {
    fn split(self) -> Result<(RequestFilter, PageRequest), Problem> {
        let Self { status, environment, requested_by, limit: Limit(limit), cursor } = self;
        let known = |name: &str| Status::ALL.into_iter().find(|status| status.name() == name);
        let names = status.as_deref().map(|names| names.split(',').map(known).collect::<Option<_>>());
        let statuses = names.unwrap_or_else(|| Some(std::collections::BTreeSet::new())).ok_or_else(|| {
            let all: Vec<_> = Status::ALL.iter().map(|status| status.name()).collect();
            Problem::invalid_field("status", format!("must be of {}", all.join(", ")))
        })?;
        Ok((RequestFilter { statuses, environment, requested_by }, PageRequest { limit, cursor }))
    }
}

pub(crate) async fn list(
    FromState(state): FromState<State>,
    session: Session,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<AccessRequest>>, Problem> {
    let (filter, page) = filter.split()?;
    let page = session.run(move |caller| caller.all_access_requests(&filter, &page)).await?;
    Ok(Json(Page::of(page, |view| AccessRequest::new(&state, view))))
}

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

pub(crate) async fn show(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
) -> Result<Json<AccessRequest>, Problem> {
    let view = session.run(move |caller| caller.access_request(&id)).await?;
    Ok(Json(AccessRequest::new(&state, view)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approve {
    credential: CredentialId,
    policy_group: Option<String>,
    expires_at: Option<Timestamp>,
    #[serde(default)]
    allow_credential_operations: Vec<String>,
    comment: Option<String>,
}

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
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comment {
    comment: Option<String>,
}

type MaybeComment = Option<extract::Json<Comment>>;

fn comment(body: MaybeComment) -> Option<String> {
    body.and_then(|extract::Json(body)| body.comment)
}

pub(crate) async fn deny(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: MaybeComment,
) -> Result<Json<AccessRequest>, Problem> {
    step(state, session, move |caller| caller.approver(&id)?.deny(comment(body).as_deref())).await
}

pub(crate) async fn revoke(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: MaybeComment,
) -> Result<Json<AccessRequest>, Problem> {
    step(state, session, move |caller| caller.approver(&id)?.revoke(comment(body).as_deref())).await
}

pub(crate) async fn archive(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: MaybeComment,
) -> Result<Json<AccessRequest>, Problem> {
    step(state, session, move |caller| caller.approver(&id)?.archive(comment(body).as_deref())).await
}

pub(crate) async fn withdraw(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
    body: MaybeComment,
) -> Result<Json<AccessRequest>, Problem> {
    step(state, session, move |caller| caller.owner(&id)?.withdraw(comment(body).as_deref())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    /// How long the present key goes on working once the new secret was read.
    overlap: Option<Span>,
}

/// Makes a new one-time secret: `POST …/secret` reads it.
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

#[derive(Serialize)]
pub(crate) struct OneTimeSecret {
    access_key_id: AccessKeyId,
    secret_access_key: String,
    endpoint: String,
    ca_url: String,
}

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

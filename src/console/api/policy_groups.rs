//! `/policy-groups`: rules about the names of what calls create, asked for, and attached to access when it is approved.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::list::{Page, Paging};
use crate::{
    clock::Timestamp,
    console::{
        error::Problem,
        extract::{self, Id, Query},
        session::Session,
    },
    model::{self, Conditions, PolicyGroupId, PolicyStatus, RuleType},
    workflow::{NewPolicy, NewPolicyGroup, PolicyGroupView},
};

/// A rule that calls must keep.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    #[serde(rename = "type")]
    kind: RuleType,
    status: PolicyStatus,
    conditions: Conditions,
    /// A prefix; or `/expression/` or `/expression/i`, as the type says. At most 1,000 bytes.
    #[schema(min_length = 1, max_length = 1000, examples("team-", "/^team-[0-9]+$/i"))]
    value: String,
}

impl From<model::Policy> for Policy {
    fn from(policy: model::Policy) -> Self {
        let model::Policy { rule, status, conditions } = policy;
        Self { kind: rule.kind(), status, conditions, value: rule.value().to_owned() }
    }
}

/// A named set of rules.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyGroup {
    id: PolicyGroupId,
    name: String,
    policies: Vec<Policy>,
    created_at: Timestamp,
    /// Is there access that its rules hold for? Then it can't be deleted. Null for who neither manages policy groups nor
    /// decides on access.
    #[schema(required)]
    in_use: Option<bool>,
}

impl From<PolicyGroupView> for PolicyGroup {
    fn from(PolicyGroupView { group, bound }: PolicyGroupView) -> Self {
        let model::PolicyGroup { id, name, policies, created_at } = group;
        let policies = policies.into_iter().map(Policy::from).collect();
        Self { id, name, policies, created_at, in_use: bound.map(|bound| bound > 0) }
    }
}

/// A policy group as it is to be.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewPolicyGroup)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    /// At most 200 bytes; no other group has it.
    #[schema(min_length = 1, max_length = 200, examples("team names"))]
    name: String,
    #[schema(max_items = 100, examples(json!([{
        "type": "csg.resource.name.prefix", "status": "enforced", "value": "team-",
        "conditions": {"cloud": "aws", "service": "dynamodb", "operation": "CreateTable"},
    }])))]
    policies: Vec<Policy>,
}

impl From<New> for NewPolicyGroup {
    fn from(New { name, policies }: New) -> Self {
        let policy = |Policy { kind, status, conditions, value }| NewPolicy { kind, value, status, conditions };
        Self { name, policies: policies.into_iter().map(policy).collect() }
    }
}

/// List policy groups
///
/// For who may manage them, for who decides on access, and for who may ask for access, in whatever environment.
#[utoipa::path(
    get,
    path = "/api/v1/policy-groups",
    operation_id = "list_policy_groups",
    tag = "Policy groups",
    params(Paging),
    responses((status = 200, description = "A page of the list.", body = Page<PolicyGroup>)),
)]
pub(crate) async fn list(session: Session, Query(page): Query<Paging>) -> Result<Json<Page<PolicyGroup>>, Problem> {
    let page = session.run(move |caller| caller.policy_groups(&page.into())).await?;
    Ok(Json(Page::of(page, PolicyGroup::from)))
}

/// Add a policy group
///
/// Needs `policies.manage`.
#[utoipa::path(
    post,
    path = "/api/v1/policy-groups",
    operation_id = "create_policy_group",
    tag = "Policy groups",
    request_body = New,
    responses((status = 201, description = "Made.", body = PolicyGroup, headers(("location" = String, description = "Where what was made is."))), (status = 409, description = "There is one of this name already, or there are too many.")),
)]
pub(crate) async fn create(
    session: Session,
    extract::Json(new): extract::Json<New>,
) -> Result<impl IntoResponse, Problem> {
    let made = session.run(move |caller| caller.policy_administrator()?.create(&new.into())).await?;
    let location = [(header::LOCATION, format!("/api/v1/policy-groups/{}", made.group.id))];
    Ok((StatusCode::CREATED, location, Json(PolicyGroup::from(made))))
}

/// Show a policy group
///
/// For who may list them, and for who has made an access request that asks for it or that it was attached to.
#[utoipa::path(
    get,
    path = "/api/v1/policy-groups/{id}",
    operation_id = "show_policy_group",
    tag = "Policy groups",
    params(("id" = PolicyGroupId, Path, description = "The policy group's id.")),
    responses((status = 200, description = "As it is now.", body = PolicyGroup)),
)]
pub(crate) async fn show(session: Session, Id(id): Id<PolicyGroupId>) -> Result<Json<PolicyGroup>, Problem> {
    session.run(move |caller| caller.policy_group(&id)).await.map(|found| Json(found.into()))
}

/// Replace a policy group
///
/// Needs `policies.manage`. The new rules hold from the next call on, for all access that has the group.
#[utoipa::path(
    put,
    path = "/api/v1/policy-groups/{id}",
    operation_id = "replace_policy_group",
    tag = "Policy groups",
    params(("id" = PolicyGroupId, Path, description = "The policy group's id.")),
    request_body = New,
    responses((status = 200, description = "As it is now.", body = PolicyGroup), (status = 409, description = "There is another of this name already.")),
)]
pub(crate) async fn replace(
    session: Session,
    Id(id): Id<PolicyGroupId>,
    extract::Json(new): extract::Json<New>,
) -> Result<Json<PolicyGroup>, Problem> {
    let replaced = session.run(move |caller| caller.policy_administrator()?.replace(&id, &new.into())).await?;
    Ok(Json(replaced.into()))
}

/// Remove a policy group
///
/// Needs `policies.manage`; not while access has it. Access requests that ask for it and wait stay as they are: their approval then has to say which policy group to attach, or null.
#[utoipa::path(
    delete,
    path = "/api/v1/policy-groups/{id}",
    operation_id = "delete_policy_group",
    tag = "Policy groups",
    params(("id" = PolicyGroupId, Path, description = "The policy group's id.")),
    responses((status = 204, description = "Removed."), (status = 409, description = "Access has it.")),
)]
pub(crate) async fn delete(session: Session, Id(id): Id<PolicyGroupId>) -> Result<StatusCode, Problem> {
    let deleted = session.run(move |caller| caller.policy_administrator()?.delete(&id));
    deleted.await.map(|()| StatusCode::NO_CONTENT)
}

//! `/credentials`: real cloud credentials. Their secrets go in and never come out.

use std::time::Duration;

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    list::{Limit, Page},
    new_credential::New,
    span::Span,
};
use crate::{
    clock::Timestamp,
    console::{
        error::Problem,
        extract::{self, Id, Query},
        session::Session,
    },
    model::{self, AccountId, AssumedRole, CloudId, CredentialId, EnvironmentId, Keys, RoleArn},
    secret::Secret,
    workflow::{CredentialChange, PageRequest},
};

/// How the credential comes by its keys.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[schema(as = CredentialKind)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The gateway assumes a role, and renews its session in time.
    Role,
    /// A key, as given.
    Static,
}

/// A real cloud credential, without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct Credential {
    id: CredentialId,
    name: String,
    cloud: CloudId,
    kind: Kind,
    /// Null where a role is assumed.
    #[schema(required)]
    access_key_id: Option<String>,
    /// The role that is assumed; null of a key.
    #[schema(required)]
    role_arn: Option<RoleArn>,
    /// The credential that assumes the role; null of a key.
    #[schema(required)]
    #[serde(rename = "source_credential")]
    source: Option<CredentialId>,
    /// The external id with which the role is assumed, if one was given.
    #[schema(required)]
    external_id: Option<String>,
    /// How long each session of the role lasts; null of a key.
    #[schema(required)]
    session_duration: Option<Span>,
    environments: Vec<EnvironmentId>,
    created_at: Timestamp,
    /// What AWS said when it was last asked about it; null if it never answered.
    #[schema(required)]
    checked: Option<Verdict>,
}

/// Whose a credential is, as the cloud says (`sts:GetCallerIdentity`).
#[derive(Serialize, ToSchema)]
#[schema(as = CredentialCheck)]
pub(crate) struct Verdict {
    account: AccountId,
    #[schema(examples("arn:aws:iam::123456789012:user/gateway"))]
    arn: String,
    user_id: String,
    checked_at: Timestamp,
}

impl From<model::Checked> for Verdict {
    fn from(model::Checked { principal, at }: model::Checked) -> Self {
        let model::Principal { account, arn, user_id } = principal;
        Self { account, arn, user_id, checked_at: at }
    }
}

impl From<model::Credential> for Credential {
    fn from(credential: model::Credential) -> Self {
        let model::Credential { id, name, cloud, keys, environments, created_at, checked } = credential;
        let (kind, access_key_id, role) = match keys {
            Keys::Role(role) => (Kind::Role, None, Some(role)),
            Keys::Static { access_key_id } => (Kind::Static, Some(access_key_id), None),
        };
        let (role_arn, source, external_id, session_duration) = match role {
            Some(AssumedRole { role_arn, source_credential, external_id, session_seconds }) => {
                let lasts = Span(Duration::from_secs(session_seconds.into()));
                (Some(role_arn), Some(source_credential), external_id, Some(lasts))
            }
            None => (None, None, None, None),
        };
        Self {
            id,
            name,
            cloud,
            kind,
            access_key_id,
            role_arn,
            source,
            external_id,
            session_duration,
            environments,
            created_at,
            checked: checked.map(Verdict::from),
        }
    }
}

/// More than can be meant is as wrong as the most.
pub(super) fn seconds(Span(span): Span) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// What is left out stays as it is. The session token goes with the secret: a new secret without one has none.
#[derive(Deserialize, ToSchema)]
#[schema(as = CredentialChange)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "null takes away, nothing leaves as it is")]
pub(crate) struct Change {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(pattern = "^[A-Za-z0-9_]{16,128}$")]
    access_key_id: Option<String>,
    #[schema(value_type = Option<String>, format = Password, write_only, pattern = "^[!-~]{1,512}$")]
    secret_access_key: Option<Secret>,
    #[schema(value_type = Option<String>, format = Password, write_only, pattern = "^[!-~]{1,16384}$")]
    session_token: Option<Secret>,
    /// Of a role only, as all below.
    role_arn: Option<RoleArn>,
    source_credential: Option<CredentialId>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9_+=,.@:/-]{2,1224}$")]
    external_id: Option<Option<String>>,
    session_duration: Option<Span>,
    environments: Option<Vec<EnvironmentId>>,
    /// Ask AWS about a new secret, or another role, first, and keep it only if AWS takes it and it is of the same account
    /// as before.
    #[serde(default)]
    check: bool,
}

/// For a field that may be null: it is given then, too.
#[expect(clippy::option_option, reason = "null takes away, nothing leaves as it is")]
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    environment: Option<EnvironmentId>,
    /// How many items the page may have.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List cloud credentials
///
/// Never their secrets. For who may manage them; with `environment` also for who decides there.
#[utoipa::path(
    get,
    path = "/api/v1/credentials",
    operation_id = "list_credentials",
    tag = "Credentials",
    params(Filter),
    responses((status = 200, description = "A page of the list.", body = Page<Credential>)),
)]
pub(crate) async fn list(session: Session, Query(filter): Query<Filter>) -> Result<Json<Page<Credential>>, Problem> {
    let Filter { environment, limit: Limit(limit), cursor } = filter;
    let page =
        session.run(move |caller| caller.credentials(environment.as_ref(), &PageRequest { limit, cursor })).await?;
    Ok(Json(Page::of(page, Credential::from)))
}

/// Add a cloud credential
///
/// Needs `credentials.manage`. Its secret goes in and never comes out.
#[utoipa::path(
    post,
    path = "/api/v1/credentials",
    operation_id = "create_credential",
    tag = "Credentials",
    request_body = New,
    responses((status = 201, description = "Made.", body = Credential, headers(("location" = String, description = "Where what was made is."))), (status = 409, description = "As things stand this can't be added."), (status = 424, description = "AWS does not take it, or could not be asked."), (status = 429, description = "Too many tests run.")),
)]
pub(crate) async fn create(session: Session, new: New) -> Result<impl IntoResponse, Problem> {
    let (new, check) = new.parts();
    let made = session.run(move |caller| {
        let administrator = caller.credential_administrator()?;
        if check { administrator.create_checked(&new) } else { administrator.create(&new) }
    });
    let made = made.await?;
    let location = [(header::LOCATION, format!("/api/v1/credentials/{}", made.id))];
    Ok((StatusCode::CREATED, location, Json(Credential::from(made))))
}

/// Show a cloud credential
#[utoipa::path(
    get,
    path = "/api/v1/credentials/{id}",
    operation_id = "show_credential",
    tag = "Credentials",
    params(("id" = CredentialId, Path, description = "The credential's id.")),
    responses((status = 200, description = "As it is now.", body = Credential)),
)]
pub(crate) async fn show(session: Session, Id(id): Id<CredentialId>) -> Result<Json<Credential>, Problem> {
    session.run(move |caller| caller.credential(&id)).await.map(|found| Json(found.into()))
}

/// Change a cloud credential
///
/// Needs `credentials.manage`. A new secret is used from the next call on.
#[utoipa::path(
    patch,
    path = "/api/v1/credentials/{id}",
    operation_id = "change_credential",
    tag = "Credentials",
    params(("id" = CredentialId, Path, description = "The credential's id.")),
    request_body = Change,
    responses((status = 200, description = "As it is now.", body = Credential), (status = 409, description = "It is in use in a way that forbids the change."), (status = 424, description = "AWS does not take the new secret, or could not be asked."), (status = 429, description = "Too many tests run.")),
)]
pub(crate) async fn change(
    session: Session,
    Id(id): Id<CredentialId>,
    extract::Json(change): extract::Json<Change>,
) -> Result<Json<Credential>, Problem> {
    let Change { check, .. } = change;
    let change = CredentialChange {
        name: change.name,
        access_key_id: change.access_key_id,
        secret_access_key: change.secret_access_key,
        session_token: change.session_token,
        role_arn: change.role_arn,
        source_credential: change.source_credential,
        external_id: change.external_id,
        session_seconds: change.session_duration.map(seconds),
        environments: change.environments,
    };
    let changed = session.run(move |caller| {
        let administrator = caller.credential_administrator()?;
        if check { administrator.change_checked(&id, &change) } else { administrator.change(&id, &change) }
    });
    changed.await.map(|changed| Json(changed.into()))
}

/// Test a cloud credential
///
/// Needs `credentials.manage`. Asks AWS whose it is (`sts:GetCallerIdentity`, which every valid key may call) and keeps what it says.
#[utoipa::path(
    post,
    path = "/api/v1/credentials/{id}/test",
    operation_id = "test_credential",
    tag = "Credentials",
    params(("id" = CredentialId, Path, description = "The credential's id.")),
    responses((status = 200, description = "It works.", body = Verdict), (status = 409, description = "It was changed meanwhile."), (status = 424, description = "AWS does not take it, or could not be asked; `detail` says what it said."), (status = 429, description = "Too many tests run.")),
)]
pub(crate) async fn test(session: Session, Id(id): Id<CredentialId>) -> Result<Json<Verdict>, Problem> {
    let tested = session.run(move |caller| caller.credential_administrator()?.test(&id)).await?;
    tested.checked.map(|checked| Json(checked.into())).ok_or_else(|| Problem::not_found("Nothing is known of it."))
}

/// Remove a cloud credential
///
/// Needs `credentials.manage`; not while access uses it, or a role is assumed with it.
#[utoipa::path(
    delete,
    path = "/api/v1/credentials/{id}",
    operation_id = "delete_credential",
    tag = "Credentials",
    params(("id" = CredentialId, Path, description = "The credential's id.")),
    responses((status = 204, description = "Removed."), (status = 409, description = "Access uses it, or a role is assumed with it.")),
)]
pub(crate) async fn delete(session: Session, Id(id): Id<CredentialId>) -> Result<StatusCode, Problem> {
    let deleted = session.run(move |caller| caller.credential_administrator()?.delete(&id));
    deleted.await.map(|()| StatusCode::NO_CONTENT)
}

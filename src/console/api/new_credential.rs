//! What `POST /credentials` takes: a key or a role, by its `kind`.

use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{credentials::seconds, span::Span};
use crate::{
    console::{error::Problem, extract},
    model::{AssumedRole, CloudId, CredentialId, EnvironmentId, RoleArn},
    secret::Secret,
    workflow::{NewCredential, NewKeys, USUAL_SESSION},
};

/// A cloud credential to be kept: `kind` tells which.
#[derive(Deserialize, ToSchema)]
#[schema(
    as = NewCredential,
    discriminator(
        property_name = "kind",
        mapping(
            ("role" = "#/components/schemas/NewRoleCredential"),
            ("static" = "#/components/schemas/NewStaticCredential"),
        ),
    )
)]
#[serde(untagged)]
pub(crate) enum New {
    Role(NewRole),
    Static(NewStatic),
}

/// A role that the gateway is to assume, with the keys of another credential.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewRoleCredential)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    #[expect(dead_code, reason = "what it is told apart by")]
    kind: RoleKind,
    /// At most 200 bytes.
    #[schema(min_length = 1, max_length = 200, examples("production, read only"))]
    name: String,
    cloud: CloudId,
    role_arn: RoleArn,
    /// The credential that may assume the role; it may be a role itself, up to four in a row.
    source_credential: CredentialId,
    /// What the role's trust policy demands as `sts:ExternalId`.
    #[schema(pattern = "^[A-Za-z0-9_+=,.@:/-]{2,1224}$")]
    external_id: Option<String>,
    /// How long each session lasts: 15m to 12h, as the role allows, and at most 1h if a role assumes it. One hour if left
    /// out.
    session_duration: Option<Span>,
    /// Where it may be picked at approval.
    #[serde(default)]
    environments: Vec<EnvironmentId>,
    /// Ask AWS first, and keep it only if the role can be assumed.
    #[serde(default)]
    check: bool,
}

/// A key.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewStaticCredential)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewStatic {
    #[expect(dead_code, reason = "what it is told apart by")]
    kind: StaticKind,
    /// At most 200 bytes.
    #[schema(min_length = 1, max_length = 200, examples("payments account"))]
    name: String,
    cloud: CloudId,
    #[schema(pattern = "^[A-Za-z0-9_]{16,128}$", examples("AKIAIOSFODNN7EXAMPLE"))]
    access_key_id: String,
    #[schema(value_type = String, format = Password, write_only, pattern = "^[!-~]{1,512}$")]
    secret_access_key: Secret,
    #[schema(value_type = Option<String>, format = Password, write_only, pattern = "^[!-~]{1,16384}$")]
    session_token: Option<Secret>,
    /// Where it may be picked at approval.
    #[serde(default)]
    environments: Vec<EnvironmentId>,
    /// Ask AWS first, and keep it only if AWS takes it.
    #[serde(default)]
    check: bool,
}

// As with the entries of the audit log, for what generates clients: a `kind` that can be one thing only.

#[derive(Deserialize, ToSchema)]
#[schema(as = NewRoleCredentialKind)]
#[serde(rename_all = "snake_case")]
enum RoleKind {
    Role,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NewStaticCredentialKind)]
#[serde(rename_all = "snake_case")]
enum StaticKind {
    Static,
}

/// Which of them a body is.
#[derive(Deserialize)]
struct Which {
    kind: Kind,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Role,
    Static,
}

/// Looked at for its kind, then read as that alone: so what is wrong is told by its field.
impl<S: Sync> FromRequest<S> for New {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = extract::json(request).await?;
        match extract::parse::<Which>(&body)?.kind {
            Kind::Role => extract::parse(&body).map(Self::Role),
            Kind::Static => extract::parse(&body).map(Self::Static),
        }
    }
}

impl New {
    /// What is to be kept, and whether AWS is to be asked first.
    pub(super) fn parts(self) -> (NewCredential, bool) {
        match self {
            Self::Role(role) => {
                let assumed = AssumedRole {
                    role_arn: role.role_arn,
                    source_credential: role.source_credential,
                    external_id: role.external_id,
                    session_seconds: role.session_duration.map_or(USUAL_SESSION, seconds),
                };
                let keys = NewKeys::Role(assumed);
                let NewRole { name, cloud, environments, check, .. } = role;
                (NewCredential { name, cloud, keys, environments }, check)
            }
            Self::Static(key) => {
                let NewStatic {
                    name, cloud, access_key_id, secret_access_key, session_token, environments, check, ..
                } = key;
                let keys = NewKeys::Static { access_key_id, secret_access_key, session_token };
                (NewCredential { name, cloud, keys, environments }, check)
            }
        }
    }
}

//! `/me`: who is calling, and what they may do where.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    console::{error::Problem, session::Session},
    model::{EnvironmentId, Permission},
    workflow::Scope,
};

/// Who is calling, and what they may do where.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    #[serde(flatten)]
    person: super::users::Person,
    permissions: Vec<PermissionsIn>,
    token_expires_at: Timestamp,
}

/// What may be done in one place.
#[derive(Serialize, ToSchema)]
pub(crate) struct PermissionsIn {
    /// Everywhere if null.
    #[schema(required)]
    environment: Option<EnvironmentId>,
    permissions: Vec<Permission>,
}

impl From<Scope> for PermissionsIn {
    fn from(scope: Scope) -> Self {
        Self { environment: scope.environment, permissions: scope.permissions }
    }
}

/// Show who is calling
///
/// With permissions by scope.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    operation_id = "show_me",
    tag = "Sessions",
    responses((status = 200, description = "The caller.", body = Me)),
)]
pub(crate) async fn show(session: Session) -> Result<Json<Me>, Problem> {
    let me = session.run(|caller| {
        Ok(Me {
            person: caller.user().clone().into(),
            permissions: caller.scopes().into_iter().map(PermissionsIn::from).collect(),
            token_expires_at: caller.token_expires_at(),
        })
    });
    me.await.map(Json)
}

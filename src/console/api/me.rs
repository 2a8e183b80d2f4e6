//! `/me`: who is calling, and what they may do where.

use axum::Json;
use serde::Serialize;

use crate::{
    clock::Timestamp,
    console::{error::Problem, session::Session},
    model::{EnvironmentId, Permission},
    workflow::Scope,
};

#[derive(Serialize)]
pub(crate) struct Me {
    #[serde(flatten)]
    person: super::users::Person,
    permissions: Vec<PermissionsIn>,
    token_expires_at: Timestamp,
}

#[derive(Serialize)]
struct PermissionsIn {
    /// Everywhere if null.
    environment: Option<EnvironmentId>,
    permissions: Vec<Permission>,
}

impl From<Scope> for PermissionsIn {
    fn from(scope: Scope) -> Self {
        Self { environment: scope.environment, permissions: scope.permissions }
    }
}

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

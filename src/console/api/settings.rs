//! `/settings`: what the installation decides for itself.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    console::{error::Problem, extract, session::Session},
    workflow,
};

/// What the installation decides for itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct Settings {
    /// May somebody approve their own request?
    self_approval: bool,
}

/// What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[schema(as = SettingsChange)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    self_approval: Option<bool>,
}

impl From<workflow::Settings> for Settings {
    fn from(settings: workflow::Settings) -> Self {
        Self { self_approval: settings.self_approval }
    }
}

/// Show the settings
///
/// Needs `users.manage`.
#[utoipa::path(
    get,
    path = "/api/v1/settings",
    operation_id = "show_settings",
    tag = "Settings",
    responses((status = 200, description = "As it is now.", body = Settings)),
)]
pub(crate) async fn show(session: Session) -> Result<Json<Settings>, Problem> {
    session.run(|caller| caller.administrator()?.settings()).await.map(|settings| Json(settings.into()))
}

/// Change the settings
///
/// Needs `users.manage`.
#[utoipa::path(
    post,
    path = "/api/v1/settings",
    operation_id = "change_settings",
    tag = "Settings",
    request_body = Change,
    responses((status = 200, description = "As it is now.", body = Settings)),
)]
pub(crate) async fn change(
    session: Session,
    extract::Json(change): extract::Json<Change>,
) -> Result<Json<Settings>, Problem> {
    let changed = session.run(move |caller| {
        let administrator = caller.administrator()?;
        let mut settings = administrator.settings()?;
        settings.self_approval = change.self_approval.unwrap_or(settings.self_approval);
        administrator.change_settings(&settings)?;
        Ok(settings)
    });
    changed.await.map(|settings| Json(settings.into()))
}

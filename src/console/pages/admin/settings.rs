//! What the installation decides for itself.

use askama::Template;
use axum::response::Response;

use crate::console::{
    error::Problem,
    pages::{form::Submitted, frame::Frame, visitor::Visitor},
};

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    frame: Frame,
    self_approval: bool,
}

pub(crate) async fn show(visitor: Visitor) -> Result<Response, Problem> {
    let settings = visitor.run(|caller| caller.administrator()?.settings()).await?;
    Ok(visitor.page(&SettingsPage { frame: visitor.frame(), self_approval: settings.self_approval }))
}

pub(crate) async fn change(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let self_approval = fields.ticked("self_approval");
    let changed = visitor.run(move |caller| {
        let administrator = caller.administrator()?;
        let mut settings = administrator.settings()?;
        settings.self_approval = self_approval;
        administrator.change_settings(&settings)
    });
    changed.await?;
    Ok(visitor.done("/settings", "The settings are saved."))
}

//! The audit log as a file, with the filter of the page.

use axum::{
    http::{HeaderValue, Uri, header},
    response::Response,
};

use super::audit::question;
use crate::console::{
    api::{audit::export, audit_form::Form},
    error::Problem,
    pages::{form::Fields, visitor::Visitor},
};

pub(crate) async fn csv(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    file(visitor, &uri, Form::Csv, "attachment; filename=\"csg-audit.csv\"").await
}

pub(crate) async fn ndjson(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    file(visitor, &uri, Form::Ndjson, "attachment; filename=\"csg-audit.ndjson\"").await
}

async fn file(visitor: Visitor, uri: &Uri, form: Form, name: &'static str) -> Result<Response, Problem> {
    let question = question(&visitor, &Fields::of_query(uri)).map_err(|wrong| {
        Problem::malformed(wrong.elsewhere(&[]).unwrap_or_else(|| "The filter can't be read.".into()))
    })?;
    let mut answer = export(visitor.state.audit.clone(), visitor.session.clone(), question, form).await?;
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(answer)
}

//! The certificate authority: what it is, what it may vouch for, and how each system is told to trust it.

use askama::Template;
use axum::response::Response;

use super::trust::{self, Way};
use crate::console::{
    error::Problem,
    pages::{frame::Frame, visitor::Visitor, words::When},
};

#[derive(Template)]
#[template(path = "admin/authority.html")]
struct Authority {
    frame: Frame,
    subject: String,
    /// In parts, between which a line may break.
    serial: Vec<String>,
    fingerprint: Vec<String>,
    from: When,
    until: When,
    domains: Vec<String>,
    addresses: Vec<String>,
    ca_url: String,
    ways: Vec<Way>,
}

pub(crate) async fn show(visitor: Visitor) -> Result<Response, Problem> {
    let authority = visitor.state.authority.clone();
    let ca_url = visitor.state.ca_url();
    Ok(visitor.page(&Authority {
        frame: visitor.frame(),
        subject: authority.subject().to_owned(),
        serial: parts(authority.serial()),
        fingerprint: parts(&authority.fingerprint()),
        from: visitor.when(authority.not_before()),
        until: visitor.when(authority.not_after()),
        domains: authority.permitted().domains().to_vec(),
        addresses: authority.permitted().addresses().iter().map(ToString::to_string).collect(),
        ways: trust::ways(&ca_url),
        ca_url,
    }))
}

fn parts(number: &str) -> Vec<String> {
    number.split(':').collect::<Vec<_>>().chunks(8).map(|part| part.join(":")).collect()
}

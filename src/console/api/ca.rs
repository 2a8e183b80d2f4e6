//! `/ca`: whom clients of the gateway are to trust. Public: nothing in it is secret.

use axum::{Json, extract};
use serde::Serialize;

use crate::{clock::Timestamp, console::State};

#[derive(Serialize)]
pub(crate) struct CertificateAuthority {
    subject: String,
    serial: String,
    fingerprint_sha256: String,
    not_before: Timestamp,
    not_after: Timestamp,
    /// The only names the certificate may vouch for, those below them included.
    permitted_domains: Vec<String>,
    permitted_addresses: Vec<String>,
    pem: String,
    ca_url: String,
}

pub(crate) async fn show(extract::State(state): extract::State<State>) -> Json<CertificateAuthority> {
    let authority = &state.authority;
    Json(CertificateAuthority {
        subject: authority.subject().to_owned(),
        serial: authority.serial().to_owned(),
        fingerprint_sha256: authority.fingerprint(),
        not_before: authority.not_before(),
        not_after: authority.not_after(),
        permitted_domains: authority.permitted().domains().to_vec(),
        permitted_addresses: authority.permitted().addresses().iter().map(ToString::to_string).collect(),
        pem: authority.pem(),
        ca_url: state.ca_url(),
    })
}

//! `/ca`: whom clients of the gateway are to trust. Public: nothing in it is secret.

use axum::{Json, extract};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{clock::Timestamp, console::State};

/// Whom clients of the gateway are to trust.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateAuthority {
    subject: String,
    serial: String,
    /// Pairs of upper-case hexadecimal digits, with colons.
    fingerprint_sha256: String,
    not_before: Timestamp,
    not_after: Timestamp,
    /// The only names the certificate may vouch for, those below them included.
    permitted_domains: Vec<String>,
    permitted_addresses: Vec<String>,
    pem: String,
    /// Where the gateway gives it out as PEM.
    #[schema(format = "uri")]
    ca_url: String,
}

/// Show the certificate authority
///
/// Whom clients of the gateway are to trust. Nothing in it is secret, so nobody has to sign in.
#[utoipa::path(
    get,
    path = "/api/v1/ca",
    operation_id = "show_ca",
    tag = "Certificate authority",
    security(()),
    responses((status = 200, description = "The certificate.", body = CertificateAuthority)),
)]
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

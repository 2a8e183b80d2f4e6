//! The CA certificate to download: the same files that the gateway's own port gives, where people are already.

use axum::{
    extract::{Path, State as FromState},
    http::header,
    response::{IntoResponse, Response},
};

use crate::console::{State, error::Problem};

pub(crate) async fn download(
    FromState(state): FromState<State>,
    Path(form): Path<String>,
) -> Result<Response, Problem> {
    let authority = &state.authority;
    let (kind, name, bytes) = match form.as_str() {
        "der" => ("application/pkix-cert", "csg-ca.crt", authority.certificate_der().to_vec()),
        "p12" => {
            let store = authority.pkcs12().map_err(|error| Problem::internal(&error))?;
            ("application/x-pkcs12", "csg-ca.p12", store.to_vec())
        }
        "pem" => ("application/x-pem-file", "csg-ca.pem", authority.pem().into_bytes()),
        _ => return Err(Problem::not_found("The certificate is to be had as pem, der and p12.")),
    };
    let about = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((about, bytes).into_response())
}

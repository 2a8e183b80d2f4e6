//! From the `[upstream]` section to what the gateway takes.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::StartError;
use crate::{config, gateway::UpstreamConfig};

pub(super) fn config(from: &config::Upstream) -> Result<UpstreamConfig, StartError> {
    let extra_roots = from.ca_file.as_deref().map(roots).transpose()?.unwrap_or_default();
    Ok(UpstreamConfig { extra_roots, overrides: from.overrides.clone() })
}

fn roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let wrong = |cause: String| StartError::CaFile { path: path.to_owned(), cause };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(format!("not PEM: {error}")))?;
    if found.is_empty() { Err(wrong("holds no certificate: it must be PEM".to_owned())) } else { Ok(found) }
}

//! Takes a signature out of the query, so that the request can be signed anew in its headers.
//!
//! What is not of the signature stays as it was, byte for byte, but for one thing. S3 reads `x-amz-*` parameters of a
//! presigned URL as the headers of those names, and does not promise so for a request that is signed in its headers: they
//! become these headers, before the call is named and judged, which goes by headers. They don't stay behind as well, where
//! they could say other things than a header that a rule sets.

use http::{HeaderName, HeaderValue, Uri, request::Parts, uri::PathAndQuery};

use super::{Payload, Verified, claim::Form, header, key::Algorithm, legacy, query};

/// Why a presigned request can't be made one that is signed in its headers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// A parameter that stands for a header is there twice, or beside a header that says otherwise.
    #[error("The parameter '{0}' contradicts another one, or the header of that name")]
    Contradiction(String),
    /// A parameter that stands for a header holds what no header can.
    #[error("The parameter '{0}' holds what a header of that name can't hold")]
    NoHeader(String),
}

impl Verified {
    /// Takes the signature out of the query of `parts`, of which it was verified; does nothing for one in the headers.
    ///
    /// With `hoist`, as S3 has it, the `x-amz-*` parameters that are left become headers.
    pub fn unwrap_query(&self, parts: &mut Parts, hoist: bool) -> Result<(), UnwrapError> {
        let claim = self.claim();
        let own: &[&str] = match claim.form {
            Form::Header => return Ok(()),
            Form::Legacy { .. } => &legacy::PARAMETERS,
            Form::Query { .. } => &query::PARAMETERS,
        };
        let asymmetric = claim.scope.algorithm() == Algorithm::EcdsaP256;
        let is_own = |name: &str| own.contains(&name) || (asymmetric && name == query::REGION_SET);
        let before = parts.uri.query().unwrap_or_default().to_owned();
        let declares_payload = query::is_there(&before, "X-Amz-Content-Sha256");
        let name = |pair: &&str| !is_own(pair.split('=').next().unwrap_or_default());
        let mut after = before.split('&').filter(name).collect::<Vec<_>>().join("&");
        if hoist {
            for (key, value) in query::pairs(&after) {
                let Some(name) = query::amz_name(key) else { continue };
                let value = HeaderValue::from_bytes(query::decode(value).trim_ascii()).ok();
                let (Ok(header), Some(value)) = (HeaderName::try_from(&name), value) else {
                    return Err(UnwrapError::NoHeader(name));
                };
                let twice = query::values(&after, &name).nth(1).is_some();
                if twice || parts.headers.get_all(&header).iter().any(|there| *there != value) {
                    return Err(UnwrapError::Contradiction(name));
                }
                parts.headers.insert(header, value);
            }
            let stays = |pair: &&str| query::amz_name(pair.split('=').next().unwrap_or_default()).is_none();
            after = after.split('&').filter(stays).collect::<Vec<_>>().join("&");
        }
        if let (true, Payload::Sha256(_)) = (declares_payload, self.payload()) {
            parts.headers.insert(&header::CONTENT_SHA256, HeaderValue::from_static("declared in the query"));
        }
        set_query(&mut parts.uri, &after);
        Ok(())
    }
}

fn set_query(uri: &mut Uri, query: &str) {
    let path = uri.path();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = uri.clone().into_parts();
    // What is left of a path and query is one.
    if let Ok(target) = PathAndQuery::try_from(target) {
        parts.path_and_query = Some(target);
        if let Ok(new) = Uri::from_parts(parts) {
            *uri = new;
        }
    }
}

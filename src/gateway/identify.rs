//! What does the request claim to be: for which host, signed by which key, for which service and region?

use http::{HeaderMap, header, request::Parts};

use super::{
    intercept::Target,
    ledger::Ledger,
    rejection::{Rejection, Stage},
};
use crate::{
    cloud::{Refusal, aws},
    model::AccessKeyId,
    sigv4::{self, ParseError},
};

/// A request for the host of its tunnel, whose credential scope agrees with that host. Nothing is proven yet.
pub(super) struct Identified<'t> {
    pub(super) signature: sigv4::Claim,
    pub(super) scope: aws::Claim<'static, 't>,
}

/// Reads the claims of the request whose head is `parts`.
pub(super) fn identify<'t>(
    target: &'t Target,
    parts: &Parts,
    ledger: &mut Ledger,
) -> Result<Identified<'t>, Rejection> {
    if !is_for(target, parts) {
        let what = format!("The request must name {} in its one Host header, as the tunnel does", target.name);
        return Err(Stage::Identify.rejects(Refusal::Malformed { what }));
    }
    if !codings_are_known(&parts.headers) {
        let what = "Of the transfer codings, only chunked is understood here".to_owned();
        return Err(Stage::Identify.rejects(Refusal::Malformed { what }));
    }
    let signature = sigv4::parse(parts).map_err(|error| Stage::Identify.rejects(unreadable(&error)))?;
    ledger.claims(AccessKeyId::new(&signature.access_key_id).ok(), signature.scope.region());
    let scope = target
        .host
        .claim(signature.scope.service(), signature.scope.region())
        .map_err(|error| Stage::Identify.rejects(Refusal::ScopeMismatch { what: error.to_string() }))?;
    Ok(Identified { signature, scope })
}

/// One Host header, and a target in origin form or absolute form, all for the host of the tunnel.
fn is_for(target: &Target, parts: &Parts) -> bool {
    let authority_agrees = parts.uri.authority().is_none_or(|authority| names(authority.as_str(), target));
    authority_agrees
        && parts.uri.path().starts_with('/')
        && host(&parts.headers).is_some_and(|host| names(host, target))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::HOST).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

/// The header ends here, so what it says must have been undone here. A coding below `chunked` would stay in the body.
fn codings_are_known(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let known = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    known && codings.next().is_none()
}

fn names(host: &str, target: &Target) -> bool {
    host.strip_suffix(":443").unwrap_or(host).eq_ignore_ascii_case(&target.name)
}

fn unreadable(error: &ParseError) -> Refusal {
    match error {
        ParseError::Missing => Refusal::MissingToken,
        ParseError::Unsupported(_) => Refusal::UnsupportedAuth { what: error.to_string() },
        _ => Refusal::IncompleteSignature { what: error.to_string() },
    }
}

//! What does the request claim to be: for which host, signed by which key, for which service and region?

use http::{HeaderMap, header, request::Parts};

use super::{
    intercept::Target,
    ledger::Ledger,
    rejection::{Rejection, Stage},
    unsigned::Unsigned,
};
use crate::{
    cloud::{Refusal, aws},
    model::AccessKeyId,
    sigv4::{self, Algorithm, ParseError, Payload, Scheme},
};

/// A request for the host of its tunnel. Nothing is proven yet.
#[expect(clippy::large_enum_variant, reason = "nearly all calls are signed, and a box would cost each an allocation")]
pub(super) enum Identified<'t> {
    /// Its credential scope agrees with that host.
    Signed { signature: sigv4::Claim, scope: aws::Claim<'static, 't> },
    /// Nothing in it can be verified.
    Unsigned(Unsigned),
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
    if wants_websocket(&parts.headers) {
        let what =
            "WebSocket is not passed on by this gateway. Please use the service's HTTP calls, or an SDK's event \
                    streams, which go over HTTP/2"
                .to_owned();
        return Err(Stage::Identify.rejects(Refusal::Malformed { what }));
    }
    let mut signature = match sigv4::parse(parts) {
        Ok(signature) => signature,
        Err(ParseError::Missing) => return Ok(Identified::Unsigned(Unsigned::Bare)),
        Err(ParseError::Unsupported(Scheme::Bearer)) => return Ok(Identified::Unsigned(Unsigned::Bearer)),
        Err(error) => return Err(Stage::Identify.rejects(unreadable(&error))),
    };
    let region = match signature.scope.algorithm() {
        Algorithm::HmacSha1 => target.host.home(),
        Algorithm::EcdsaP256 | Algorithm::HmacSha256 => signature.scope.region(),
    };
    ledger.claims(AccessKeyId::new(&signature.access_key_id).ok(), region);
    let scope = scope(target, &signature)?;
    signature.for_bucket(|| aws::bucket_in(&target.name));
    // S3 takes it that nothing is said of the body; elsewhere a presigned request is signed like any other.
    if signature.is_presigned() && scope.path_is_encoded_once() {
        signature.payload.get_or_insert(Payload::Unsigned);
    }
    Ok(Identified::Signed { signature, scope })
}

/// What the credential scope says, if the host agrees.
fn scope<'t>(target: &'t Target, signature: &sigv4::Claim) -> Result<aws::Claim<'static, 't>, Rejection> {
    let (host, scope) = (&target.host, &signature.scope);
    let found = match scope.algorithm() {
        Algorithm::EcdsaP256 => host.claim_set(scope.service(), |region| scope.covers(region)),
        Algorithm::HmacSha256 => host.claim(scope.service(), scope.region()),
        // It has no scope, and S3 alone takes it.
        Algorithm::HmacSha1 => {
            let what = "Signature Version 2 is accepted for presigned S3 URLs alone. Please use AWS4-HMAC-SHA256.";
            let unsupported = || Refusal::UnsupportedAuth { what: what.to_owned() };
            return host.claim("s3", host.home()).map_err(|_| Stage::Identify.rejects(unsupported()));
        }
    };
    found.map_err(|error| Stage::Identify.rejects(disagrees(error, target, signature)))
}

/// S3 says which region it expects, and its clients go by that.
fn disagrees(error: aws::ScopeMismatch, target: &Target, signature: &sigv4::Claim) -> Refusal {
    match error {
        aws::ScopeMismatch::Region { expected } if target.host.is_s3() => {
            let claimed = signature.scope.region().to_owned();
            Refusal::WrongRegion { claimed, expected, in_query: signature.is_presigned() }
        }
        error => Refusal::ScopeMismatch { what: error.to_string() },
    }
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

/// The cloud is never asked for it, so the client would take whatever comes for a broken WebSocket. Any other upgrade may
/// be left unanswered (RFC 9110, section 7.8), and HTTP libraries offer some on their own.
fn wants_websocket(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
}

fn names(host: &str, target: &Target) -> bool {
    host.strip_suffix(":443").unwrap_or(host).eq_ignore_ascii_case(&target.name)
}

fn unreadable(error: &ParseError) -> Refusal {
    match error {
        ParseError::Unsupported(_) => Refusal::UnsupportedAuth { what: error.to_string() },
        _ => Refusal::IncompleteSignature { what: error.to_string() },
    }
}

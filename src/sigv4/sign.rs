//! Signing a request: with the real identity, for the cloud.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, HOST},
    request::Parts,
};

use super::{
    Algorithm, Chain, PathStyle, Payload, SignedHeaders, SigningKey, canonical,
    date::Moment,
    header::{self, is_amz},
};
use crate::{clock::Timestamp, secret::Secret};

/// Never signed: an HTTP client or proxy on the way may change them (RFC 9110 §7.6.1), `Expect` (§10.1.1) included.
const HOP_BY_HOP: [&str; 11] = [
    "authorization",
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Who signs, and how.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    /// The real access key id.
    pub access_key_id: &'a str,
    /// Its signing key, with the scope: [`super::Scope::at`] the same `now`.
    pub key: &'a SigningKey,
    /// The session token, if the credential has one.
    pub session_token: Option<&'a Secret>,
    /// How the service wants the path.
    pub style: PathStyle,
    /// What to sign beside `host` and `x-amz-*`: what the client signed. What is no longer there is left out.
    pub also: &'a SignedHeaders,
    /// What to say about the body.
    pub payload: Payload,
    /// The time to sign with.
    pub now: Timestamp,
}

/// Why a request can't be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Access key id or session token have characters that no header can hold.
    #[error("the access key id or session token of the credential can't be put in a header")]
    Credential,
    /// The signing key is that of another day.
    #[error("the signing key is not for the day of signing")]
    Day,
    /// The system gives no random bytes, which a SigV4A signature needs.
    #[error("the system gives no random bytes")]
    Random,
    /// The request has no `Host` header.
    #[error("the request has no Host header")]
    NoHost,
}

/// Signs `parts`: replaces `Authorization`, `X-Amz-Date` and `X-Amz-Security-Token`, and `X-Amz-Content-Sha256` where
/// there is one or the payload needs one. All else stays as it is; call this after the last change to the headers.
///
/// The chain is for the chunks of the body, where they are signed one by one.
pub fn sign(parts: &mut Parts, with: &Signing<'_>) -> Result<Chain, SignError> {
    let at = Moment::of(with.now);
    if at.day() != with.key.scope().date() {
        return Err(SignError::Day);
    }
    if !parts.headers.contains_key(HOST) {
        return Err(SignError::NoHost);
    }
    put_headers(parts, with, &at)?;
    let signed = covered(&parts.headers, with.also);
    let request = canonical::request(parts, with.style, &signed, &with.payload);
    let to_sign = canonical::string_to_sign(&at, with.key.scope(), &request);
    let signature = with.key.sign(&to_sign).ok_or(SignError::Random)?;

    let mut authorization = Vec::with_capacity(256 + signed.as_str().len());
    for part in [with.key.scope().algorithm().name(), " Credential=", with.access_key_id, "/"] {
        authorization.extend_from_slice(part.as_bytes());
    }
    with.key.scope().write(&mut authorization);
    for part in [", SignedHeaders=", signed.as_str(), ", Signature=", &signature] {
        authorization.extend_from_slice(part.as_bytes());
    }
    let mut authorization = HeaderValue::try_from(authorization).map_err(|_| SignError::Credential)?;
    authorization.set_sensitive(true);
    parts.headers.insert(AUTHORIZATION, authorization);
    Ok(Chain::new(with.key.clone(), at, &signature))
}

/// `host`, `x-amz-*`, and of what is wanted `also` that which is there and stays as it is.
fn covered(headers: &HeaderMap, also: &SignedHeaders) -> SignedHeaders {
    let required = |name: &&str| *name == "host" || is_amz(name);
    let wanted = |name: &&str| {
        !required(name)
            && *name != header::AUTHORITY
            && !HOP_BY_HOP.contains(name)
            && header::values(headers, name).next().is_some()
    };
    SignedHeaders::of(headers.keys().map(HeaderName::as_str).filter(required).chain(also.iter().filter(wanted)))
}

fn put_headers(parts: &mut Parts, with: &Signing<'_>, at: &Moment) -> Result<(), SignError> {
    let headers = &mut parts.headers;
    headers.insert(&header::DATE, HeaderValue::from_str(at.as_str()).map_err(|_| SignError::Day)?);
    if with.key.scope().algorithm() == Algorithm::EcdsaP256 {
        let regions = HeaderValue::from_str(with.key.scope().region()).map_err(|_| SignError::Credential)?;
        headers.insert(&header::REGION_SET, regions);
    }
    match with.session_token {
        Some(token) => {
            let mut token = HeaderValue::from_str(token.expose()).map_err(|_| SignError::Credential)?;
            token.set_sensitive(true);
            headers.insert(&header::SECURITY_TOKEN, token);
        }
        None => drop(headers.remove(&header::SECURITY_TOKEN)),
    }
    // Without the header, the other side takes it that the body's hash was signed.
    if headers.contains_key(&header::CONTENT_SHA256) || !matches!(with.payload, Payload::Sha256(_)) {
        let mut text = Vec::with_capacity(64);
        with.payload.write(&mut text);
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(&header::CONTENT_SHA256, value);
        }
    }
    Ok(())
}

//! Whole requests, both ways.

mod asymmetric_chunks;
mod chunks;
mod properties;
mod refusals;
mod vectors;

use http::{HeaderName, HeaderValue, Method, Request, Uri, request::Parts};

use super::*;
use crate::{clock::Timestamp, secret::Secret};

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2015-08-30T12:36:00Z").unwrap()
}

/// The parts of a request, if HTTP lets there be such a one.
fn parts_of<'a>(
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Parts, http::Error> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(method.as_bytes())?;
    parts.uri = Uri::try_from(target)?;
    for (name, value) in headers {
        parts.headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(value)?);
    }
    Ok(parts)
}

/// Someone with a key.
struct Signer {
    secret: Secret,
    scope: Scope,
    style: PathStyle,
    token: Option<Secret>,
}

impl Signer {
    const ID: &str = "AKIDEXAMPLE";

    fn new(style: PathStyle) -> Self {
        let scope = Scope::at(now(), "us-east-1", "service");
        Self { secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), scope, style, token: None }
    }

    /// Signs all headers that may be signed.
    fn sign(&self, parts: &mut Parts, payload: Payload, now: Timestamp) {
        let signing = Signing {
            access_key_id: Self::ID,
            key: &SigningKey::of(Self::ID, &self.secret, self.scope.clone()),
            session_token: self.token.as_ref(),
            style: self.style,
            also: &SignedHeaders::of(parts.headers.keys().map(HeaderName::as_str)),
            payload,
            now,
        };
        sign(parts, &signing).unwrap();
    }

    /// What a gateway does that knows this one key.
    fn accepts(&self, parts: &Parts, body: &[u8], now: Timestamp) -> bool {
        let Ok(claim) = parse(parts) else { return false };
        let token_is_right = claim.session_token.as_ref().map(HeaderValue::as_bytes)
            == self.token.as_ref().map(|token| token.expose().as_bytes());
        let known = claim.access_key_id == Self::ID;
        let key = SigningKey::of(Self::ID, &self.secret, claim.scope.clone());
        let payload = claim.payload.unwrap_or_else(|| Payload::of(body));
        let verified = claim.verify(parts, self.style, &key, payload, now);
        let body_is_right = verified.is_ok_and(|verified| {
            verified.check_body(ring::digest::digest(&ring::digest::SHA256, body).as_ref()).is_ok()
        });
        known && token_is_right && body_is_right
    }
}

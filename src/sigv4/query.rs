//! Signatures in the query: presigned URLs, taken strictly.
//!
//! A parameter of the signature stands there once and as AWS writes it. Another case, or letters behind escapes, would let
//! us and the cloud read two different requests.

use std::{borrow::Cow, time::Duration};

use http::{HeaderValue, request::Parts};

use super::{
    Claim, ParseError, Payload, SignedHeaders,
    canonical::decoded,
    claim::{self, Form},
    date::Moment,
    header,
    key::Algorithm,
};

/// The parameters that a signature in the query consists of, and those that say what a header says else.
pub(super) const PARAMETERS: [&str; 8] = [
    "X-Amz-Algorithm",
    "X-Amz-Content-Sha256",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-SignedHeaders",
    SIGNATURE,
];

/// Of SigV4A, in addition.
pub(super) const REGION_SET: &str = "X-Amz-Region-Set";

/// Put there after signing.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";

/// The longest life of a presigned URL: a week.
const LONGEST: u64 = 7 * 24 * 60 * 60;

/// Reads what the query of `parts` claims.
pub(super) fn claim(parts: &Parts, algorithm: Algorithm) -> Result<Claim, ParseError> {
    let query = parts.uri.query().unwrap_or_default();
    let text = |name| text(query, name);
    let regions = if algorithm == Algorithm::EcdsaP256 { text(REGION_SET)? } else { None };
    text("X-Amz-Algorithm")?;
    let (credential, date, expires) = (text("X-Amz-Credential")?, text("X-Amz-Date")?, text("X-Amz-Expires")?);
    let (headers, signature) = (text("X-Amz-SignedHeaders")?, text(SIGNATURE)?);
    let (Some(credential), Some(date), Some(expires), Some(headers), Some(signature), Some(_)) = (
        &credential,
        &date,
        &expires,
        &headers,
        &signature,
        regions.as_ref().or((algorithm != Algorithm::EcdsaP256).then_some(&Cow::Borrowed(""))),
    ) else {
        let missing = [
            credential.is_none().then_some("X-Amz-Credential"),
            signature.is_none().then_some(SIGNATURE),
            headers.is_none().then_some("X-Amz-SignedHeaders"),
            date.is_none().then_some("X-Amz-Date"),
            expires.is_none().then_some("X-Amz-Expires"),
            (algorithm == Algorithm::EcdsaP256 && regions.is_none()).then_some(REGION_SET),
        ];
        return Err(ParseError::IncompleteQuery(missing.into_iter().flatten().collect()));
    };
    let at = Moment::parse_iso_basic(date.as_bytes()).ok_or(ParseError::Date)?;
    let (access_key_id, scope) = claim::credential(credential, &at, regions.as_deref())?;
    let signed_headers = SignedHeaders::parse(headers).ok_or(ParseError::SignedHeaders)?;
    claim::check_coverage(parts, &signed_headers)?;
    let payload = one_of(parts, "X-Amz-Content-Sha256", &header::CONTENT_SHA256)?;
    Ok(Claim {
        access_key_id,
        scope,
        signed_headers,
        payload: payload.map(|value| Payload::parse(value.as_bytes()).ok_or(ParseError::Payload)).transpose()?,
        session_token: one_of(parts, "X-Amz-Security-Token", &header::SECURITY_TOKEN)?,
        at,
        form: Form::Query { expires: seconds(expires)? },
        signature: claim::signature(signature, algorithm)?,
    })
}

/// What the parameter says or else the header; not both.
fn one_of(parts: &Parts, name: &'static str, header: &http::HeaderName) -> Result<Option<HeaderValue>, ParseError> {
    let in_header = claim::single(&parts.headers, header, name)?;
    match (text(parts.uri.query().unwrap_or_default(), name)?, in_header) {
        (Some(_), Some(_)) => Err(ParseError::Duplicate(name)),
        (Some(text), None) => HeaderValue::from_str(&text).map(Some).map_err(|_| ParseError::Parameter(name)),
        (None, in_header) => Ok(in_header.cloned()),
    }
}

fn seconds(text: &str) -> Result<Duration, ParseError> {
    let digits = (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|seconds| digits && (1..=LONGEST).contains(seconds));
    seconds.map(Duration::from_secs).ok_or(ParseError::Expires)
}

/// The one value of the parameter `name`, if it is there.
pub(super) fn text<'q>(query: &'q str, name: &'static str) -> Result<Option<Cow<'q, str>>, ParseError> {
    let mut found = pairs(query).filter(|(key, _)| is(key, name));
    let Some((key, value)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(ParseError::Duplicate(name));
    }
    if key != name {
        return Err(ParseError::Parameter(name));
    }
    match decode(value) {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).ok(),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).ok(),
    }
    .map(Some)
    .ok_or(ParseError::Parameter(name))
}

/// Is the parameter `name` there, in whatever case and behind whatever escapes?
pub(super) fn is_there(query: &str, name: &str) -> bool {
    pairs(query).any(|(key, _)| is(key, name))
}

/// The values of all parameters `name`, in whatever case and behind whatever escapes, decoded.
pub(super) fn values<'q>(query: &'q str, name: &str) -> impl Iterator<Item = Cow<'q, [u8]>> {
    pairs(query).filter(move |(key, _)| is(key, name)).map(|(_, value)| decode(value))
}

/// Names and values as they are written.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

pub(super) fn decode(text: &str) -> Cow<'_, [u8]> {
    if text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        Cow::Owned(decoded(text.as_bytes()).collect())
    } else {
        Cow::Borrowed(text.as_bytes())
    }
}

fn is(key: &str, name: &str) -> bool {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    decoded(key.as_bytes()).map(lower).eq(name.bytes().map(lower))
}

/// Does the decoded parameter's name begin as `x-amz-` headers do, in whatever case? Then its name in lower case.
pub(super) fn amz_name(key: &str) -> Option<String> {
    let name: Vec<u8> = decoded(key.as_bytes()).map(|byte| byte.to_ascii_lowercase()).collect();
    String::from_utf8(name).ok().filter(|name| header::is_amz(name))
}

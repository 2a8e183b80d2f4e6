//! SigV2 in the query of an S3 URL: what boto3 still makes by default where S3 is asked in one of its first eight regions.
//!
//! It covers method, path, bucket, the parameters on [`COVERED`], `Content-MD5`, `Content-Type` and `x-amz-*` headers. S3
//! takes the last three from the query too, where boto3 puts them. What it leaves open may change a list's pages, but
//! not which operation it is; anything else is refused.
//!
//! Specification: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html>

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header::CONTENT_TYPE, request::Parts};

use super::{
    Claim, ParseError, Payload, Scope, SignedHeaders,
    claim::{self, Form},
    date::Moment,
    header,
    key::Algorithm,
    query,
};
use crate::clock::Timestamp;

pub(super) const ACCESS_KEY_ID: &str = "AWSAccessKeyId";
const EXPIRES: &str = "Expires";
const SIGNATURE: &str = "Signature";

/// What the signature consists of.
pub(super) const PARAMETERS: [&str; 4] = [ACCESS_KEY_ID, EXPIRES, SIGNATURE, "x-amz-security-token"];

static CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Parameters that are signed: sub-resources, and headers of the answer. As botocore has them.
const COVERED: [&str; 35] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// Parameters that are not signed and do no more than choose a page of a list.
const HARMLESS: [&str; 16] = [
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "list-type",
    "marker",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "prefix",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "x-id",
];

/// Reads what the query of `parts` claims.
pub(super) fn claim(parts: &Parts) -> Result<Claim, ParseError> {
    let uncovered = query::pairs(parts.uri.query().unwrap_or_default()).map(|(key, _)| key).find(|key| !is_known(key));
    if let Some(key) = uncovered {
        return Err(ParseError::LegacyParameter(key.chars().take(64).collect()));
    }
    // What is signed is lines: one must not be able to pass for two.
    let breaks = |value: &str| query::decode(value).iter().any(u8::is_ascii_control);
    if query::pairs(parts.uri.query().unwrap_or_default()).any(|(_, value)| breaks(value)) {
        return Err(ParseError::LegacyControl);
    }
    let text = |name| query::text(parts.uri.query().unwrap_or_default(), name);
    let (id, expires, signature) = (text(ACCESS_KEY_ID)?, text(EXPIRES)?, text(SIGNATURE)?);
    let (Some(id), Some(expires), Some(signature)) = (&id, &expires, &signature) else {
        let missing = [expires.is_none().then_some(EXPIRES), signature.is_none().then_some(SIGNATURE)];
        return Err(ParseError::IncompleteQuery(missing.into_iter().flatten().collect()));
    };
    if !claim::is_plain(id) {
        return Err(ParseError::Parameter(ACCESS_KEY_ID));
    }
    let in_query = query::text(parts.uri.query().unwrap_or_default(), "x-amz-security-token")?;
    let in_header = claim::single(&parts.headers, &header::SECURITY_TOKEN, "X-Amz-Security-Token")?;
    let session_token = match (in_query, in_header) {
        (Some(_), Some(_)) => return Err(ParseError::Duplicate("X-Amz-Security-Token")),
        (Some(token), None) => {
            Some(HeaderValue::from_str(&token).map_err(|_| ParseError::Parameter("x-amz-security-token"))?)
        }
        (None, in_header) => in_header.cloned(),
    };
    Ok(Claim {
        access_key_id: id.clone().into_owned(),
        scope: Scope::legacy(),
        signed_headers: SignedHeaders::of(["host", CONTENT_MD5.as_str(), CONTENT_TYPE.as_str()]),
        payload: Some(Payload::Unsigned),
        session_token,
        at: time(expires)?,
        form: Form::Legacy { bucket: None },
        signature: claim::signature(signature, Algorithm::HmacSha1)?,
    })
}

/// Is the bucket itself meant, by a path without a slash behind its name? botocore signs one all the same.
pub(super) fn is_bare_bucket(parts: &Parts, bucket: Option<&str>) -> bool {
    bucket.is_none() && parts.uri.path().len() > 1 && parts.uri.path().rfind('/') == Some(0)
}

/// What is signed of `parts`, with `behind` put behind the path.
pub(super) fn string_to_sign(parts: &Parts, ends: &Moment, bucket: Option<&str>, behind: &str) -> Vec<u8> {
    let query = parts.uri.query().unwrap_or_default();
    let mut out = Vec::with_capacity(256);
    let mut line = |text: &[u8]| {
        out.extend_from_slice(text);
        out.push(b'\n');
    };
    line(parts.method.as_str().as_bytes());
    for name in [&CONTENT_MD5, &CONTENT_TYPE] {
        let in_header = parts.headers.get(name).map(|value| value.as_bytes().trim_ascii().to_vec());
        let value = in_header.or_else(|| query::values(query, name.as_str()).next().map(std::borrow::Cow::into_owned));
        line(&value.unwrap_or_default());
    }
    line(ends.at().seconds().to_string().as_bytes());
    for (name, values) in amz(parts, query) {
        line(&[name.as_bytes(), b":", &values.join(&b',')].concat());
    }
    if let Some(bucket) = bucket {
        out.push(b'/');
        out.extend_from_slice(bucket.as_bytes());
    }
    out.extend_from_slice(parts.uri.path().as_bytes());
    out.extend_from_slice(behind.as_bytes());
    let mut covered: Vec<_> = query.split('&').filter(|pair| is_covered(query_name(pair))).collect();
    covered.sort_by_key(|pair| query_name(pair));
    for (index, pair) in covered.into_iter().enumerate() {
        out.push(if index == 0 { b'?' } else { b'&' });
        match pair.split_once('=') {
            Some((name, value)) => {
                out.extend_from_slice(name.as_bytes());
                out.push(b'=');
                out.extend_from_slice(&query::decode(value));
            }
            None => out.extend_from_slice(pair.as_bytes()),
        }
    }
    out
}

/// The `x-amz-*` headers, those in the query included, sorted by name.
fn amz(parts: &Parts, query: &str) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut all: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let headers = parts.headers.iter().filter(|(name, _)| header::is_amz(name.as_str()));
    for (name, value) in headers {
        all.entry(name.as_str().to_owned()).or_default().push(value.as_bytes().trim_ascii().to_vec());
    }
    for (name, value) in query::pairs(query).filter_map(|(key, value)| Some((query::amz_name(key)?, value))) {
        all.entry(name).or_default().push(query::decode(value).trim_ascii().to_vec());
    }
    all
}

fn is_known(key: &str) -> bool {
    let signature = [ACCESS_KEY_ID, EXPIRES, SIGNATURE, CONTENT_MD5.as_str(), CONTENT_TYPE.as_str()];
    is_covered(key) || HARMLESS.contains(&key) || signature.contains(&key) || query::amz_name(key).is_some()
}

fn is_covered(key: &str) -> bool {
    COVERED.contains(&key)
}

fn query_name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

/// Seconds since 1970.
fn time(text: &str) -> Result<Moment, ParseError> {
    let digits = (1..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse::<i64>().ok().filter(|_| digits).ok_or(ParseError::Expires)?;
    Ok(Moment::of(Timestamp::from_millis(seconds * 1000)))
}
